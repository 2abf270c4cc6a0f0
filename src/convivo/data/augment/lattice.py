"""Smooth fields from a few control points: separable splines, spread over a grid of any dimension.

Letters: M fields, d axes of sizes *S, K_i control points along axis i, v values a point.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch


@lru_cache(maxsize=64)
def linear_basis(size: int) -> np.ndarray:
    """(size, 2) shares of the two ends of an axis at the middle of each of its samples."""
    right = (np.arange(size) + 0.5) / size
    return np.stack([1 - right, right], axis=1).astype(np.float32)


@lru_cache(maxsize=64)
def cubic_basis(size: int, intervals: int) -> np.ndarray:
    """(size, intervals + 3) shares of equidistant control points, by uniform cubic B-splines.

    Rows are positive and add up to 1, so a field stays between its smallest and largest control
    value; its second derivative is continuous. Points lie at `cubic_places(intervals)`.
    """
    place = (np.arange(size) + 0.5) / size * intervals
    first = np.minimum(place.astype(np.int64), intervals - 1)
    t = (place - first)[:, None]
    shares = np.concatenate(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    basis = np.zeros((size, intervals + 3), np.float32)
    np.put_along_axis(basis, first[:, None] + np.arange(4), shares / 6, axis=1)
    return basis


def cubic_places(intervals: int) -> np.ndarray:
    """(intervals + 3,) where the control points lie, the axis being 0 to 1.

    Values that are linear in these places make a field that is linear.
    """
    return np.arange(-1, intervals + 2) / intervals


def intervals_of(extent: np.ndarray, longest: int) -> tuple[int, ...]:
    """Control intervals per axis, alike in length: `longest` along the longest axis.

    Example:
        >>> intervals_of(np.array([60.0, 30.0, 5.0]), 4)
        (4, 2, 1)
    """
    return tuple(max(1, round(longest * float(n / extent.max()))) for n in extent)


def spread(points: torch.Tensor, bases: Sequence[np.ndarray]) -> torch.Tensor:
    """Control values (M, K_1, ..., K_d, v) and a basis (S_i, K_i) per axis -> (M, *S, v).

    One matrix product an axis, the last axis first: only the last product is of full size.
    """
    fields, lead, counts = len(points), points.shape[:1], list(points.shape[1:-1])
    for axis in range(len(bases) - 1, -1, -1):
        basis = torch.from_numpy(bases[axis]).to(points.device)
        before = fields
        for n in counts[:axis]:
            before *= n
        points = points.reshape(before, counts[axis], -1)
        if counts[axis] == 2:  # `linear_basis`: three times as fast as a product with so few
            points = torch.lerp(points[:, :1], points[:, 1:], basis[:, 1:])
        else:
            points = torch.matmul(basis, points)
        counts[axis] = len(basis)
    return points.reshape(*lead, *counts, -1)
