"""Memory and time: what was foretold beside what was measured, and the ledger of a step."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from convivo.reporting.area_plot import Layer, Stacked, area_plot
from convivo.reporting.content import Report
from convivo.reporting.formatting import (
    MISSING,
    at,
    byte_size,
    duration,
    mapping,
    real,
    sequence,
    short,
)
from convivo.reporting.plots import legend

# In the order of the picture, from what stays to what comes and goes; colours by place.
KINDS = {
    "parameters": "Parameters and buffers",
    "optimizer": "Optimizer state",
    "gradients": "Gradients of parameters",
    "outputs": "Kept outputs",
    "losses": "Loss and gradients of outputs",
    "operations": "Temporary buffers",
}
SUMS = {
    "tensors_peak": "Tensors at the peak",
    "overhead": "Around the tensors",
    "process_peak": "Whole process",
    "process_bound": "Whole process, at most",
    "reserved_peak": "Reserved on the device",
}
PREDICTION = "Tensors while predicting"
MIB, GIB = 2**20, 2**30


def costs_card(report: Report) -> dict[str, Any] | None:
    """All that this part of the page shows; None where nothing is known."""
    foretold, measured = mapping(at(report.plan, "memory")), mapping(at(report.plan, "measured"))
    kinds = kind_rows(foretold, mapping(measured.get("memory")))
    sums = [row for row in sum_rows(report) if row]
    figure = timeline_figure(report)
    if not kinds and not sums and figure is None:
        return None
    return {"sentence": sentence(report), "figure": figure, "kinds": kinds, "sums": sums}


def kind_rows(foretold: Mapping[str, Any], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each kind at the peak: both amounts, and bars on a scale that they share."""
    found = {kind: (real(foretold.get(kind)), real(measured.get(kind))) for kind in KINDS}
    most = max((value for pair in found.values() for value in pair if value), default=None)
    if most is None:
        return []
    return [
        {
            "name": KINDS[kind],
            "color": number,
            "foretold": byte_size(pair[0]),
            "measured": byte_size(pair[1]),
            "bars": [round(100 * (value or 0) / most, 2) for value in pair],
        }
        for number, (kind, pair) in enumerate(found.items())
        if any(pair)
    ]


def sum_rows(report: Report) -> list[dict[str, str] | None]:
    """The sums, the process and the time; None for what is not known."""
    foretold, measured = mapping(at(report.plan, "memory")), mapping(at(report.plan, "measured"))
    rows = [
        row(name, foretold.get(key), measured.get(key), byte_size) for key, name in SUMS.items()
    ]
    rows.append(
        row(
            PREDICTION,
            at(report.evaluation, "predicted", "tensors_peak"),
            at(report.evaluation, "measured", "tensors_peak"),
            byte_size,
        )
    )
    return rows + time_rows(measured, real(at(report.plan, "seconds_per_step")))


def time_rows(measured: Mapping[str, Any], planned: float | None) -> list[dict[str, str] | None]:
    """A step alone, as it was foretold, and the drawing of its batch; else the whole step."""
    whole, drawing = real(measured.get("seconds_per_step")), real(measured.get("seconds_drawing"))
    foretold = real(measured.get("seconds_foretold"))
    if whole is None or drawing is None or foretold is None:
        return [row("Time per step", planned, whole, duration)]
    return [
        row("Time per step, without its batch", foretold, max(whole - drawing, 0.0), duration),
        row("Time to draw a batch", None, drawing, duration),
        row("Time per step, whole", planned, whole, duration),
    ]


def row(name: str, foretold: object, measured: object, words: Any) -> dict[str, str] | None:
    """A line of the table, if either side is known."""
    one, other = real(foretold), real(measured)
    if one is None and other is None:
        return None
    texts = {"name": name, "foretold": words(one), "measured": words(other)}
    return texts | {"ratio": MISSING if not one or other is None else f"{other / one:.2f}"}


def sentence(report: Report) -> str:
    """How well the tensors and the process were foretold."""
    foretold, measured = mapping(at(report.plan, "memory")), mapping(at(report.plan, "measured"))
    told = []
    for key, name in (("tensors_peak", "The tensors of a step"), ("process_peak", "The process")):
        one, other = real(foretold.get(key)), real(measured.get(key))
        if one and other:
            told.append(f"{name} took {byte_size(other)}, {byte_size(one)} were foretold.")
    bound, took = real(foretold.get("process_bound")), real(measured.get("process_peak"))
    if bound and took and took > bound:
        told.append(f"That is more than the {byte_size(bound)} that it should take at most.")
    return " ".join(told)


def timeline_figure(report: Report) -> dict[str, Any] | None:
    """The ledger's timeline: what was foretold to live over one step."""
    found = mapping(at(report.plan, "timeline"))
    x, places = numbers(found.get("moment")), {k: numbers(at(found, "bytes", k)) for k in KINDS}
    peak = real(found.get("peak"))
    if len(x) < 2 or peak is None or any(len(p) != len(x) for p in places.values()):
        return None
    top = sum(amounts[int(peak)] for amounts in places.values())
    unit, size = ("GiB", GIB) if top >= 2 * GIB else ("MiB", MIB)
    layers = [
        Layer(name=KINDS[kind], amounts=[v / size for v in amounts], color=number)
        for number, (kind, amounts) in enumerate(places.items())
    ]
    where = at(report.plan, "peak_at") or name_at(found.get("layer"), int(peak))
    words = (
        f"{short(top / size, 4)} {unit} in {where}" if where else f"{short(top / size, 4)} {unit}"
    )
    stretches = [(x[place], name) for place, name in runs(found.get("phase"), len(x))]
    shown = Stacked(x=x, layers=layers, stretches=stretches, peak=(int(peak), words), unit=unit)
    # the last kind lies on top in the picture and comes first in its key
    key = [(k.name, k.color) for k in reversed(layers) if any(k.amounts)]
    return {"plot": area_plot(shown, label=spoken(shown, words)), "legend": legend(key),
            "caption": caption(found)}  # fmt: skip


def caption(found: Mapping[str, Any]) -> str:
    """What the picture shows, in a sentence or two."""
    moments = short(found.get("moments"))
    return (
        f"The ledger of one step, as it was foretold: what lives at each of its {moments} "
        "allocations, by kind, from the forward pass to the optimizer. The dot is the peak."
    )


def spoken(shown: Stacked, words: str) -> str:
    """The picture for readers who cannot see it."""
    place = shown.peak[0]
    parts = [f"{k.name} {short(k.amounts[place])}" for k in shown.layers if k.amounts[place]]
    return f"Memory over one step; its peak is {words}: {', '.join(parts)} {shown.unit}."


def numbers(values: object) -> list[float]:
    """A list of finite numbers, or an empty one."""
    found = [real(value) for value in sequence(values)]
    return [value for value in found if value is not None] if None not in found else []


def runs(values: object, count: int) -> list[tuple[int, str]]:
    """(first place, name) pairs that lie within `count` places, in order."""
    pairs = [(int(p[0]), str(p[1])) for p in sequence(values) if len(sequence(p)) == 2]
    inside = [pair for pair in pairs if 0 <= pair[0] < count]
    return inside if all(a[0] < b[0] for a, b in pairwise(inside)) else []


def name_at(values: object, place: int) -> str:
    """The name whose run holds a place."""
    return next((name for first, name in reversed(runs(values, place + 1)) if first <= place), "")
