"""Two sides on the same units: what each is worth, and by how much they differ.

A side is one run, or several that differ by their seed; its value is their mean. Both sides are
resampled together, so that what is hard about a unit is hard for both.

Letters: U units, B resamples, K sums.
"""

from collections.abc import Callable, Sequence

import numpy as np

from convivo.errors import ShapeError
from convivo.metrics.intervals import (
    RESAMPLES,
    UNBOUNDED,
    Bounds,
    Entry,
    interval,
    mean_of_defined,
    ratio,
    unit_weights,
)
from convivo.metrics.roc import pair_counts

Weighted = Callable[[np.ndarray], np.ndarray]
"""How often each unit counts, (B, U) -> the metric, (B,); NaN where it is undefined."""


def of_sums(statistic: Callable[[np.ndarray], np.ndarray], per_unit: np.ndarray) -> Weighted:
    """A metric that is a function of sums over units: sums (B, K) -> (B,), per_unit (U, K)."""
    return lambda weights: statistic(weights @ per_unit)


def of_areas(
    scores: np.ndarray, positive: np.ndarray, index: np.ndarray, num_units: int
) -> Weighted:
    """The mean area under the ROC curves of scores (n, C); index (n,) is the unit of each item."""
    parts = []
    for column, flags in zip(scores.T, positive.T, strict=True):
        if flags.any() and not flags.all():
            wins = pair_counts(column, flags, index, num_units)
            counts = [np.bincount(index[side], minlength=num_units) for side in (flags, ~flags)]
            parts.append((wins, *counts))

    def areas(weights: np.ndarray) -> np.ndarray:
        rows = [
            ratio(((weights @ wins) * weights).sum(1), (weights @ ups) * (weights @ downs))
            for wins, ups, downs in parts
        ]
        if not rows:
            return np.full(len(weights), np.nan)
        return mean_of_defined(np.stack(rows, axis=1))

    return areas


def compare_sides(
    a: Sequence[Weighted],
    b: Sequence[Weighted],
    num_units: int,
    *,
    bounds: Bounds = UNBOUNDED,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry | float | None]:
    """`a`, `b` and `difference` (a - b) with intervals over units, and the two-sided `p`.

    p is the share of resamples in which the difference has the other sign (ties half), doubled,
    and never below what so many resamples can show. It speaks of other units, not of other seeds.

    Args:
        a, b: a metric for each run of a side.
        num_units: units that both sides were measured on.
        bounds: smallest and largest value of the metric.
    Raises:
        ShapeError: a side without runs.
    Source: Efron & Tibshirani 1993, An introduction to the bootstrap, chapters 13 and 16.
    """
    if not a or not b:
        got = f"{len(a)} and {len(b)}"
        raise ShapeError("compare", "each side has at least one run", got, "Name its runs")
    once = np.ones((1, num_units))
    values = [_mean(side, once)[0] for side in (a, b)]
    chunks = list(unit_weights(num_units, seed=seed, resamples=resamples))
    drawn = [np.concatenate([_mean(side, chunk) for chunk in chunks]) for side in (a, b)]
    apart = drawn[0] - drawn[1]
    entries = [
        interval(float(value), rows, units=num_units, bounds=bounds)
        for value, rows in zip(values, drawn, strict=True)
    ]
    difference = interval(float(values[0] - values[1]), apart, units=num_units)
    return {
        "a": entries[0],
        "b": entries[1],
        "difference": difference,
        "p": None if difference["low"] is None else _p_value(apart),
    }


def _mean(side: Sequence[Weighted], weights: np.ndarray) -> np.ndarray:
    return np.mean([metric(weights) for metric in side], axis=0)


def _p_value(apart: np.ndarray) -> float:
    known = apart[np.isfinite(apart)]
    ties = 0.5 * np.count_nonzero(known == 0)
    below = np.count_nonzero(known < 0) + ties
    above = np.count_nonzero(known > 0) + ties
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(known) + 1)))
