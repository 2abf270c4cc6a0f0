"""Integers about axes: one value per axis, output sizes, padding. No torch, no arrays."""

from collections.abc import Sequence
from math import floor

from convivo.errors import ShapeError

Axes = tuple[int, ...]
# samples before and after, per axis
Sides = tuple[tuple[int, int], ...]


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


def per_side(
    value: int | Sequence[int | Sequence[int]], spatial_dims: int, name: str = "padding"
) -> Sides:
    """Samples before and after every spatial axis; an integer stands for both sides.

    Raises:
        ShapeError: another length than `spatial_dims`, an axis that is no pair, a negative number.
    Example:
        >>> per_side(1, 2), per_side((1, (0, 2)), 2)
        (((1, 1), (1, 1)), ((1, 1), (0, 2)))
    """
    each = [value] * spatial_dims if isinstance(value, int) else list(value)
    pairs = [(v, v) if isinstance(v, int) else tuple(int(n) for n in v) for v in each]
    if len(pairs) != spatial_dims or any(len(p) != 2 or min(p) < 0 for p in pairs):
        rule = f"{name} takes one integer, one per axis, or a pair per axis, none negative"
        remedy = f"Give {spatial_dims} values or pairs (before, after), or a single integer"
        raise ShapeError("geometry", rule, value, remedy)
    return tuple((before, after) for before, after in pairs)


def window_output_size(
    size: Sequence[int], kernel: Axes, stride: Axes, padding: Axes | Sides, dilation: Axes
) -> Axes:
    """Samples left by a sliding window: floor((S + 2p - d(k - 1) - 1) / s) + 1 per axis.

    Example:
        >>> window_output_size((5, 5), (3, 3), (2, 2), (1, 1), (1, 1))
        (3, 3)
        >>> window_output_size((5,), (2,), (1,), ((0, 1),), (1,))
        (5,)
    """
    added = [before + after for before, after in per_side(padding, len(kernel))]
    rows = zip(size, kernel, stride, added, dilation, strict=True)
    return tuple(floor((n + p - d * (k - 1) - 1) / s) + 1 for n, k, s, p, d in rows)


def to_multiple(size: Sequence[int], multiple: Sequence[int]) -> Axes:
    """The smallest size, axis by axis, that is a multiple and not below `size`.

    Example:
        >>> to_multiple((35, 51, 36), (8, 8, 8))
        (40, 56, 40)
    """
    return tuple(-(-n // m) * m for n, m in zip(size, multiple, strict=True))
