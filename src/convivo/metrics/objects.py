"""Whether the right objects were found: average precision over cases, and their numbers.

Letters: *S spatial axes, n true and m found objects, T thresholds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from convivo.errors import ShapeError
from convivo.metrics.intervals import RESAMPLES, SHARE, Entry, mean_interval

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Of intersection over union, from which on a found object is the true one."""

ObjectStatistics = dict[str, float]


def overlaps(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Intersection over union of every true object with every found one: (n, m) float64.

    Args:
        truth, found: (*S) numbers of objects, 0 none.
    Raises:
        ShapeError: different shapes.
    Example:
        >>> overlaps(np.array([0, 3, 3, 8]), np.array([1, 1, 1, 0])).round(2).tolist()
        [[0.67], [0.0]]
    """
    if truth.shape != found.shape:
        rule = f"truth and prediction have one shape; truth {truth.shape}"
        raise ShapeError("objects", rule, found.shape, "Restore the original grid first")
    (mine, own), (theirs, other) = (
        np.unique(labels, return_inverse=True) for labels in (truth, found)
    )
    cells, counts = np.unique(own.ravel() * len(theirs) + other.ravel(), return_counts=True)
    table = np.zeros((len(mine), len(theirs)), np.int64)
    table.reshape(-1)[cells] = counts
    union = table.sum(1, keepdims=True) + table.sum(0, keepdims=True) - table
    return (table / union)[np.ix_(mine > 0, theirs > 0)]


def hits(shares: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> np.ndarray:
    """(T,) how many true objects are found from each threshold on, every found one used once.

    Above 0.5 no found object can be two true ones; at and below it the pairing with the most
    pairs, then the largest overlaps, is taken.
    """
    found = np.zeros(len(thresholds), np.int64)
    if not shares.size:
        return found
    for place, threshold in enumerate(thresholds):
        able = shares >= threshold
        rows, columns = np.flatnonzero(able.any(1)), np.flatnonzero(able.any(0))
        left = np.where(able, 1 + shares / (2 * min(shares.shape)), 0)[np.ix_(rows, columns)]
        pairs = linear_sum_assignment(-left)
        found[place] = int((left[pairs] > 0).sum())
    return found


def object_statistics(truth: np.ndarray, found: np.ndarray) -> ObjectStatistics:
    """What one case says of its objects.

    - `ap50` hits at 0.5 / (hits + misses + false ones): found objects that share at least half of
      their union with a true one; `ap` its mean over the thresholds 0.5, 0.55, ... 0.95.
    - `objects`, `found` how many there are, and were found.
    - `count_error` | found - objects | / objects.

    Without true and found objects all but the numbers are NaN; without true ones the error is.

    Args:
        truth, found: (*S) numbers of objects, 0 none.
    Raises:
        ShapeError: different shapes.
    Source: Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7; Schmidt et al. 2018,
    arXiv:1806.03535.
    Example:
        >>> case = object_statistics(np.array([0, 1, 1, 2, 2]), np.array([0, 5, 5, 0, 6]))
        >>> case["ap50"], round(case["ap"], 3), case["count_error"]
        (1.0, 0.4, 0.0)
    """
    shares = overlaps(truth, found)
    (n, m), right = shares.shape, hits(shares)
    nan = float("nan")
    precision = right / (n + m - right) if n + m else np.full(len(right), nan)
    return {
        "ap50": float(precision[0]),
        "ap": float(precision.mean()),
        "objects": n,
        "found": m,
        "count_error": abs(m - n) / n if n else nan,
    }


def summarise_objects(
    per_case: Sequence[Mapping[str, float]],
    units: Sequence[object] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """`ap50`, `ap` and `count_error`: means over cases, intervals over units.

    Args:
        per_case: what `object_statistics` gave. units: the unit of each case.
        seed, resamples: of every bootstrap.
    Raises:
        ShapeError: not one unit per case, or no case at all.
    """
    bounds = {"ap50": SHARE, "ap": SHARE, "count_error": (0.0, np.inf)}
    return {
        name: mean_interval(
            np.array([case[name] for case in per_case]), units, bounds=of, seed=seed,
            resamples=resamples,
        )
        for name, of in bounds.items()
    }  # fmt: skip
