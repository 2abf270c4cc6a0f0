"""The receipt of a run: hashes of what went in and came out, for `verify` to hold it to."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import convivo
from convivo.data.inspection import Inspection
from convivo.files import plain, sha256
from convivo.processor import processor_name
from convivo.verbs.folder import Folder


def data_hash(inspection: Inspection) -> dict[str, Any]:
    """One hash over every case's id and the bytes of its files, in the order of ids."""
    total = hashlib.sha256()
    known: dict[str, str] = {}
    for case in sorted(inspection.cases, key=lambda case: case.id):
        total.update(case.id.encode())
        for name in (*case.image, *([case.label] if case.label else [])):
            for path in _files(Path(name)):
                if str(path) not in known:
                    known[str(path)] = sha256(path)
                total.update(known[str(path)].encode())
    return {"sha256": total.hexdigest(), "cases": len(inspection.cases)}


def _files(path: Path) -> list[Path]:
    """The files behind a case's path: itself, a record's signal file, a folder's files."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.is_file())
    if path.suffix == ".hea":
        return [p for p in (path, path.with_suffix(".dat"), path.with_suffix(".mat")) if p.exists()]
    return [path] if path.exists() else []


def split_hash(split: Mapping[str, Any]) -> str:
    """The hash of who is in which part and unit, whatever else the document says."""
    parts = {key: sorted(split[key]) for key in ("train", "val", "test")}
    parts["units"] = sorted(f"{i}\t{unit}" for i, unit in split.get("units", {}).items())
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def plan_hash(plan: Mapping[str, Any]) -> str:
    """The hash of what was fixed before the first step: the plan without its measurements."""
    fixed = {key: value for key, value in plan.items() if key != "measured"}
    return hashlib.sha256(json.dumps(plain(fixed), sort_keys=True).encode()).hexdigest()


def make_receipt(
    folder: Folder,
    inspection: Inspection,
    *,
    seed: int,
    started: str,
    seconds: float,
    looks: int = 1,
) -> dict[str, Any]:
    """The contract's receipt of a finished run; looks: how often it was measured on test."""
    return {
        "schema": 1,
        "data": data_hash(inspection),
        "split_sha256": split_hash(folder.json("split.json")),
        "weights_sha256": sha256(folder / "weights.safetensors"),
        "plan_sha256": plan_hash(folder.json("plan.json")),
        "evaluation_sha256": sha256(folder / "evaluation.json"),
        "version": convivo.__version__,
        "commit": commit(),
        "torch": torch.__version__,
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "processor": processor_name(),
            "threads": torch.get_num_threads(),
        },
        "seed": seed,
        "started": started,
        "seconds": round(seconds, 1),
        "test_evaluations": looks,
    }


def commit() -> str | None:
    """The commit of a source checkout; None for an installed package."""
    here = Path(__file__).resolve().parent
    if not (here.parents[2] / ".git").exists():
        return None
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
