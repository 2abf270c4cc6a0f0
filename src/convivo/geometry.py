"""Integers about axes: one value per axis, output sizes, padding. No torch, no arrays."""

from collections.abc import Sequence
from math import floor

from convivo.errors import ShapeError

Axes = tuple[int, ...]


def per_axis(value: int | Sequence[int], spatial_dims: int, name: str = "value") -> Axes:
    """One integer per spatial axis; a single integer serves them all.

    Raises:
        ShapeError: a sequence of another length than `spatial_dims`.
    Example:
        >>> per_axis(3, 2), per_axis((1, 3, 3), 3)
        ((3, 3), (1, 3, 3))
    """
    if isinstance(value, int):
        return (value,) * spatial_dims
    values = tuple(int(v) for v in value)
    if len(values) != spatial_dims:
        rule = f"{name} takes one integer or one per axis ({spatial_dims})"
        raise ShapeError("geometry", rule, values, f"Give {spatial_dims} values or a single one")
    return values


def window_output_size(
    size: Sequence[int], kernel: Axes, stride: Axes, padding: Axes, dilation: Axes
) -> Axes:
    """Samples left by a sliding window: floor((S + 2p - d(k - 1) - 1) / s) + 1 per axis.

    Example:
        >>> window_output_size((5, 5), (3, 3), (2, 2), (1, 1), (1, 1))
        (3, 3)
    """
    rows = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple(floor((n + 2 * p - d * (k - 1) - 1) / s) + 1 for n, k, s, p, d in rows)


def to_multiple(size: Sequence[int], multiple: Sequence[int]) -> Axes:
    """The smallest size, axis by axis, that is a multiple and not below `size`.

    Example:
        >>> to_multiple((35, 51, 36), (8, 8, 8))
        (40, 56, 40)
    """
    return tuple(-(-n // m) * m for n, m in zip(size, multiple, strict=True))
