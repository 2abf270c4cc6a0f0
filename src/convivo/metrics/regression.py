"""What a predicted number is worth: mean absolute and root mean square error, and R squared."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from convivo.errors import DataError, ShapeError
from convivo.metrics.intervals import RESAMPLES, Entry, Resampled, pool, ratio, unit_index

_ABSOLUTE, _SQUARED, _TRUTH, _TRUTH_SQUARED, _CASES = range(5)


def regression_metrics(
    predictions: np.ndarray,
    targets: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """`mae`, `rmse` (in the unit of the targets) and `r2`, pooled over cases.

    `r2` has no value where all targets are equal.

    Args:
        predictions: (n,).
        targets: (n,).
        units: (n,) the unit of each case.
        seed: of every bootstrap.
        resamples: of every bootstrap.
    Raises:
        ShapeError: sizes that do not belong together, or no case.
        DataError: a number that is not finite.
    Example:
        >>> found = regression_metrics(np.array([1.0, 2, 4]), np.array([1.0, 2, 3]), [0, 1, 2])
        >>> found["r2"]["value"], round(found["mae"]["value"], 3)
        (0.5, 0.333)
    """
    predictions, targets = np.asarray(predictions, float), np.asarray(targets, float)
    if predictions.ndim != 1 or predictions.shape != targets.shape:
        rule = f"predictions and targets are one number per case; targets {targets.shape}"
        raise ShapeError("regression", rule, predictions.shape, "Give two arrays of one length")
    if not (np.isfinite(predictions).all() and np.isfinite(targets).all()):
        rule = "predictions and targets are finite"
        raise DataError("regression", rule, "NaN or infinity", "Check that training converged")
    index, num_units = unit_index(units, len(targets))
    rows = regression_sums(predictions, targets)
    drawn = Resampled(pool(rows, index, num_units), seed=seed, resamples=resamples)
    return {
        "mae": drawn.measure(_mae, bounds=(0.0, np.inf)),
        "rmse": drawn.measure(_rmse, bounds=(0.0, np.inf)),
        "r2": drawn.measure(_r2, bounds=(-np.inf, 1.0)),
    }


def regression_sums(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rows (n, 5) whose sums the functions of `STATISTICS` take; both inputs (n,)."""
    errors = predictions - targets
    centred = targets - targets.mean()  # squares of large offsets would cancel badly
    return np.stack([np.abs(errors), errors**2, centred, centred**2, np.ones_like(errors)], axis=1)


def _mae(sums: np.ndarray) -> np.ndarray:
    return sums[:, _ABSOLUTE] / sums[:, _CASES]


def _rmse(sums: np.ndarray) -> np.ndarray:
    return np.sqrt(sums[:, _SQUARED] / sums[:, _CASES])


def _r2(sums: np.ndarray) -> np.ndarray:
    spread = sums[:, _TRUTH_SQUARED] - sums[:, _TRUTH] ** 2 / sums[:, _CASES]
    meaningful = spread > 1e-12 * sums[:, _TRUTH_SQUARED]
    return 1 - ratio(sums[:, _SQUARED], np.where(meaningful, spread, 0.0))


STATISTICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mae": _mae,
    "rmse": _rmse,
    "r2": _r2,
}
"""Metric -> its value (B,) of sums (B, 5)."""
