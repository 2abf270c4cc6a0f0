"""Calibration: whether a probability of 0.8 is right eight times out of ten.

Letters: n cases, K classes. `probabilities` (n, K) sum to one over exclusive classes; where
classes may occur together each is its own yes-no question.
"""

from collections.abc import Sequence

import numpy as np

from convivo.metrics.intervals import RESAMPLES, SHARE, Entry, mean_interval, ratio

BINS = 15


def brier(
    probabilities: np.ndarray,
    truth: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    exclusive: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Entry:
    """Mean squared error of the probabilities, 0 for a perfect forecast.

    More than two exclusive classes: summed over classes, 0 to 2 (Brier's own form). Two classes:
    that of the positive one, 0 to 1, half of the sum. Classes that co-occur: mean over classes.

    Args:
        probabilities: (n, K).
        truth: (n, K) bool, one-hot for exclusive classes.
        units: (n,) the unit of each case.
        exclusive: whether exactly one class is true.
        seed: of the bootstrap.
        resamples: of the bootstrap.
    Raises:
        ShapeError: not one unit per case, or no case at all.
    Source: Brier 1950, Monthly Weather Review 78(1).
    """
    errors = (np.asarray(probabilities, float) - truth) ** 2
    summed = exclusive and errors.shape[1] > 2
    per_case = errors.sum(axis=1) if summed else errors.mean(axis=1)
    bounds = (0.0, 2.0) if summed else SHARE
    return mean_interval(per_case, units, bounds=bounds, seed=seed, resamples=resamples)


def calibration_curve(
    confidence: np.ndarray, right: np.ndarray, *, bins: int = BINS
) -> dict[str, list]:
    """Confidence against share of right answers in equal-width bins.

    Keys: `edges` (bins + 1), `count`, `confidence`, `accuracy` (bins; None in empty bins).
    A bin holds what lies above its lower edge, up to and with its upper one; 0 is in the first.

    confidence: (n,) in 0 to 1. right: (n,) bool.

    Example:
        >>> curve = calibration_curve(np.array([0.6, 0.8, 0.9]), np.array([True, False, True]),
        ...                           bins=2)
        >>> curve["count"], curve["accuracy"][0], round(curve["accuracy"][1], 3)
        ([0, 3], None, 0.667)
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    means = [ratio(np.bincount(place, of, bins), count) for of in (confidence, right)]
    lists = [[None if np.isnan(v) else float(v) for v in mean] for mean in means]
    edges = [k / bins for k in range(bins + 1)]
    return {
        "edges": edges,
        "count": count.tolist(),
        "confidence": lists[0],
        "accuracy": lists[1],
    }


def expected_calibration_error(
    confidence: np.ndarray, right: np.ndarray, *, bins: int = BINS
) -> float:
    """Mean distance of confidence and share of right answers over bins, weighted by their counts.

    Source: Guo et al. 2017, arXiv:1706.04599.

    Example:
        >>> expected_calibration_error(np.array([1.0, 1.0]), np.array([True, False]))
        0.5
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, confidence - right, bins)
    return float(np.abs(gaps).sum() / len(confidence))
