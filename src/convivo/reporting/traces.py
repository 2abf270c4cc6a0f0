"""Pictures of signals: one line per channel over time, marked moments, and labelled stretches."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from convivo.reporting.content import CasePicture
from convivo.reporting.formatting import short
from convivo.reporting.planes import usable_spacing
from convivo.reporting.plots import Scale, element, svg, ticks

WIDTH, LEAD_HEIGHT, LEFT = 780, 92, 64
MAX_LEADS, MAX_COLUMNS = 4, 700
TEXT_ROOM = 30


def trace(case: CasePicture, *, label: str) -> Markup:
    """A signal (C, T) as lines over time, at most the first four channels."""
    samples, step = case.image.shape[1], usable_spacing(case)[0]
    time = Scale(0.0, max(samples - 1, 1) * step, LEFT, WIDTH - 12)
    leads = min(case.image.shape[0], MAX_LEADS)
    top = 22 if case.marks else 6
    bottom = top + leads * LEAD_HEIGHT
    body = [*time_grid(time, top, bottom)]
    body.extend(marked(case, time, step, top=top, bottom=bottom))
    for n in range(leads):
        body.extend(lead(case.image[n], n, time, top + n * LEAD_HEIGHT))
    for name, labels in (("truth", case.truth), ("predicted", case.prediction)):
        if labels is not None:
            body.extend(stretches(labels, name, time, step, bottom + 4))
            bottom += 18
    body.extend(time_axis(time, case, bottom))
    return svg(WIDTH, bottom + 40, body, label=label)


def time_grid(time: Scale, top: float, bottom: float) -> Iterable[Markup]:
    """Upright lines at round times."""
    for value in ticks(time.low, time.high, 8):
        yield element("line", class_="grid", x1=time(value), x2=time(value), y1=top, y2=bottom)


def time_axis(time: Scale, case: CasePicture, bottom: float) -> Iterable[Markup]:
    """The numbers and the unit of the time axis."""
    yield element("line", class_="axis", x1=time.start, x2=time.stop, y1=bottom, y2=bottom)
    for value in ticks(time.low, time.high, 8):
        yield element("text", short(value), class_="tick mid", x=time(value), y=bottom + 16)
    unit = case.spacing_unit if case.spacing else "samples"
    name = f"time in {unit}" if unit != "samples" else "samples"
    middle = (time.start + time.stop) / 2
    yield element("text", name, class_="label mid", x=middle, y=bottom + 33)


def lead(values: np.ndarray, number: int, time: Scale, top: float) -> Iterable[Markup]:
    """One channel; where samples are closer than pixels, the lowest and highest of each column.

    Its range leaves out the outermost 0.1 %, so that one spike does not flatten the rest.
    """
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (0.1, 99.9)) if finite.size else (0.0, 1.0)
    air = 0.06 * (high - low) or 0.5
    y = Scale(float(low - air), float(high + air), top + LEAD_HEIGHT - 5, top + 5)
    for value in ticks(y.low, y.high, 2):
        yield element("text", short(value), class_="tick end", x=LEFT - 8, y=y(value) + 3.5)
    places = np.linspace(time.start, time.stop, len(values))
    clipped = np.clip(values, y.low, y.high)
    for run in finite_runs(clipped):
        x_run, v_run = envelope(places[run], clipped[run])
        points = " ".join(f"{a:.1f},{y(float(b)):.1f}" for a, b in zip(x_run, v_run, strict=True))
        yield element("polyline", points=points, class_="trace")
    if number:
        yield element("line", class_="grid", x1=time.start, x2=time.stop, y1=top, y2=top)


def finite_runs(values: np.ndarray) -> list[slice]:
    """Stretches without a missing value, at least two samples long."""
    edges = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1]


def envelope(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The samples themselves, or lowest and highest of each of at most 700 columns."""
    if len(values) <= 2 * MAX_COLUMNS:
        return places, values
    starts = np.linspace(0, len(values), MAX_COLUMNS, endpoint=False).astype(int)
    pairs = np.stack([np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)])
    return np.repeat(places[starts], 2), pairs.T.ravel()


def marked(
    case: CasePicture, time: Scale, step: float, *, top: float, bottom: float
) -> Iterable[Markup]:
    """A line at each marked sample, with its text where there is room for it."""
    free = -np.inf
    for sample, text in sorted(case.marks):
        x = time(sample * step)
        if not time.start <= x <= time.stop:
            continue
        yield element("line", class_="mark", x1=x, x2=x, y1=top - 2, y2=bottom)
        if text and x >= free:
            yield element("text", text, class_="tick mid", x=x, y=top - 7)
            free = x + max(TEXT_ROOM, 7 * len(text))


def stretches(
    labels: np.ndarray, name: str, time: Scale, step: float, top: float
) -> Iterable[Markup]:
    """A band under the signal: a coloured bar for each run of one foreground class."""
    yield element("text", name, class_="tick end", x=LEFT - 8, y=top + 10)
    runs = np.diff(labels.astype(np.int64), prepend=-1, append=-1) != 0
    edges = np.append(np.flatnonzero(runs[:-1]), len(labels))
    for a, b in pairwise(edges):
        if labels[a] > 0:
            x, end = time(a * step), time(min(b, len(labels) - 1) * step)
            color = f"f{(int(labels[a]) - 1) % 6}"
            yield element("rect", class_=color, x=x, y=top, width=max(end - x, 1.0), height=12)
