"""Where the classes of a label map are: a few of their positions, so that none need be sought."""

import numpy as np

MOST_PLACES = 4096  # positions kept of a class in a case: a fair sample where it has more


def class_places(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Flat positions (C order) of each class but 0, in order; of large ones a fixed random sample.

    The same map always gives the same positions.

    Example:
        >>> class_places(np.array([[0, 2], [2, 1]]))
        {1: array([3], dtype=uint32), 2: array([1, 2], dtype=uint32)}
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    dtype = places_format(flat.size)
    found = {}
    for value in (int(v) for v in np.unique(flat) if v > 0):
        where = np.flatnonzero(flat == value)
        if len(where) > MOST_PLACES:
            rng = np.random.default_rng(value)
            where = where[np.sort(rng.choice(len(where), MOST_PLACES, replace=False))]
        found[value] = where.astype(dtype)
    return found


def places_format(size: int) -> np.dtype:
    """The number format of positions in a map of so many."""
    return np.dtype(np.uint32 if size <= 2**32 else np.uint64)
