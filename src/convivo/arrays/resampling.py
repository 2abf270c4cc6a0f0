"""Other grids for the same picture: images, label maps and signals, on 1, 2 or 3 axes.

Sample centres of both grids are placed by physical extent (the outer edges of the first and the
last sample coincide), except signals at a new rate, where the first samples coincide.
Each axis is one sparse matrix of weights, so 1D, 2D and 3D are the same few lines.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil

import numpy as np
from scipy.signal import resample_poly
from scipy.sparse import csr_array

from convivo.errors import ShapeError

Grid = tuple[float, float]
"""Where the samples of a new axis lie on the old one: (first, step), in old samples."""


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
    shape = _target_shape(image.shape[1:], target)
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
    axes = range(1, result.ndim)
    # Shrinking axes first: every later axis has less to do.
    for axis in sorted(axes, key=lambda a: shape[a - 1] / result.shape[a]):
        new_size, grid = int(shape[axis - 1]), grids[axis - 1]
        if new_size != result.shape[axis] or grid != (0.0, 1.0):
            matrix = _weights(result.shape[axis], new_size, grid, order, anti_alias)
            result = _along(matrix, result, axis)
    return result


def resample_labels(
    labels: np.ndarray, target: float | Sequence[int], *, method: str = "linear"
) -> np.ndarray:
    """A label map on another grid over the same physical extent; no new labels appear.

    Args:
        labels: (*S) of integers.
        target: new sizes, or one factor for all axes.
        method: "linear" interpolates each label's mask and keeps the strongest, "nearest" takes
            the label of the closest old sample.
    Returns:
        (*target) in the dtype of `labels`.
    Raises:
        ShapeError: as `resample`; an unknown method.
    """
    shape = _target_shape(labels.shape, target)
    grids = tuple(extent_grid(n, m) for n, m in zip(labels.shape, shape, strict=True))
    return resample_labels_on(labels, shape, grids, method=method)


def resample_labels_on(
    labels: np.ndarray, shape: Sequence[int], grids: Sequence[Grid], *, method: str = "linear"
) -> np.ndarray:
    """`resample_labels` with the place of each new axis on the old one given."""
    if method not in ("linear", "nearest"):
        rule = "method is 'linear' or 'nearest'"
        raise ShapeError("resample_labels", rule, repr(method), "Use method='linear'")
    if tuple(shape) == labels.shape and all(grid == (0.0, 1.0) for grid in grids):
        return labels
    if method == "nearest":
        rows = zip(labels.shape, shape, grids, strict=True)
        return labels[np.ix_(*(_nearest(n, m, grid) for n, m, grid in rows))]
    values = np.unique(labels)
    result = np.full(tuple(shape), values[0], dtype=labels.dtype)
    best = np.full(tuple(shape), -np.inf, dtype=np.float32)
    for value in values:  # one mask at a time: memory does not grow with the classes
        # Without anti-aliasing: a widened kernel rounds off corners that the argmax had kept.
        share = resample_on((labels == value)[None], shape, grids, anti_alias=False)[0]
        stronger = share > best
        result[stronger] = value
        best[stronger] = share[stronger]
    return result


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


def _target_shape(shape: tuple[int, ...], target: float | Sequence[int]) -> tuple[int, ...]:
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


def _weights(size: int, new_size: int, grid: Grid, order: int, anti_alias: bool) -> csr_array:
    """(new_size, size) interpolation weights; rows sum to one, kernels are cut at the borders."""
    kernel, radius = _KERNELS[order]
    first, step = grid
    width = max(step, 1.0) if anti_alias else 1.0
    centre = np.clip(first + step * np.arange(new_size), -0.5, size - 0.5)
    reach = ceil(radius * width) + 1
    taps = np.floor(centre).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    weights = kernel((taps - centre[:, None]) / width)
    weights[(taps < 0) | (taps >= size)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    rows, columns = np.nonzero(weights)
    entries = (weights[rows, columns].astype(np.float32), (rows, taps[rows, columns]))
    return csr_array(entries, shape=(new_size, size))


def _along(matrix: csr_array, image: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(image, axis, 0)
    flat = np.ascontiguousarray(moved.reshape(moved.shape[0], -1))
    result = np.asarray(matrix @ flat).reshape(-1, *moved.shape[1:])
    return np.ascontiguousarray(np.moveaxis(result, 0, axis))


def _nearest(size: int, new_size: int, grid: Grid) -> np.ndarray:
    first, step = grid
    place = np.floor(first + step * np.arange(new_size) + 0.5)
    return np.clip(place, 0, size - 1).astype(np.int64)
