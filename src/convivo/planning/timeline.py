"""A step's ledger over time, thinned to what a picture shows: for `plan.json` and the report."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from convivo.planning.events import KINDS
from convivo.planning.ledger import Ledger, Point

SHOWN = 300  # moments; a picture has no more columns to tell apart


def timeline(held: Ledger, shown: int = SHOWN) -> dict[str, Any]:
    """What lives over a steady step: the last one, or that of the peak where it is higher.

    Returns:
        `step`; `moments`: how many there were; then a column each, an entry for each moment kept:
        `moment`: its place in the step, `phase` and `layer` as (first entry, name) of each run of
        equal ones, `bytes`: by kind, and `peak`: the entry at which most lives.
    """
    last = held.timeline[-1].step
    step = last if held.peaks and held.peaks[-1] == held.tensors_peak else held.peak.step
    points = [point for point in held.timeline if point.step == step]
    kept = _thinned(points, shown)
    totals = [point.total for point in kept]
    return {
        "step": step,
        "moments": len(points),
        "peak": totals.index(max(totals)),
        "moment": [point.index - points[0].index for point in kept],
        "phase": _runs([point.phase for point in kept]),
        "layer": _runs([point.layer for point in kept]),
        "bytes": {kind: [point.bytes[n] for point in kept] for n, kind in enumerate(KINDS)},
    }


def _thinned(points: Sequence[Point], shown: int) -> list[Point]:
    """Of each stretch the highest and the lowest moment, so that peaks stay; of each phase one."""
    if len(points) <= shown:
        return list(points)
    kept = {point.phase: point for point in reversed(points)}.values()
    found = {point.index: point for point in kept}
    stretches = (shown - len(found)) // 2
    for number in range(stretches):
        first, stop = (len(points) * n // stretches for n in (number, number + 1))
        for chosen in (max, min):
            point = chosen(points[first:stop], key=_total)
            found[point.index] = point
    return [found[index] for index in sorted(found)]


def _total(point: Point) -> int:
    return point.total


def _runs(names: Sequence[str]) -> list[tuple[int, str]]:
    """The first place of each run of equal names.

    Example:
        >>> _runs(["forward", "forward", "loss"])
        [(0, 'forward'), (2, 'loss')]
    """
    groups = groupby(range(len(names)), key=lambda place: names[place])
    return [(next(places), name) for name, places in groups]
