"""The ledger: what lives at every moment of a step, by kind and layer; the peak, and where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from convivo.planning.events import KINDS, Holding, Moment, Trace

OPERATIONS = KINDS.index("operations")


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One moment of the timeline. bytes: what lives then, one number for each of `KINDS`."""

    index: int
    step: int
    phase: str
    layer: str
    op: str
    bytes: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.bytes)

    @property
    def place(self) -> str:
        """Where this is, for the reader.

        Example:
            >>> settings = {"index": 0, "step": 1, "op": "", "bytes": ()}
            >>> Point(phase="backward", layer="layer4.1.conv2", **settings).place
            'layer4.1.conv2 (backward)'
        """
        return f"{self.layer} ({self.phase})" if self.layer not in ("", self.phase) else self.phase


@dataclass(frozen=True, kw_only=True)
class LayerBytes:
    """What one layer holds at the peak, by kind, and the sums behind it, the largest first."""

    name: str
    bytes: dict[str, int]
    formulas: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A trace summed up.

    memory: bytes of each of `KINDS` at the peak. tensors_peak: their sum. peak: the moment.
    timeline: all moments. peaks: of each step. layers: at the peak, in the order of birth.
    outputs: what each layer's forward pass leaves for the backward pass or the next layers, in the
    last step.
    """

    memory: dict[str, int]
    tensors_peak: int
    peak: Point
    timeline: tuple[Point, ...]
    peaks: tuple[int, ...]
    layers: tuple[LayerBytes, ...]
    outputs: dict[str, tuple[Holding, ...]]

    @property
    def peak_at(self) -> str:
        """Layer and phase of the peak, such as "layer4.1.conv2 (backward)"."""
        return self.peak.place


def ledger(trace: Trace) -> Ledger:
    """Sum up a trace.

    The peak is the first moment at which most lives. What the operation of that moment takes for
    itself is among the operations.
    """
    timeline = tuple(_timeline(trace))
    peak = max(timeline, key=lambda point: (point.total, -point.index))
    steps = range(1, trace.steps + 1)
    return Ledger(
        memory=dict(zip(KINDS, peak.bytes, strict=True)),
        tensors_peak=peak.total,
        peak=peak,
        timeline=timeline,
        peaks=tuple(max((p.total for p in timeline if p.step == n), default=0) for n in steps),
        layers=_layers(trace, peak),
        outputs=_outputs(trace),
    )


def _timeline(trace: Trace) -> Iterator[Point]:
    """What lives at each moment: running sums of births and deaths, kind by kind."""
    count = len(trace.moments)
    changes = [[0] * (count + 2) for _ in KINDS]
    for holding in trace.holdings:
        row = changes[KINDS.index(holding.kind)]
        row[holding.born] += holding.bytes
        row[min(holding.died, count) + 1] -= holding.bytes
    sums = [list(accumulate(row)) for row in changes]
    for index, moment in enumerate(trace.moments or _quiet(trace)):
        living = [row[index] for row in sums]
        living[OPERATIONS] += moment.hidden
        yield Point(
            index=index,
            step=moment.step,
            phase=moment.phase,
            layer=moment.layer,
            op=moment.op,
            bytes=tuple(living),
        )


def _quiet(trace: Trace) -> tuple[Moment]:
    """A network that allocates nothing has one moment all the same."""
    return (Moment(step=1, phase="start", layer="", op="", hidden=0),)


def _layers(trace: Trace, peak: Point) -> tuple[LayerBytes, ...]:
    living: dict[str, list[Holding]] = {}
    for holding in trace.holdings:
        if holding.born <= peak.index <= holding.died:
            living.setdefault(holding.layer, []).append(holding)
    hidden = trace.moments[peak.index].hidden if trace.moments else 0
    if hidden:
        living.setdefault(peak.layer, []).append(_own(peak, hidden))
    return tuple(
        LayerBytes(name=name, bytes=_by_kind(found), formulas=_formulas(found))
        for name, found in living.items()
    )


def _own(peak: Point, hidden: int) -> Holding:
    """What the operation at the peak takes for itself."""
    return Holding(
        bytes=hidden,
        born=peak.index,
        died=peak.index,
        shape=(),
        itemsize=1,
        kind="operations",
        layer=peak.layer,
        op=peak.op,
    )


def _by_kind(holdings: Sequence[Holding]) -> dict[str, int]:
    return {kind: sum(h.bytes for h in holdings if h.kind == kind) for kind in KINDS}


def _formulas(holdings: Sequence[Holding]) -> tuple[str, ...]:
    ordered = sorted(holdings, key=lambda h: -h.bytes)
    return tuple(f"{h.kind}: {h.formula}" for h in ordered)


def _outputs(trace: Trace) -> dict[str, tuple[Holding, ...]]:
    found: dict[str, tuple[Holding, ...]] = {}
    for holding in trace.holdings:
        if holding.kind != "outputs" or holding.recomputed or not trace.moments:
            continue
        moment = trace.moments[holding.born]
        if moment.step == trace.steps and moment.phase == "forward" and holding.op != "input":
            found[holding.layer] = (*found.get(holding.layer, ()), holding)
    return found
