"""What trials found, kept in the user's cache folder: by machine, network and size of batch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from torch import nn

from convivo.errors import ReadError
from convivo.files import read_json, write_json
from convivo.inference.backends.trial import Tried
from convivo.planning.machine import cache_file, identity

FORM = 1
MOST = 200  # records that are kept; the oldest go first


def record_file() -> Path:
    """The file, beside what `convivo doctor` measured."""
    return cache_file().with_name("backends.json")


def record_key(network: nn.Module, task: Mapping[str, Any], shape: Sequence[int]) -> str:
    """What a trial belongs to: machine, libraries, weights, task and batch (n, C, *S)."""
    total = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    facts = [FORM, identity(), _versions(), dict(task), list(shape), total.hexdigest()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in ("openvino", "onnx", "onnxscript", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def remembered(key: str, path: Path | None = None) -> dict[str, Tried]:
    """What was found before; empty where nothing was, or the file is damaged."""
    row = _rows(path).get(key)
    if not isinstance(row, dict):
        return {}
    try:
        return {str(name): _tried(entry) for name, entry in row.items()}
    except (TypeError, ValueError, KeyError):
        return {}


def _tried(entry: Any) -> Tried:
    seconds, ready = float(entry["seconds"]), float(entry["ready"])
    if not (0 <= seconds < 1e9 and 0 <= ready < 1e9):
        raise ValueError("no time")
    return Tried(seconds=seconds, ready=ready, failed=str(entry["failed"]))


def keep(key: str, found: Mapping[str, Tried], path: Path | None = None) -> None:
    """Keep a trial's findings for later commands, where the folder can be written."""
    rows = _rows(path)
    rows.pop(key, None)
    rows[key] = {name: asdict(one) for name, one in found.items()}
    recent = dict(list(rows.items())[-MOST:])
    try:
        write_json(path or record_file(), recent)
    except (OSError, RuntimeError):  # not writable, or nobody's home: then it is measured again
        return


def _rows(path: Path | None) -> dict[str, Any]:
    try:
        found = read_json(path or record_file())
    except (ReadError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}
