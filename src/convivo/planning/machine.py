"""What is known of this machine: measured by `convivo doctor`, kept in the user's cache folder.

Without a measurement, or with one that is damaged or of another machine, the defaults serve.
"""

import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from convivo.errors import ReadError
from convivo.files import read_json, write_json
from convivo.processor import processor_name

FORM = 1  # of the file; another one is ignored
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that a process takes beside its tensors.

    library: Python, torch and convivo once a first prediction is made. training: what the first
    optimizer brings in (torch imports its compiler for it) and the training adds. kernel: machine
    code and tables of each distinct convolution that was ever called. margin: share of the expected
    peak that may come on top; at most one run in a hundred exceeds it.

    The defaults are those of two cores of EPYCs with torch 2.13, with AVX-512 and without, of runs
    such as those in `bench/results/ledger_process.md`.
    """

    library: int = 194 * MIB
    training: int = 78 * MIB
    kernel: int = 195 * 2**10
    margin: float = 0.125


@dataclass(frozen=True, kw_only=True)
class Machine:
    """memory: as above. speeds: in the form of `timing.default_speeds`, None where not measured."""

    memory: Memory = Memory()
    speeds: Mapping[str, Any] | None = None
    measured: bool = False


def cache_file() -> Path:
    """Where the measurements are kept: by XDG's rule on Linux, else as the platform has it."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(named)
    elif os.name == "nt":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform.system() == "Darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path.home() / ".cache"
    return folder / "convivo" / "machine.json"


def identity() -> dict[str, Any]:
    """What a measurement belongs to: another processor, thread number or torch needs its own."""
    return {
        "form": FORM,
        "cpu": processor_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def this_machine(path: Path | None = None) -> Machine:
    """What `convivo doctor` measured here, or the defaults.

    Args:
        path: the file; default `cache_file()`.
    """
    try:
        found = read_json(path or cache_file())
    except (ReadError, RuntimeError):  # not there, no JSON, or nobody's home
        return Machine()
    if not isinstance(found, dict) or found.get("identity") != identity():
        return Machine()
    memory = _memory(found.get("memory"))
    speeds = found.get("speeds")
    if memory is None or not isinstance(speeds, dict | None):
        return Machine()
    return Machine(memory=memory, speeds=speeds or None, measured=True)


def _memory(found: object) -> Memory | None:
    if not isinstance(found, dict):
        return None
    names = [field.name for field in fields(Memory)]
    if not all(_is_amount(found.get(name)) for name in names):
        return None
    return Memory(**{name: found[name] for name in names})


def _is_amount(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < math.inf


def remember(memory: Memory, speeds: Mapping[str, Any], path: Path | None = None) -> Path | None:
    """Keep measurements for later commands; None where the folder cannot be written."""
    target = path or cache_file()
    document = {"identity": identity(), "memory": asdict(memory), "speeds": dict(speeds)}
    try:
        write_json(target, document)
    except OSError:
        return None
    return target
