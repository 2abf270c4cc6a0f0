"""The ledger's timeline as a picture: what lives over one step, kinds stacked, the peak marked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convivo.reporting.formatting import short
from convivo.reporting.plots import Scale, element, nice_step, svg, ticks

LEFT, RIGHT, TOP, BOTTOM = 58, 12, 26, 40
ROOM_FOR_A_NAME = 56  # narrower stretches go without


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One kind: an amount at each place, and the number of its colour."""

    name: str
    amounts: Sequence[float]
    color: int


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """What is drawn.

    x: places from left to right. layers: from the ground up. stretches: (first x, name) of each.
    peak: which place, and what is said there. unit: of the amounts.
    """

    x: Sequence[float]
    layers: Sequence[Layer]
    stretches: Sequence[tuple[float, str]]
    peak: tuple[int, str]
    unit: str


def area_plot(shown: Stacked, *, label: str, width: int = 780, height: int = 300) -> Markup:
    """Stacked areas over a quiet grid, named stretches below, a dot at the peak."""
    totals = [sum(amounts) for amounts in zip(*(k.amounts for k in shown.layers), strict=True)]
    x = Scale(shown.x[0], max(shown.x[-1], shown.x[0] + 1), LEFT, width - RIGHT)
    top = max(totals) or 1.0
    y = Scale(0.0, top + nice_step(0.0, top, 4) / 4, height - BOTTOM, TOP)
    body = [*_grid(x, y, shown.unit)]
    ground = [0.0] * len(shown.x)
    for layer in shown.layers:
        above = [a + b for a, b in zip(ground, layer.amounts, strict=True)]
        if any(layer.amounts):
            body.append(_area(x, y, shown.x, ground, above, layer))
        ground = above
    body += [*_stretches(x, y, shown), *_peak(x, y, shown, totals)]
    return svg(width, height, body, label=label)


def _grid(x: Scale, y: Scale, unit: str) -> Iterable[Markup]:
    for value in ticks(y.low, y.high, 4):
        yield element("line", class_="grid", x1=x.start, x2=x.stop, y1=y(value), y2=y(value))
        yield element("text", short(value), class_="tick end", x=x.start - 7, y=y(value) + 3.5)
    yield element("text", unit, class_="tick end", x=x.start - 7, y=y.stop - 10)
    yield element("line", class_="axis", x1=x.start, x2=x.stop, y1=y.start, y2=y.start)


def _area(
    x: Scale,
    y: Scale,
    places: Sequence[float],
    below: Sequence[float],
    above: Sequence[float],
    layer: Layer,
) -> Markup:
    there = [f"{x(p):.1f},{y(v):.1f}" for p, v in zip(places, above, strict=True)]
    back = [f"{x(p):.1f},{y(v):.1f}" for p, v in zip(places, below, strict=True)]
    points = " ".join([*there, *reversed(back)])
    title = element("title", layer.name)
    return element("polygon", title, points=points, class_=f"area f{layer.color % 6}")


def _stretches(x: Scale, y: Scale, shown: Stacked) -> Iterable[Markup]:
    """A line where each begins, its name in its middle where there is room."""
    ends = [first for first, _ in shown.stretches[1:]] + [shown.x[-1]]
    for (first, name), end in zip(shown.stretches, ends, strict=True):
        start, stop = x(first), x(end)
        if start > x.start + 1:
            yield element("line", class_="guide", x1=start, x2=start, y1=y.start + 6, y2=y.stop)
        if stop - start >= ROOM_FOR_A_NAME:
            middle = (start + stop) / 2
            yield element("text", name, class_="label mid", x=middle, y=y.start + 20)


def _peak(x: Scale, y: Scale, shown: Stacked, totals: Sequence[float]) -> Iterable[Markup]:
    place, words = shown.peak
    at, high = x(shown.x[place]), y(totals[place])
    middle = (x.start + x.stop) / 2
    side = "end" if at > middle else ""
    yield element("line", class_="axis", x1=at, x2=at, y1=high, y2=y.stop - 6)
    yield element("circle", class_="peak", cx=at, cy=high, r=3.5)
    shift = -6 if side else 6
    yield element("text", words, class_=f"label {side}".strip(), x=at + shift, y=y.stop - 6)
