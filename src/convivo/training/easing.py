"""A training that stays within its memory while it runs: the milder ways to take a step, in order.

The ledger chooses what should fit. Where it erred, or another process took the memory, a step is
taken again in a smaller way instead of ending the run.
"""

import ctypes
import gc
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from convivo.errors import PlanError
from convivo.layers.checkpointing import parts_of
from convivo.training.allocator import keeps_memory, return_memory
from convivo.training.refusal import renew
from convivo.training.state import State

MIB = 2**20
GIVEN_BACK = "memory given back as soon as it is free"
STATUS = Path("/proc/self/status")
FIELDS = re.compile(r"^(VmHWM|RssFile):\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Cap:
    """The memory a training may take.

    limit: bytes of the process, None where there is no end. option: of the command line, for
    messages. least: asks for the bytes that the smallest way would need, once all have failed.
    """

    limit: int | None = None
    option: str = "--ram"
    least: Callable[[], int | None] = lambda: None

    def passed(self, before: int) -> bool:
        """Whether the process has newly grown past the limit since its peak was `before`."""
        if self.limit is None:
            return False
        peak, mapped = _peak()
        return peak > before and peak - mapped > self.limit


def peak_so_far() -> int:
    """Most bytes that were resident at once, mapped files among them; 0 where untold."""
    return _peak()[0]


def _peak() -> tuple[int, int]:
    """That, and the bytes of mapped files."""
    try:
        text = STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0, 0
    found = {name: int(count) * 1024 for name, count in FIELDS.findall(text)}
    return found.get("VmHWM", 0), found.get("RssFile", 0)


def ease(state: State, batch: tuple[int, bool]) -> str:
    """Change to the next milder way; what it is in words, empty where none is left.

    Args:
        batch: its items, and whether each has a map as its target.
    """
    counters, network = state.counters, state.network
    items, maps = batch
    fewest = 2 if not maps and normalizes_over_the_batch(network) else 1
    if keeps_memory() and return_memory():
        counters.eased.append(f"from step {counters.step} on {GIVEN_BACK}")
        return GIVEN_BACK
    passes = min(2 * min(counters.passes, items), items // fewest)
    if passes > counters.passes:
        counters.passes = passes
        way = f"{passes} passes of {-(-items // passes)} an update"
    elif not counters.checkpointing and parts_of(network):
        counters.checkpointing = True
        way = "checkpointing"
    else:
        return ""
    counters.eased.append(f"from step {counters.step} on {way}")
    return way


def normalizes_over_the_batch(network: nn.Module) -> bool:
    """One item that is a single value then has no variance."""
    kinds = {getattr(module, "kind", None) for module in network.modules()}
    own = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
    return own or "batch" in kinds


def release_memory() -> None:
    """Let go of what nobody holds, and hand free pages back to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    renew()


def nothing_left(state: State, cap: Cap) -> PlanError:
    """The end of a training whose smallest step was refused its memory."""
    need = cap.least()
    got = "no more memory" if cap.limit is None else f"{cap.limit / MIB:,.0f} MiB"
    amount = "more" if need is None else f"{cap.option} {-(-need // (10 * MIB)) * 10}M"
    rule = f"needs at least {-(-need // MIB):,} MiB" if need else "the memory must hold one step"
    rule += f"; step {state.step} failed in its smallest form"
    remedy = f"Give {amount}, or choose a smaller network or input"
    return PlanError("train", rule, got, remedy)
