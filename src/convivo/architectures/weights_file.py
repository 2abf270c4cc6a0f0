"""Weights read from a file, whoever wrote it: names and tensors, never code."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from convivo.errors import ReadError

# where others keep the weights among other things, and what they put before every name
NESTS = ("state_dict", "model_state_dict", "model", "network", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "network.")
RULE = "a whole file of weights (.safetensors, or .pth and .pt without code)"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of what `torch.save` wrote; on the CPU.

    The file is mapped into memory: what is not used is not read. A state dict may lie under one of
    the usual names (`state_dict`, `model`, ...), its names behind a usual prefix (`module.`).

    Raises:
        ReadError: missing, a folder, damaged, without tensors, or with code in it.
    """
    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing"
        raise ReadError(path, "the file of weights must be there", got, "Check the path")
    try:
        held = _safetensors(path) if _is_safetensors(path) else _pickled(path)
    except ReadError:  # is an OSError, and has said it all
        raise
    except (OSError, SafetensorError) as error:
        raise ReadError(path, RULE, _line(error), "Fetch it again") from None
    state = _unprefixed(_tensors(held))
    if not state:
        raise ReadError(path, RULE, "no tensors", "Name the file that holds the weights")
    return state


def _is_safetensors(path: Path) -> bool:
    """By name, or by the first bytes: the length of a header, then the header, which is JSON."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _pickled(path: Path) -> Any:
    """What `torch.save` wrote; mapped into memory where its form allows.

    Raises:
        ReadError: damaged, or with code in it.
    """
    try:
        # the older form, which is no zip file, cannot be mapped
        mapped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a damaged pickle trips its reader up in any way
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise ReadError(path, RULE, _line(error), "Fetch it again") from None
        remedy = "Save its state_dict alone, where you trust it"
        raise ReadError(path, RULE, f"code in it: {code[1].rstrip('.')}", remedy) from None


def _tensors(held: Any) -> dict[str, Tensor]:
    """The tensors by name, dug out of whatever was saved beside them."""
    while isinstance(held, Mapping):
        inner = next((held[name] for name in NESTS if isinstance(held.get(name), Mapping)), None)
        if inner is None:
            return {str(k): v for k, v in held.items() if isinstance(v, Tensor)}
        held = inner
    return {}


def _unprefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            return _unprefixed({name[len(prefix) :]: t for name, t in state.items()})
    return state


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    return text[0].rstrip(".")[:200]
