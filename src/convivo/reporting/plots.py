"""Small plots as inline SVG, and the palette of all figures.

Colours are those of Okabe & Ito (2008, "Color Universal Design"), told apart by colour-blind
readers too. Lines and fills carry a class (`s0`, `f0`, ...), so that the page's style sheet can
give them other shades of the same palette on a dark ground.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from markupsafe import Markup, escape

from convivo.reporting.formatting import short

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW = "#E69F00", "#56B4E9", "#F0E442"
SERIES_LIGHT = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
SERIES_DARK = (SKY, ORANGE, GREEN, PURPLE, YELLOW, VERMILLION)
# Outlines on pictures: one cool and one warm family, so that truth and prediction stay apart.
TRUTH_COLORS = (SKY, GREEN, BLUE, PURPLE)
PREDICTION_COLORS = (ORANGE, YELLOW, VERMILLION, "#FFFFFF")
MAX_POINTS = 600


@dataclass(frozen=True)
class Scale:
    """A straight map from values low..high to places start..stop on the page."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a plot: a name, its points, and the number of its colour."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: int = 0
    dots: bool = False
    joined: bool = True


def element(tag: str, content: object = None, /, **attributes: object) -> Markup:
    """One SVG element; numbers are rounded, texts escaped, `class_` and `_` become HTML's names.

    Example:
        >>> print(element("text", "a < b", x=1.234, class_="tick"))
        <text x="1.2" class="tick">a &lt; b</text>
    """
    parts = []
    for name, value in attributes.items():
        text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
        parts.append(Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), text))
    body = Markup("").join(parts)
    if content is None:
        return Markup("<{}{}/>").format(Markup(tag), body)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), body, escape(content))


def svg(width: float, height: float, body: Iterable[Markup], *, label: str) -> Markup:
    """A drawing with its text for readers who cannot see it; it shrinks with the page."""
    inner = Markup("").join(body)
    box = f"0 0 {width:g} {height:g}"
    return element("svg", inner, viewBox=box, width=width, height=height, role="img",
                   aria_label=label)  # fmt: skip


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About so many round numbers from low to high, both included where they are round.

    Example:
        >>> ticks(0, 1), ticks(0.83, 0.91, 4)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.84, 0.86, 0.88, 0.9])
    """
    step = nice_step(low, high, wanted)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def nice_step(low: float, high: float, wanted: int) -> float:
    """The step of 1, 2, 2.5 or 5 times a power of ten that gives about `wanted` ticks."""
    rough = max((high - low) / max(wanted, 1), 1e-12)
    power = 10.0 ** floor(log10(rough))
    choices = [m * power for m in (1, 2, 2.5, 5, 10)]
    return min(choices, key=lambda step: abs(step - rough))


def padded(values: Iterable[float], *, floor_at: float | None = None) -> tuple[float, float]:
    """A range that shows all finite values with a little air; never empty.

    Example:
        >>> padded([2.0, 4.0], floor_at=0), padded([])
        ((0, 4.1), (0.0, 1.0))
    """
    finite = [v for v in values if isfinite(v)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    air = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    if floor_at is not None and low >= floor_at:
        return floor_at, high + air
    return low - air, high + air


def line_plot(
    series: Sequence[Series],
    *,
    label: str,
    x_label: str = "",
    y_label: str = "",
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    width: int = 420,
    height: int = 230,
    diagonal: bool = False,
    mark_x: float | None = None,
) -> Markup:
    """Lines over a quiet grid; `diagonal` adds the line of chance, `mark_x` an upright one."""
    x_low, x_high = x_range or exact([v for s in series for v in s.x])
    y_low, y_high = y_range or padded([v for s in series for v in s.y])
    x = Scale(x_low, x_high, 52, width - 12)
    y = Scale(y_low, y_high, height - 40, 12)
    body = [*axes(x, y, x_label=x_label, y_label=y_label)]
    if diagonal:
        ends = {"x1": x(x_low), "y1": y(y_low), "x2": x(x_high), "y2": y(y_high)}
        body.append(element("line", class_="guide", **ends))
    if mark_x is not None and x_low <= mark_x <= x_high:
        body.append(element("line", class_="guide", x1=x(mark_x), x2=x(mark_x), y1=y.start,
                            y2=y.stop))  # fmt: skip
    for one in series:
        body.extend(line(one, x, y))
    return svg(width, height, body, label=label)


def exact(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the greatest value, widened where they are one."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def axes(x: Scale, y: Scale, *, x_label: str, y_label: str) -> Iterable[Markup]:
    """Grid lines, ticks and the names of both axes."""
    for value in ticks(y.low, y.high, 4):
        yield element("line", class_="grid", x1=x.start, x2=x.stop, y1=y(value), y2=y(value))
        yield element("text", short(value), class_="tick end", x=x.start - 7, y=y(value) + 3.5)
    whole = x_label in ("epoch", "step") and x.high - x.low >= 2
    for value in ticks(x.low, x.high, 6):
        if not whole or value == int(value):
            yield element("text", short(value), class_="tick mid", x=x(value), y=y.start + 16)
    yield element("line", class_="axis", x1=x.start, x2=x.stop, y1=y.start, y2=y.start)
    middle = (x.start + x.stop) / 2
    yield element("text", x_label, class_="label mid", x=middle, y=y.start + 34)
    turn = f"translate(13 {(y.start + y.stop) / 2:.1f}) rotate(-90)"
    yield element("text", y_label, class_="label mid", transform=turn)


def line(series: Series, x: Scale, y: Scale) -> Iterable[Markup]:
    """A broken line through the finite points; a single point becomes a dot."""
    points = thinned([(a, b) for a, b in zip(series.x, series.y, strict=True) if isfinite(a + b)])
    places = [(x(a), y(b)) for a, b in points]
    if series.joined and len(places) > 1:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        yield element("polyline", points=path, class_=f"line s{series.color % 6}")
    if series.dots or len(places) == 1:
        for a, b in places:
            yield element("circle", cx=a, cy=b, r=2.6, class_=f"f{series.color % 6}")


def thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most MAX_POINTS of the points, evenly spread, the last one always kept."""
    if len(points) <= MAX_POINTS:
        return points
    step = len(points) / (MAX_POINTS - 1)
    return [points[int(i * step)] for i in range(MAX_POINTS - 1)] + [points[-1]]


def legend(names: Sequence[tuple[str, int]]) -> Markup:
    """The key of a plot: colour and name, as a list beneath it."""
    items = Markup("").join(
        Markup('<li><i class="swatch b{}"></i>{}</li>').format(color % 6, name)
        for name, color in names
    )
    return Markup('<ul class="legend">{}</ul>').format(items)
