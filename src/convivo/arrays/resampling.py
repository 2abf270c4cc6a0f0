"""Other grids for the same picture: images, label maps and signals, on 1, 2 or 3 axes.

Sample centres of both grids are placed by physical extent (the outer edges of the first and the
last sample coincide), except signals at a new rate, where the first samples coincide.
Each axis is one sparse matrix of weights, so 1D, 2D and 3D are the same few lines.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil

import numpy as np
from scipy.sparse import csr_array

from convivo.errors import ShapeError

Grid = tuple[float, float]
"""Where the samples of a new axis lie on the old one: (first, step), in old samples."""

BLOCK = 2**20  # values that are resampled at once


def resample(
    image: np.ndarray,
    target: float | Sequence[int],
    *,
    order: int = 1,
    anti_alias: bool = True,
) -> np.ndarray:
    """An image on a finer or coarser grid over the same physical extent.

    Args:
        image: (C, *S), any real dtype.
        target: new sizes, one per spatial axis, or one factor for the size of all of them.
        order: 1 linear, 3 cubic (may overshoot by a few percent at sharp edges).
        anti_alias: when shrinking, widen the kernel by the shrink factor.
    Returns:
        (C, *target) float32; an axis that keeps its size keeps its exact values.
    Raises:
        ShapeError: a size below 1, another number of sizes than axes, an unknown order.
    Source: Keys 1981, doi:10.1109/TASSP.1981.1163711 (cubic, a = -1/2).
    Example:
        >>> resample(np.array([[0.0, 4.0, 8.0, 12.0]]), 0.5, anti_alias=False).tolist()
        [[2.0, 10.0]]
    """
    shape = target_shape(image.shape[1:], target)
    grids = tuple(extent_grid(n, m) for n, m in zip(image.shape[1:], shape, strict=True))
    return resample_on(image, shape, grids, order=order, anti_alias=anti_alias)


def resample_on(
    image: np.ndarray,
    shape: Sequence[int],
    grids: Sequence[Grid],
    *,
    order: int = 1,
    anti_alias: bool = True,
) -> np.ndarray:
    """`resample` with the place of each new axis on the old one given: (C, *S) -> (C, *shape)."""
    if order not in _KERNELS:
        raise ShapeError("resample", "order is 1 (linear) or 3 (cubic)", order, "Use order=1")
    result = np.asarray(image, dtype=np.float32)
    return apply_matrices(
        result, axis_matrices(image.shape[1:], shape, grids, order=order, anti_alias=anti_alias)
    )


Matrices = dict[int, csr_array]
"""Weights of each axis that changes, by its place in (C, *S), in the order of application."""


def axis_matrices(
    before: Sequence[int],
    after: Sequence[int],
    grids: Sequence[Grid],
    *,
    order: int,
    anti_alias: bool,
) -> Matrices:
    """The weights that lead from the sizes `before` to `after`; arguments as in `resample_on`."""
    rows = ((axis, before[axis - 1], after[axis - 1]) for axis in axis_order(before, after))
    return {
        axis: axis_weights(size, int(new_size), grids[axis - 1], order, anti_alias)
        for axis, size, new_size in rows
        if int(new_size) != size or grids[axis - 1] != (0.0, 1.0)
    }


def axis_order(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Places of the axes in (C, *S), shrinking ones first: every later axis has less to do."""
    return sorted(range(1, len(before) + 1), key=lambda axis: after[axis - 1] / before[axis - 1])


def apply_matrices(image: np.ndarray, matrices: Matrices) -> np.ndarray:
    """(C, *S) float32 through the weights of each axis in turn."""
    for axis, matrix in matrices.items():
        image = _along(matrix, image, axis)
    return image


def resample_to(image: np.ndarray, shape: Sequence[int], *, order: int = 1) -> np.ndarray:
    """The inverse of a `resample` from `shape`: (C, *S') -> (C, *shape) float32."""
    return resample(image, tuple(shape), order=order)


def resample_rate(signal: np.ndarray, up: int, down: int) -> np.ndarray:
    """Signals (C, T) at up / down of their rate -> (C, ceil(T up / down)) float32.

    Polyphase filtering without phase shift; the first sample stays the first.

    Example:
        >>> resample_rate(np.ones((2, 360)), 25, 36).shape
        (2, 250)
    """
    if up == down:
        return np.asarray(signal, dtype=np.float32)
    from scipy.signal import resample_poly  # a second to import

    values = np.asarray(signal, dtype=np.float64)
    return resample_poly(values, up, down, axis=-1, padtype="line").astype(np.float32)


def rate_ratio(old_spacing: float, new_spacing: float) -> tuple[int, int]:
    """Small integers (up, down) with up / down = old_spacing / new_spacing.

    Example:
        >>> rate_ratio(1 / 360, 1 / 250)
        (25, 36)
    """
    if old_spacing > new_spacing:
        down, up = rate_ratio(new_spacing, old_spacing)
        return up, down
    ratio = Fraction(new_spacing / old_spacing).limit_denominator(1000)
    return ratio.denominator, ratio.numerator


def rate_grid(size: int, up: int, down: int) -> tuple[int, Grid]:
    """Size and place of a signal axis after `resample_rate`."""
    return ceil(size * up / down), (0.0, down / up)


def extent_grid(size: int, new_size: int) -> Grid:
    """Place of a new axis of `new_size` samples over the whole extent of an old one.

    Example:
        >>> extent_grid(4, 2)
        (0.5, 2.0)
    """
    step = size / new_size
    return 0.5 * step - 0.5, step


def inverse_grid(grid: Grid) -> Grid:
    """Place of the old axis on the new one."""
    first, step = grid
    return -first / step, 1.0 / step


def target_shape(shape: tuple[int, ...], target: float | Sequence[int]) -> tuple[int, ...]:
    """Sizes from sizes or a factor.

    Raises:
        ShapeError: another number of sizes than axes, or one below 1.
    """
    if isinstance(target, (int, float)):
        if target <= 0:
            raise ShapeError("resample", "a factor is positive", target, "Use 2.0 to double")
        return tuple(max(1, round(n * target)) for n in shape)
    sizes = tuple(int(n) for n in target)
    if len(sizes) != len(shape) or min(sizes) < 1:
        rule = f"one size of at least 1 per spatial axis ({len(shape)})"
        raise ShapeError("resample", rule, sizes, f"Give {len(shape)} positive sizes")
    return sizes


def _linear(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


_KERNELS: dict[int, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    1: (_linear, 1.0),
    3: (_cubic, 2.0),
}


def axis_weights(
    size: int,
    new_size: int,
    grid: Grid,
    order: int,
    anti_alias: bool,
    rows: slice = slice(None),
) -> csr_array:
    """(new_size, size) interpolation weights; rows sum to one, kernels are cut at the borders.

    Args:
        rows: those of them that are wanted. Others as in `resample_on`, of one axis.
    """
    places = np.arange(*rows.indices(new_size))
    kernel, radius = _KERNELS[order]
    first, step = grid
    width = max(step, 1.0) if anti_alias else 1.0
    centre = np.clip(first + step * places, -0.5, size - 0.5)
    reach = ceil(radius * width) + 1
    taps = np.floor(centre).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    weights = kernel((taps - centre[:, None]) / width)
    weights[(taps < 0) | (taps >= size)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    row, column = np.nonzero(weights)
    entries = (weights[row, column].astype(np.float32), (row, taps[row, column]))
    return csr_array(entries, shape=(len(places), size))


def _along(matrix: csr_array, image: np.ndarray, axis: int) -> np.ndarray:
    """One axis through its weights, a block of another axis at a time: copies stay small."""
    shape = list(image.shape)
    other = max((a for a in range(image.ndim) if a != axis), key=lambda a: shape[a])
    step = max(1, BLOCK * shape[other] // max(1, image.size))
    shape[axis] = len(matrix.indptr) - 1
    result = np.empty(shape, dtype=np.float32)
    for start in range(0, shape[other], step):
        cut = (*[slice(None)] * other, slice(start, start + step))
        moved = np.moveaxis(image[cut], axis, 0)
        block = matrix @ np.ascontiguousarray(moved.reshape(moved.shape[0], -1))
        result[cut] = np.moveaxis(np.asarray(block).reshape(-1, *moved.shape[1:]), 0, axis)
    return result
