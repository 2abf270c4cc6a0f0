"""Seconds of a step, from what it has to do and how fast this machine does each kind of it.

An operation takes the time of its call and of its work; they run one after the other. Speeds are
measured by `speeds`; without a measurement those of the machine in `default_speeds.json` serve.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from convivo.planning.work import Tally, Work

WARM_UP, REFINED_BY = 2, 10
FORM = 1  # of the table of speeds; kept ones of another form are not used
Speeds = Mapping[str, Any]
Curve = Sequence[Sequence[float]]


@cache
def default_speeds() -> dict[str, Any]:
    """Measured once on two cores of an EPYC of 2025 (AVX-512, bf16); the form of all speeds.

    form: `FORM`. threads: of torch while measuring. call: seconds for each operation asked for
    from Python (called), run by the backward pass (replayed), and each tensor that the optimizer
    handles.
    fixed: seconds of a convolution however small; weight: (positions of one item's output, seconds
    for a byte of its weight); by torch's own kernels ("native": float32) both for each item. conv:
    by kind, axes ("1" .. "3" for kernels of three samples, "point" for one) and precision or
    "native": (channels in, channels out, seconds for one position of the output); "grouped":
    (channels of a group, seconds for a position, group and sample of the kernel). bytes: by kind
    and precision: (bytes read and written, seconds for each). matmul: seconds for a flop and for a
    byte.
    """
    return json.loads((Path(__file__).parent / "default_speeds.json").read_text(encoding="utf-8"))


def seconds_per_step(tally: Tally, speeds: Speeds | None = None) -> float:
    """The seconds that one step should take on this machine, data not included.

    Args:
        tally: the step's work, from `work.watched`.
        speeds: measured ones (`convivo doctor`), in the form of `default_speeds`, which are taken
            without them and shared out over torch's threads.
    """
    measured = speeds is not None and speeds.get("form") == FORM
    table = speeds if speeds is not None and measured else default_speeds()
    spread = 1.0 if measured else table["threads"] / torch.get_num_threads()
    work = sum(count * _seconds(item, table) for item, count in tally.work.items())
    call = table["call"]
    calls = sum(call[key] * getattr(tally, key) for key in ("called", "replayed", "handled"))
    return spread * work + calls


def refine(predicted: float, measured: Sequence[float]) -> float:
    """The seconds to expect of a step once some have been taken: the median of steps 3 to 10.

    Args:
        predicted: before the run; the answer as long as there are fewer than three steps.
        measured: seconds of the steps so far, from the first on. The first two allocate, choose
            kernels and fill caches.
    Example:
        >>> refine(0.5, [9.0, 2.0]), refine(0.5, [9.0, 2.0, 0.7, 0.6, 0.8])
        (0.5, 0.7)
    """
    later = measured[WARM_UP:REFINED_BY]
    return median(later) if later else predicted


def _seconds(item: Work, table: Speeds) -> float:
    if item.kind.startswith("conv_"):
        return _conv_seconds(item, table)
    if item.kind == "matmul":
        flop, byte = _of(table["matmul"], item.precision)
        return max(item.flops * flop, item.bytes * byte)
    known = table["bytes"]
    curve = known.get(f"{item.kind}.{item.precision}") or _of(known, item.kind, "fp32")
    return item.bytes * _along(curve, item.bytes)


def _of(table: Mapping[str, Any], *names: str) -> Any:
    """The entry of a kind and precision, else its float32, else that of a sum."""
    key = ".".join(names)
    if key in table:
        return table[key]
    return table.get("fp32") or table["elementwise.fp32"]


def _conv_seconds(item: Work, table: Speeds) -> float:
    precision = "bf16" if item.precision == "fp16" else item.precision
    speed = "native" if item.native else precision
    taps, conv, key = math.prod(item.kernel), table["conv"], f"{item.kind}.{speed}"
    if item.groups > 1:
        key = f"{item.kind}.{precision}"
        per_position = _grouped(item, conv[f"{item.kind}.grouped.{precision}"])
    else:
        per_position = _on_grid(conv[f"{item.kind}.point.{speed}"], item.channels)
        if taps > 1:
            cube = _on_grid(conv[f"{item.kind}.{len(item.kernel)}.{speed}"], item.channels)
            per_position = _by_taps(per_position, cube, taps, 3 ** len(item.kernel))
    apart = item.items if item.native and item.groups == 1 else 1
    byte = _along(table["weight"][key], item.positions / item.items)
    start = table["fixed"][key] + item.bytes * byte
    return apart * start + item.positions * per_position


def _by_taps(point: float, cube: float, taps: int, measured: int) -> float:
    """Moving bytes takes as long for every kernel, arithmetic grows with it: a straight line."""
    slope = (cube - point) / (measured - 1)
    if slope <= 0:
        return cube * taps / measured
    return point + slope * (taps - 1)


def _grouped(item: Work, curve: Curve) -> float:
    """Measured for each group and sample of the kernel, with as many channels in as out."""
    width = math.sqrt(item.channels[0] * item.channels[1])
    beyond = max(width / curve[-1][0], 1.0) ** 2
    return _along(curve, width) * beyond * math.prod(item.kernel) * item.groups


def _on_grid(rows: Curve, channels: tuple[int, int]) -> float:
    """Between measured numbers of channels on logarithmic axes, above the last in proportion."""
    levels = sorted({row[0] for row in rows})
    grid = {(row[0], row[1]): row[2] for row in rows}
    inside = [min(max(n, levels[0]), levels[-1]) for n in channels]
    beyond = math.prod(max(n / levels[-1], 1.0) for n in channels)
    curve = [(i, _along([(o, grid[i, o]) for o in levels], inside[1])) for i in levels]
    return _along(curve, inside[0]) * beyond


def _along(curve: Curve, x: float) -> float:
    """A curve through measured points, straight on logarithmic axes, flat beyond its ends."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (a, low), (b, high) in pairwise(curve):
        if x <= b:
            share = math.log(x / a) / math.log(b / a)
            return low ** (1 - share) * high**share
    return curve[-1][1]
