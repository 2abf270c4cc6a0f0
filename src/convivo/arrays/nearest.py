"""The nearest of many points, exactly, in blocks that fit the caches: the index of the audit.

All against all in a few dozen dimensions is one matrix product: for a hundred thousand points it
takes less time than building and walking a tree, which such dimensions defeat.
Letters: n points, f features, k neighbours.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

BLOCK = 128  # points asked about at once, by each of at most so many threads: 50 MB a thread for
THREADS = 8  # a hundred thousand points
FOLD = 16  # columns of which only the best is looked at first
LEARNED = 5_000  # points that the principal axes are taken from


def compressed(points: np.ndarray, count: int = 64) -> np.ndarray:
    """(n, f) -> (n, at most count) float32: along the axes in which the points differ most."""
    chosen = points[np.linspace(0, len(points) - 1, min(len(points), LEARNED)).astype(int)]
    center = chosen.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((chosen - center).T.astype(np.float64)))
    kept = axes[:, ::-1][:, :count].astype(np.float32)
    return (points - center).astype(np.float32) @ kept


def nearest(
    points: np.ndarray, k: int, done: Callable[[int], None] = lambda count: None
) -> np.ndarray:
    """(n, f) -> (n, k) the indices of each point's nearest others, nearest first.

    Args:
        k: fewer than n. done: called with the number of points finished.
    Example:
        >>> nearest(np.array([[0.0], [1.0], [10.0], [12.0]]), 1).ravel().tolist()
        [1, 0, 3, 2]
    """
    count = len(points)
    width = -(-count // FOLD)
    table = np.zeros((points.shape[1] + 1, width * FOLD), np.float32)
    table[:-1, :count] = points.T
    table[-1] = -np.inf  # the padding is near to nothing
    table[-1, :count] = -0.5 * np.square(points).sum(axis=1)

    def block(start: int) -> np.ndarray:
        rows = np.arange(start, min(start + BLOCK, count))
        asked = np.concatenate([points[rows], np.ones((len(rows), 1))], axis=1, dtype=np.float32)
        near = asked @ table  # half the squared distance, negative, but for a constant of the row
        near[np.arange(len(rows)), rows] = -np.inf
        return _largest(near, k, width)

    found = []
    with (
        # Threads that products bring along would wait for each other and those of the pool.
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool,
    ):
        for part in pool.map(block, range(0, count, BLOCK)):
            found.append(part)
            done(min(len(found) * BLOCK, count))
    return np.concatenate(found)


def _largest(near: np.ndarray, k: int, width: int) -> np.ndarray:
    """(rows, FOLD * width) -> (rows, k) the columns of the largest values, largest first."""
    best = near.reshape(len(near), FOLD, width).max(axis=1)
    few = min(k, width)
    folds = np.argpartition(-best, few - 1, axis=1)[:, :few]
    columns = (folds[:, None, :] + np.arange(FOLD)[:, None] * width).reshape(len(near), -1)
    values = np.take_along_axis(near, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(columns, order, axis=1)
