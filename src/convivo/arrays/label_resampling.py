"""Label maps on other grids: the strongest label wins, no new one appears, slab by slab."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from scipy.sparse import csr_array

from convivo.arrays.resampling import (
    Grid,
    Matrices,
    apply_matrices,
    axis_matrices,
    axis_order,
    axis_weights,
    extent_grid,
    target_shape,
)
from convivo.errors import ShapeError

SLAB = 2**21  # positions of a label map that are resampled at once, some 20 bytes for each
ROWS = 2**16  # of the first axis at once: the weights of each take some 250 bytes


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
    shape = target_shape(labels.shape, target)
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
    result = np.empty(tuple(shape), dtype=labels.dtype)
    for rows, seen, matrices in _slabs(labels.shape, shape, grids):
        result[rows] = _strongest(labels[seen], values, matrices)
    return result


def _strongest(labels: np.ndarray, values: np.ndarray, matrices: Matrices) -> np.ndarray:
    """The label whose mask is strongest; one mask at a time: memory grows not with the classes."""
    result, best = np.empty(0, labels.dtype), np.empty(0, np.float32)
    for value in values:
        share = apply_matrices((labels == value)[None].astype(np.float32), matrices)[0]
        if not result.size:
            result, best = np.full(share.shape, value, labels.dtype), share
            continue
        stronger = share > best
        result[stronger] = value
        np.maximum(best, share, out=best)
    return result


def _slabs(
    before: Sequence[int], after: Sequence[int], grids: Sequence[Grid]
) -> Iterator[tuple[slice, slice, Matrices]]:
    """New rows of the first axis in portions, the old rows that they are made of, and how."""
    # Without anti-aliasing: a widened kernel rounds off corners that the argmax had kept.
    still = (after[0], *before[1:])
    others = axis_matrices(still, after, ((0.0, 1.0), *grids[1:]), order=1, anti_alias=False)
    changes = after[0] != before[0] or grids[0] != (0.0, 1.0)
    # the first axis in its place among them: shrinking ones go first
    order = axis_order(before, after)
    step = max(1, min(ROWS, SLAB // max(1, prod(after[1:]), prod(before[1:]))))
    for start in range(0, after[0], step):
        rows = slice(start, min(start + step, after[0]))
        if not changes:
            yield rows, rows, others
            continue
        first = axis_weights(before[0], after[0], grids[0], 1, False, rows)
        seen = slice(int(first.indices.min()), int(first.indices.max()) + 1)
        every: Matrices = others | {1: csr_array(first[:, seen])}
        yield rows, seen, {axis: every[axis] for axis in order if axis in every}


def _nearest(size: int, new_size: int, grid: Grid) -> np.ndarray:
    first, step = grid
    place = np.floor(first + step * np.arange(new_size) + 0.5)
    return np.clip(place, 0, size - 1).astype(np.int64)
