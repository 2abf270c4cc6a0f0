"""Sizes, spacing, channels and type of a data set, in numbers, from its headers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from convivo.data.sample import Header

Shape = tuple[int, ...]
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Per axis, in the files' own axis order.

    shape_*: samples. spacing: median in `spacing_unit`, None where no file says it.
    dtype, channels, axes: the most frequent; axes are "RAS"-like codes where the files say how
    they lie in space, else "YX", "ZYX", "T".
    """

    shape_min: Shape
    shape_median: Shape
    shape_max: Shape
    spacing: tuple[float, ...] | None
    spacing_unit: str
    dtype: str
    channels: int
    axes: str

    def document(self) -> dict:
        """The keys channels, shape, spacing, axes and dtype of the inspection's JSON."""
        return {
            "channels": self.channels,
            "shape": {
                "min": list(self.shape_min),
                "median": list(self.shape_median),
                "max": list(self.shape_max),
            },
            "spacing": {
                "unit": self.spacing_unit,
                "median": None if self.spacing is None else list(self.spacing),
            },
            "axes": self.axes,
            "dtype": self.dtype,
        }


def statistics_of(headers: Sequence[Header]) -> Statistics:
    """Over all headers that have the usual number of axes; at least one header is needed.

    Example:
        >>> one = Header(shape=(7, 9), channels=1, dtype="uint8", axes="YX")
        >>> statistics_of([one, one]).shape_median
        (7, 9)
    """
    axes = _usual([len(header.shape) for header in headers])
    alike = [header for header in headers if len(header.shape) == axes]
    shapes = np.array([header.shape for header in alike], dtype=np.int64)
    known = [h.spacing for h in alike if h.spacing is not None and len(h.spacing) == axes]
    spacing = np.median(np.array(known), axis=0) if known else None
    return Statistics(
        shape_min=tuple(shapes.min(axis=0).tolist()),
        shape_median=tuple(int(n) for n in np.median(shapes, axis=0)),
        shape_max=tuple(shapes.max(axis=0).tolist()),
        spacing=None if spacing is None else tuple(spacing.tolist()),
        spacing_unit=_usual([h.spacing_unit for h in alike]),
        dtype=_usual([header.dtype for header in headers]),
        channels=_usual([header.channels for header in headers]),
        axes=_usual([header.axes for header in alike]),
    )


def _usual(values: Sequence[Value]) -> Value:
    return Counter(values).most_common(1)[0][0]
