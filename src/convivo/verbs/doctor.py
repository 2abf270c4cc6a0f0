"""doctor: what this machine has, and what it does with memory and time; kept for later plans."""

import importlib.util
import itertools
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import convivo
from convivo.inference.backends import BACKENDS, missing
from convivo.planning.machine import cache_file, remember, this_machine
from convivo.planning.speeds import MEASUREMENTS, measure_speeds
from convivo.processor import processor_name, processor_words
from convivo.progress import Progress
from convivo.training.precision import has_fast_bf16
from convivo.verbs.calibrate_memory import CALIBRATION, SMALLEST, calibrate_memory
from convivo.verbs.resident import can_measure

LIBRARIES = ("torch", "numpy", "scipy", "openvino", "nncf", "onnxruntime")
LIBRARIES += ("wfdb", "tifffile", "nibabel")
EXTRAS = dict.fromkeys(("openvino", "onnx", "onnxscript", "onnxruntime"), "fast") | {
    "nncf": "int8",
    "wfdb": "signals",
    "tifffile": "tiff",
}
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """What was found; `document()` is the contract's JSON."""

    contents: dict[str, Any]

    def document(self) -> dict[str, Any]:
        return self.contents

    def text(self) -> str:
        """The same in lines for people."""
        c = self.contents
        versions = ", ".join(f"{name} {v}" for name, v in c["versions"].items() if v)
        cpu, memory = c["cpu"], c["memory"]
        lines = [
            versions,
            f"  processor    {cpu['model']}, {cpu['cores']} cores, {cpu['threads']} threads in use",
            f"  memory       {_size(memory['total'])}, of which {_size(memory['available'])} free",
            *[f"  device       {d['name']}, {_size(d['memory'])}" for d in c["devices"][1:]],
            f"  backends     {', '.join(name for name, there in c['backends'].items() if there)}",
            f"  a process    {_size(memory['library'])} to predict, "
            f"{_size(memory['library'] + memory['training'])} to train, beside its tensors",
            f"  margin       {memory['margin']:.0%} between the expected peak and the bound",
            *[f"  - {finding}" for finding in c["findings"]],
        ]
        return "\n".join(lines)


def doctor(*, quick: bool = False, quiet: bool = False) -> Doctor:
    """Look at this machine, and measure what plans need to know of it.

    The measurements take about a minute on two cores and are kept in `cache_file()`.

    Args:
        quick: measure nothing; memory and speeds are those kept from before, or the defaults.
        quiet: no progress.
    """
    known, kept = this_machine(), None
    memory, speeds = known.memory, known.speeds
    if not quick:
        total = len(SMALLEST) + len(CALIBRATION) + len(MEASUREMENTS)
        done = itertools.count(1)
        bar = Progress("measuring", total, unit="parts", quiet=quiet)

        def tick() -> None:
            bar.update(next(done))

        memory = calibrate_memory(threads=torch.get_num_threads(), tick=tick)
        speeds = measure_speeds(tick=tick)
        bar.close()
        kept = remember(memory, speeds)
    there, free = _system_memory()
    contents = {
        "schema": 1,
        "versions": _versions(),
        "cpu": _cpu(),
        "devices": list(_devices()),
        "backends": _backends(),
        "speeds": speeds or {},
        "memory": {"total": there, "available": free, **asdict(memory)},
        "cache": str(cache_file()) if kept or known.measured else None,
        "findings": list(
            _findings(measured=known.measured or not quick, kept=quick or kept is not None)
        ),
    }
    return Doctor(contents=contents)


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {
        "convivo": convivo.__version__,
        "python": platform.python_version(),
    }
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _cpu() -> dict[str, Any]:
    return {
        "model": processor_name(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "features": [name for name in FEATURES if name in processor_words()],
        "bf16": has_fast_bf16(),
    }


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _devices() -> Iterator[dict[str, Any]]:
    yield {"name": "cpu", "memory": _system_memory()[0]}
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        yield {"name": f"cuda:{number}", "model": card.name, "memory": card.total_memory}
    if torch.backends.mps.is_available():
        yield {"name": "mps", "memory": None}


def _backends() -> dict[str, bool]:
    """What `predict --backend` can take here; `onnxruntime` is the library of `onnx`."""
    there = {name: not missing(name) for name in BACKENDS}
    return there | {"onnxruntime": importlib.util.find_spec("onnxruntime") is not None}


def _system_memory() -> tuple[int | None, int | None]:
    """Bytes of memory in all, and those that a new process can have; None where nobody tells."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None, None
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    sizes = [rows.get(key, "").split() for key in ("MemTotal", "MemAvailable")]
    total, free = (int(size[0]) * 1024 if size else None for size in sizes)
    return total, free


def _findings(*, measured: bool, kept: bool) -> Iterator[str]:
    """What is worth knowing, in plain words."""
    if not has_fast_bf16():
        yield "this processor is no faster in bfloat16: training in bf16 saves memory, not time"
    if torch.get_num_threads() > _cores():
        yield (
            f"torch uses {torch.get_num_threads()} threads on {_cores()} cores: "
            "set --threads, or OMP_NUM_THREADS"
        )
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        yield "no GPU that torch can use: all is computed on the processor"
    for name, extra in EXTRAS.items():
        if importlib.util.find_spec(name) is None:
            yield f"{name} is not installed: pip install 'convivo[{extra}]'"
    if not can_measure():
        yield "this system does not tell what a process holds: memory is planned with defaults"
    if not kept:
        yield f"the measurements could not be kept: {cache_file().parent} cannot be written"
    if not measured:
        yield "nothing was measured here yet: plans use defaults until `convivo doctor` has run"


def _size(count: int | None) -> str:
    return "unknown" if count is None else f"{count / MIB:,.0f} MiB"
