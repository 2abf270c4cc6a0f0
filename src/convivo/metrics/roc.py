"""Ranking: the area under the ROC curve with its interval, and the curve itself.

Letters: n cases, C ranked classes (columns), U units, B resamples, m positives of a column.
"""

from collections.abc import Sequence

import numpy as np

from convivo.metrics.intervals import (
    FEWEST_UNITS,
    LEVEL,
    RESAMPLES,
    SHARE,
    Entry,
    bounded,
    entry,
    interval,
    mean_of_defined,
    ratio,
    unit_index,
    unit_weights,
)

# Above this many pairs of units, times columns, the bootstrap gives way to the clustered formula:
# with so many units the two agree, and the matrix products would take longer than a minute.
_MOST_UNIT_PAIRS = 9_000_000


def auroc(
    scores: np.ndarray,
    positive: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Entry:
    """Mean over columns of the area under the ROC curve, ties counted half.

    The interval is DeLong's where every unit is one case, else a bootstrap over units; for
    thousands of units with several cases Obuchowski's extension of DeLong to clusters. The key
    `method` says which. Columns with positives only, or with none, are left out.

    Args:
        scores: (n, C) higher for more likely.
        positive: (n, C) bool.
        units: (n,) the unit of each case.
        seed: of the bootstrap.
        resamples: of the bootstrap.
    Raises:
        ShapeError: not one unit per case, or no case at all.
    Source: DeLong et al. 1988, doi:10.2307/2531595; Obuchowski 1997, doi:10.2307/2533958.
        Differs: for several columns the covariance between them enters, case by case.
    Example:
        >>> found = auroc(np.array([[0.1], [0.4], [0.35], [0.8]]),
        ...               np.array([[False], [False], [True], [True]]), [0, 1, 2, 3])
        >>> found["value"]
        0.75
    """
    index, num_units = unit_index(units, len(scores))
    both = positive.any(axis=0) & ~positive.all(axis=0)
    scores, positive = np.asarray(scores, float)[:, both], positive[:, both]
    if not both.any():
        return entry(None)
    columns = [(scores[:, c], positive[:, c]) for c in range(scores.shape[1])]
    support = min(_support(flags, index) for _, flags in columns)
    if num_units == len(scores):
        return _delong(columns, index, num_units, support) | {"method": "delong"}
    if num_units**2 * len(columns) > _MOST_UNIT_PAIRS:
        return _delong(columns, index, num_units, support) | {"method": "clustered-delong"}
    weights = [np.ones((1, num_units))]
    value = _areas(columns, index, num_units, weights)
    weights = list(unit_weights(num_units, seed=seed, resamples=resamples))
    replicates = _areas(columns, index, num_units, weights)
    found = interval(float(value[0]), replicates, units=support, bounds=SHARE)
    return found | {"method": "bootstrap"}


def _support(positive: np.ndarray, index: np.ndarray) -> int:
    """Units with a positive or units with a negative, whichever are fewer.

    As many pairs of a positive and a negative share no unit, which makes the exact binomial
    interval of a perfect separation hold.
    """
    return min(len(np.unique(index[positive])), len(np.unique(index[~positive])))


def placements(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Share of the opposite cases that each case is on the right side of, (n,); ties are half.

    The mean over the positives, or over the negatives, is the area under the curve.
    """
    from scipy import stats  # a second to import

    places = np.empty(len(scores))
    ranks = stats.rankdata(scores)
    m, others = int(positive.sum()), int((~positive).sum())
    places[positive] = (ranks[positive] - stats.rankdata(scores[positive])) / others
    places[~positive] = 1 - (ranks[~positive] - stats.rankdata(scores[~positive])) / m
    return places


def _delong(
    columns: list[tuple[np.ndarray, np.ndarray]], index: np.ndarray, num_units: int, support: int
) -> Entry:
    """Normal interval from each unit's share in the deviation of the mean area."""
    values, shares = zip(
        *(_unit_shares(scores, flags, index, num_units) for scores, flags in columns), strict=True
    )
    value, error = float(np.mean(values)), float(np.sqrt((np.mean(shares, axis=0) ** 2).sum()))
    if support < FEWEST_UNITS:
        return entry(value)
    from scipy import stats  # a second to import

    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return bounded(value, value - half, value + half, units=support, bounds=SHARE)


def _unit_shares(
    scores: np.ndarray, positive: np.ndarray, index: np.ndarray, num_units: int
) -> tuple[float, np.ndarray]:
    places = placements(scores, positive)
    value, shares = float(places[positive].mean()), np.zeros(num_units)
    for side in (positive, ~positive):
        clusters = len(np.unique(index[side]))
        unbiased = np.sqrt(clusters / max(clusters - 1, 1)) / side.sum()
        shares += np.bincount(index[side], places[side] - value, num_units) * unbiased
    return value, shares


def pair_counts(
    scores: np.ndarray, positive: np.ndarray, index: np.ndarray, num_units: int
) -> np.ndarray:
    """Won pairs between units, (U, U): positives of the row against negatives of the column."""
    wins = np.zeros((num_units, num_units))
    own = index[positive]
    for unit in np.unique(index[~positive]):
        rivals = np.sort(scores[~positive & (index == unit)])
        sides = [np.searchsorted(rivals, scores[positive], side) for side in ("left", "right")]
        wins[:, unit] = np.bincount(own, (sides[0] + sides[1]) / 2, num_units)
    return wins


def _areas(
    columns: list[tuple[np.ndarray, np.ndarray]],
    index: np.ndarray,
    num_units: int,
    weights: list[np.ndarray],
) -> np.ndarray:
    """Mean area over columns for chunks of unit weights (b, U): w' W w / (w' p * w' q)."""
    areas = []
    for scores, positive in columns:
        wins = pair_counts(scores, positive, index, num_units)
        ups, downs = (
            np.bincount(index[side], minlength=num_units) for side in (positive, ~positive)
        )
        parts = [ratio(((w @ wins) * w).sum(axis=1), (w @ ups) * (w @ downs)) for w in weights]
        areas.append(np.concatenate(parts))
    return mean_of_defined(np.stack(areas, axis=1))


def roc_curve(
    scores: np.ndarray, positive: np.ndarray, *, points: int = 200
) -> dict[str, list[float]]:
    """`fpr` and `tpr` from (0, 0) to (1, 1), at most `points` vertices of the exact curve.

    scores, positive: (n,). Empty lists where one of the two kinds is missing.

    Example:
        >>> roc_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        {'fpr': [0.0, 0.0, 0.5, 0.5, 1.0], 'tpr': [0.0, 0.5, 0.5, 1.0, 1.0]}
    """
    if positive.all() or not positive.any():
        return {"fpr": [], "tpr": []}
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits = np.append(0, np.cumsum(positive[order])[last_of_tie])
    alarms = np.append(0, np.cumsum(~positive[order])[last_of_tie])
    tpr, fpr = hits / hits[-1], alarms / alarms[-1]
    if len(tpr) > points:  # evenly along the curve, ends included
        kept = np.unique(np.searchsorted(tpr + fpr, np.linspace(0, 2, points) - 1e-9))
        tpr, fpr = tpr[kept], fpr[kept]
    return {"fpr": fpr.tolist(), "tpr": tpr.tolist()}
