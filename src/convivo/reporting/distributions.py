"""Plots of how values spread: an interval as dot and whiskers, cases as strips with a box."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from markupsafe import Markup

from convivo.reporting.formatting import decimal, short
from convivo.reporting.plots import Scale, element, padded, svg, ticks

WHISKER_WIDTH = 230
ROW_HEIGHT = 46
MAX_DOTS = 400


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The values of one row of a strip plot, each with the id of its case."""

    name: str
    values: Sequence[float]
    ids: Sequence[str]
    color: int = 0


def interval_range(rows: Iterable[Sequence[float | None]], *, bounded: bool) -> tuple[float, float]:
    """The part of the axis that dots and whiskers of a table share.

    Scores end at 1 and begin at the tenth below the lowest value; others begin at 0.

    Example:
        >>> interval_range([(0.88, 0.86, 0.90), (0.4, None, None)], bounded=True)
        (0.3, 1.0)
    """
    values = [v for row in rows for v in row if v is not None]
    if not bounded:
        return padded(values, floor_at=0.0)
    low = min(values, default=0.0)
    start = 0.0 if 0 <= low < 0.3 else np.floor(low * 10 - 0.5) / 10
    return round(float(min(start, 0.9)), 1), max(1.0, *values) if values else 1.0


def whisker(triple: Sequence[float | None], span: tuple[float, float]) -> Markup:
    """A value as a dot and its interval as a line, on a scale shared with its neighbours.

    Args:
        triple: value, low and high end of the interval; None where unknown.
        span: the values at the left and right end of the scale.
    """
    value, low, high = triple
    x = Scale(*span, 8, WHISKER_WIDTH - 8)
    body = [element("line", class_="grid", x1=x(t), x2=x(t), y1=0, y2=22) for t in ticks(*span, 4)]
    words = decimal(value)
    if low is not None and high is not None:
        a, b = x(max(low, span[0])), x(min(high, span[1]))
        body.append(element("line", class_="whisker", x1=a, x2=b, y1=11, y2=11))
        body += [element("line", class_="whisker", x1=e, x2=e, y1=7, y2=15) for e in (a, b)]
        words += f", 95 % interval {decimal(low)} to {decimal(high)}"
    if value is not None:
        body.append(element("circle", class_="f0", cx=x(value), cy=11, r=4))
    return svg(WHISKER_WIDTH, 22, body, label=words)


def whisker_axis(span: tuple[float, float]) -> Markup:
    """The numbers above a column of whiskers."""
    x = Scale(*span, 8, WHISKER_WIDTH - 8)
    marks = ticks(*span, 4)
    body = [element("text", short(t), class_="tick mid", x=x(t), y=11) for t in marks]
    return svg(WHISKER_WIDTH, 14, body, label=f"axis from {short(span[0])} to {short(span[1])}")


def strip_plot(
    strips: Sequence[Strip], *, label: str, x_label: str, width: int = 780, errors: bool = False
) -> Markup:
    """One row per group: a dot per case, with a box from the first to the third quartile.

    `errors` have no upper end, even where all of them lie between 0 and 1. Where a group has more
    cases than can be told apart, the dots are an even choice of them.
    """
    values = [v for s in strips for v in s.values if isfinite(v)]
    scores = bool(values) and min(values) >= 0 and max(values) <= 1 and not errors
    span = (min(0.5, np.floor(min(values) * 10) / 10), 1.0) if scores else padded(values)
    left = min(190, 24 + 7 * max((len(s.name) for s in strips), default=0))
    x, bottom = Scale(float(span[0]), span[1], left, width - 14), ROW_HEIGHT * len(strips) + 6
    body = []
    for t in ticks(x.low, x.high, 6):
        body.append(element("line", class_="grid", x1=x(t), x2=x(t), y1=4, y2=bottom))
        body.append(element("text", short(t), class_="tick mid", x=x(t), y=bottom + 16))
    for row, strip in enumerate(strips):
        body.extend(strip_row(strip, x, ROW_HEIGHT * (row + 0.5) + 4))
    body.append(element("line", class_="axis", x1=x.start, x2=x.stop, y1=bottom, y2=bottom))
    middle = (x.start + x.stop) / 2
    body.append(element("text", x_label, class_="label mid", x=middle, y=bottom + 34))
    return svg(width, bottom + 42, body, label=label)


def strip_row(strip: Strip, x: Scale, middle: float) -> Iterable[Markup]:
    """The name, the box with its median, and the dots of one group."""
    name = strip.name if len(strip.name) <= 24 else strip.name[:23] + "…"
    yield element("text", name, class_="label end", x=x.start - 12, y=middle + 4)
    pairs = sorted((v, i) for v, i in zip(strip.values, strip.ids, strict=True) if isfinite(v))
    if not pairs:
        yield element("text", "no case", class_="tick", x=x.start + 6, y=middle + 4)
        return
    first, median, third = (float(q) for q in np.quantile([v for v, _ in pairs], (0.25, 0.5, 0.75)))
    a, b = x(first), x(third)
    yield element("rect", class_="box", x=a, y=middle - 15, width=max(b - a, 1.0), height=30, rx=3)
    yield element("line", class_="median", x1=x(median), x2=x(median), y1=middle - 15,
                  y2=middle + 15)  # fmt: skip
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), MAX_DOTS)).astype(int))
    for place, n in enumerate(chosen):
        value, case = pairs[n]
        # The golden ratio spreads neighbours apart without a random generator.
        lift = (place * 0.618034 % 1 - 0.5) * 22
        tip = element("title", f"{case}: {decimal(value)}")
        yield element("circle", tip, class_=f"dot f{strip.color % 6}", cx=x(value),
                      cy=middle + lift, r=2.8)  # fmt: skip
