"""Counts of right and wrong answers per class, and the ratios a classifier is judged by.

Letters: n cases, U units, K classes, B resamples. A row of counts has 3 K + 1 columns:
hits (K), truths (K), predictions (K), cases. Every ratio below is a function of such sums.
"""

import numpy as np

from convivo.metrics.intervals import mean_of_defined, ratio


def counts_by_unit(
    truth: np.ndarray, prediction: np.ndarray, index: np.ndarray, num_units: int
) -> np.ndarray:
    """Rows of counts, (U, 3 K + 1), of two yes-no tables (n, K) of truths and predictions.

    index: (n,) the unit of each case. Exclusive classes come as one-hot tables.
    """
    tables = (truth & prediction, truth, prediction)
    columns = [np.bincount(index, column, num_units) for table in tables for column in table.T]
    return np.stack([*columns, np.bincount(index, minlength=num_units)], axis=1).astype(float)


def split(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hits, truths, predictions (B, K) each and cases (B, 1) of rows of counts (B, 3 K + 1)."""
    k = sums.shape[-1] // 3
    return sums[..., :k], sums[..., k : 2 * k], sums[..., 2 * k : 3 * k], sums[..., 3 * k :]


def sensitivity(sums: np.ndarray) -> np.ndarray:
    """Hits among the truths of each class, (B, K); NaN where the class never is the truth.

    Example:
        >>> sensitivity(np.array([[3.0, 5, 4, 5, 4, 5, 9]])).round(2).tolist()
        [[0.75, 1.0]]
    """
    hits, truths, _, _ = split(sums)
    return ratio(hits, truths)


def precision(sums: np.ndarray) -> np.ndarray:
    """Hits among the predictions of each class, (B, K); NaN where it never is predicted."""
    hits, _, predictions, _ = split(sums)
    return ratio(hits, predictions)


def specificity(sums: np.ndarray) -> np.ndarray:
    """Share of the cases of other classes that are not called by this one, (B, K)."""
    hits, truths, predictions, cases = split(sums)
    return ratio(cases - truths - predictions + hits, cases - truths)


def f1(sums: np.ndarray) -> np.ndarray:
    """Harmonic mean of sensitivity and precision, (B, K); NaN where the class is not in the truth.

    A class that is there and never predicted has 0, although its precision is undefined.
    """
    hits, truths, predictions, _ = split(sums)
    return np.where(truths > 0, ratio(2 * hits, truths + predictions), np.nan)


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Share of cases that are right, (B,), for exclusive classes."""
    hits, _, _, cases = split(sums)
    return ratio(hits.sum(axis=-1), cases[..., 0])


def label_accuracy(sums: np.ndarray) -> np.ndarray:
    """Share of single yes-no answers that are right, (B,), for classes that may occur together."""
    hits, truths, predictions, cases = split(sums)
    wrong = (truths + predictions - 2 * hits).sum(axis=-1)
    return 1 - ratio(wrong, cases[..., 0] * hits.shape[-1])


def macro_sensitivity(sums: np.ndarray) -> np.ndarray:
    """Mean sensitivity over the classes present in the truth, (B,): the balanced accuracy."""
    return mean_of_defined(sensitivity(sums))


def macro_balance(sums: np.ndarray) -> np.ndarray:
    """Mean over classes of (sensitivity + specificity) / 2, (B,), for classes that may co-occur."""
    return mean_of_defined((sensitivity(sums) + specificity(sums)) / 2)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes present in the truth, (B,)."""
    return mean_of_defined(f1(sums))
