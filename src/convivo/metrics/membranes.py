"""Membranes: whether the borders drawn between cells part the same cells as in the truth.

Letters: (H, W) one section; n pixels inside cells in the truth; i true, j predicted segments.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from convivo.errors import DataError, ShapeError
from convivo.metrics.intervals import RESAMPLES, SHARE, Entry, mean_interval

THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))


def thin_borders(borders: np.ndarray) -> np.ndarray:
    """Borders (H, W) bool worn down to lines one pixel wide that part the same segments.

    The image is first continued beyond its edge: a line that ends in open space is worn down from
    its end too, and the gap it would leave at the edge joins the cells on its two sides.

    Example:
        >>> wide = np.zeros((4, 7), bool)
        >>> wide[:, 2:5] = True
        >>> thin_borders(wide).sum(axis=1).tolist()
        [1, 1, 1, 1]
    """
    from skimage.morphology import skeletonize

    if borders.all() or not borders.any():
        return borders.copy()
    widest = int(np.ceil(np.asarray(ndimage.distance_transform_edt(borders)).max()))
    margin = widest + 1
    lines = skeletonize(np.pad(borders, margin, mode="edge"))
    return np.asarray(lines, bool)[margin:-margin, margin:-margin]


def v_rand(truth: np.ndarray, borders: np.ndarray, *, thin: bool = True) -> float:
    """V-Rand of predicted borders, 0 to 1, by default after thinning them: V-Rand(thin).

    Over the n pixels that lie inside cells in the truth, p_ij is the share of them in true segment
    i and predicted segment j, with j = 0 for predicted border. Pixels of predicted border count as
    segments of their own, so sum_i p_i0 / n is added to both sums below:
    sumAB = sum over i and j >= 1 of p_ij^2, sumB = sum over j >= 1 of (sum_i p_ij)^2, and
    sumA = sum over i of (sum_j p_ij)^2. The F-score of precision sumAB / sumB and recall
    sumAB / sumA. Segments are 4-connected, lines 8-connected.

    Args:
        truth: (H, W) bool or integers, not 0 inside cells.
        borders: (H, W) bool, True where a border is predicted.
        thin: wear the predicted borders down first.
    Returns:
        NaN where the truth has no pixel inside a cell.
    Raises:
        ShapeError: not two arrays of one shape (H, W).
    Source: Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142.
    Example:
        >>> truth = np.array([[1, 0, 1], [1, 0, 1]])
        >>> round(v_rand(truth, truth == 0), 3), round(v_rand(truth, np.zeros((2, 3), bool)), 3)
        (1.0, 0.667)
    """
    truth, borders = np.asarray(truth) != 0, np.asarray(borders, bool)
    if truth.ndim != 2 or truth.shape != borders.shape:
        rule = f"truth and borders are one section (H, W) each; truth {truth.shape}"
        raise ShapeError("v_rand", rule, borders.shape, "Measure a stack section by section")
    inside, _ = ndimage.label(truth)
    segments, _ = ndimage.label(~(thin_borders(borders) if thin else borders))
    return _v_rand_of_segments(np.asarray(inside)[truth], np.asarray(segments)[truth])


def _v_rand_of_segments(i: np.ndarray, j: np.ndarray) -> float:
    n = len(i)
    if n == 0:
        return float("nan")
    width = int(j.max()) + 1
    cells, counts = np.unique(i.astype(np.int64) * width + j, return_counts=True)
    within = cells % width > 0  # not on predicted border
    lone = counts[~within].sum() / n**2
    sum_ab = ((counts[within] / n) ** 2).sum() + lone
    sum_a = ((np.bincount(i) / n) ** 2).sum()
    sum_b = ((np.bincount(j)[1:] / n) ** 2).sum() + lone
    return float(2 * sum_ab / (sum_a + sum_b))  # 2 P R / (P + R) with P = AB / B, R = AB / A


def v_rand_of_probability(truth: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    """V-Rand(thin) of the borders where their probability (H, W) is at least `threshold`.

    Raises:
        ShapeError: not two arrays of one shape (H, W).
    """
    return v_rand(truth, np.asarray(probability) >= threshold)


def best_over_thresholds(
    truths: Sequence[np.ndarray],
    probabilities: Sequence[np.ndarray],
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, object]:
    """The threshold with the highest mean V-Rand(thin) over sections, and the whole curve.

    On validation sections this chooses the threshold to use; on test sections it is an upper limit
    to stand beside the number, not the number. Sections without cells are left out of the means.

    Args:
        truths: sections (H, W), not 0 inside cells.
        probabilities: sections (H, W), of a border at each pixel.
        thresholds: to try; of equally good ones the middle one is taken.
    Returns:
        `threshold`, `value`, `thresholds` and `values`.
    Raises:
        ShapeError: sections that do not pair up.
        DataError: no section with a cell.
    """
    if len(truths) != len(probabilities):
        rule = f"every section has its probabilities ({len(truths)} sections)"
        raise ShapeError("v_rand", rule, len(probabilities), "Give one map per section")
    pairs = list(zip(truths, probabilities, strict=True))
    rows = [[v_rand_of_probability(t, p, level) for level in thresholds] for t, p in pairs]
    return best_of_curves(np.array(rows, float).reshape(len(pairs), len(thresholds)), thresholds)


def best_of_curves(curves: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> dict[str, Any]:
    """`best_over_thresholds` from the V-Rand of each section at each threshold (n, thresholds).

    Raises:
        DataError: no section with a cell.
    """
    table = curves[~np.isnan(curves).any(axis=1)]
    if len(table) == 0:
        rule = "one section at least has pixels inside cells"
        raise DataError("v_rand", rule, f"{len(curves)} sections without", "Check the labels")
    values = table.mean(axis=0)
    ties = np.flatnonzero(values == values.max())
    best = int(ties[len(ties) // 2])
    return {
        "threshold": float(thresholds[best]),
        "value": float(values[best]),
        "thresholds": [float(level) for level in thresholds],
        "values": values.tolist(),
    }


def membrane_metrics(
    truths: Sequence[np.ndarray],
    probabilities: Sequence[np.ndarray],
    units: Sequence[object] | np.ndarray,
    *,
    threshold: float,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """`v_rand`: the mean over sections at `threshold`, its interval over units, `best` beside it.

    Args:
        truths: n sections (H, W), not 0 inside cells.
        probabilities: n sections (H, W), of a border at each pixel.
        units: (n,) the unit of each section.
        threshold: chosen on other sections (`best_over_thresholds` on validation).
        seed: of the bootstrap.
        resamples: of the bootstrap.
    Raises:
        ShapeError: sections or units that do not pair up.
        DataError: no section with a cell.
    """
    best = best_over_thresholds(truths, probabilities)
    pairs = zip(truths, probabilities, strict=True)
    values = np.array([v_rand_of_probability(t, p, threshold) for t, p in pairs])
    found = mean_interval(values, units, bounds=SHARE, seed=seed, resamples=resamples)
    beside = {"value": best["value"], "threshold": best["threshold"]}
    return {"v_rand": found | {"threshold": threshold, "best": beside}}
