"""Intervals: every metric comes here with its sums per unit and leaves with `low` and `high`.

Letters: U units (subjects, cases or sections), K sums kept of each unit, B resamples.

One set of rules for every metric:
- Units are drawn with replacement, never the cases inside them.
- The interval is the expanded percentile one: for few units the plain percentile interval is too
  narrow, by the factor that parts a Student from a normal quantile and by sqrt(n / (n - 1)).
- Below five units the expanded level lies beyond the rarest resample and the percentile interval
  would be no more than the range of the units (75 % coverage for three). There the Student
  interval on the bootstrap's standard error takes its place.
- Where all units agree, resampling sees no spread; a metric within 0 and 1 then gets the exact
  binomial interval over units (not over the cases in them, which would pretend that they are
  independent), any other metric none.
- `low` and `high` are None where none is sound: fewer than three units carry the metric, its value
  is undefined, or it is undefined in more than a tenth of the resamples (others are dropped).

Source: Hesterberg 2015, The American Statistician 69(4), doi:10.1080/00031305.2015.1089789.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from convivo.errors import ShapeError

LEVEL = 0.95
RESAMPLES = 4000
FEWEST_UNITS = 3
FEWEST_FOR_PERCENTILES = 5
MOST_UNDEFINED = 0.1
SHARE = (0.0, 1.0)  # the bounds of a share: accuracy, Dice, AUROC
UNBOUNDED = (-np.inf, np.inf)

_MOST_ROW_KINDS = 500  # above this, one draw per unit is cheaper than one per kind of unit
_CHUNK_VALUES = 2_000_000  # weights held at once: 16 MB each of integers and of floats

Entry = dict[str, Any]
Statistic = Callable[[np.ndarray], np.ndarray]
Bounds = tuple[float, float]


def entry(
    value: object, low: float | None = None, high: float | None = None, **more: object
) -> Entry:
    """A metric as JSON has it: `value`, `low`, `high` and what else is worth saying.

    Numbers that are not finite become None, so that NaN never reaches a document.

    Example:
        >>> entry(float("nan"), unit="mm")
        {'value': None, 'low': None, 'high': None, 'unit': 'mm'}
    """
    plain = _finite(value) if isinstance(value, float | np.floating) else value
    return {"value": plain, "low": _finite(low), "high": _finite(high), **more}


def _finite(number: object) -> float | None:
    if number is None or not np.isfinite(number):  # type: ignore[call-overload]
        return None
    return float(number)  # type: ignore[arg-type]


def unit_index(units: Sequence[object] | np.ndarray, cases: int) -> tuple[np.ndarray, int]:
    """Position of each case's unit among the sorted units, (n,) int64, and how many there are.

    Raises:
        ShapeError: not one unit per case, or no case at all.
    Example:
        >>> unit_index(["b", "a", "b"], 3)
        (array([1, 0, 1]), 2)
    """
    if cases == 0:
        rule = "a metric needs at least one case"
        raise ShapeError("metrics", rule, "none", "Give the split at least one case")
    if len(units) != cases:
        rule = f"every case has one unit ({cases} cases)"
        raise ShapeError("metrics", rule, f"{len(units)} units", "Give one unit per case")
    names, index = np.unique(np.asarray(units), return_inverse=True)
    return index.reshape(-1), len(names)


def pool(rows: np.ndarray, index: np.ndarray, num_units: int) -> np.ndarray:
    """Sums of rows (n, K) per unit: (U, K) float64; `index` (n,) is the unit of each row."""
    columns = [np.bincount(index, column, num_units) for column in np.asarray(rows, float).T]
    return np.stack(columns, axis=1)


def unit_weights(
    num_units: int, *, seed: int = 0, resamples: int = RESAMPLES
) -> Iterator[np.ndarray]:
    """How often each unit is drawn, in chunks (b, U) float64 that sum up to `resamples` rows.

    A chunk is small enough that memory stays below 100 MB however many units there are.
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // num_units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(num_units, size=(rows, num_units))
        drawn += np.arange(rows)[:, None] * num_units
        counts = np.bincount(drawn.ravel(), minlength=rows * num_units)
        yield counts.reshape(rows, num_units).astype(float)


def resampled_sums(
    per_unit: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES
) -> np.ndarray:
    """Sums over units drawn with replacement: (U, K) finite -> (B, K).

    Units with equal rows (one case each, right or wrong) are drawn by kind, which gives the same
    distribution at a fraction of the cost.
    """
    num_units = len(per_unit)
    kinds, counts = np.unique(per_unit, axis=0, return_counts=True)
    if len(kinds) > _MOST_ROW_KINDS:
        chunks = unit_weights(num_units, seed=seed, resamples=resamples)
        return np.concatenate([weights @ per_unit for weights in chunks])
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_units, counts / num_units, size=resamples) @ kinds


class Resampled:
    """Sums per unit with their resamples drawn once, for all metrics that are made of them.

    Args:
        per_unit: (U, K) finite sums of each unit.
        seed: equal seeds give equal intervals.
        resamples: how often the units are drawn.
    """

    def __init__(self, per_unit: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> None:
        self.per_unit = np.asarray(per_unit, float)
        self.total = self.per_unit.sum(axis=0, keepdims=True)
        self.replicates = resampled_sums(self.per_unit, seed=seed, resamples=resamples)

    def support(self, column: int) -> int:
        """How many units have anything in one column."""
        return int(np.count_nonzero(self.per_unit[:, column]))

    def measure(
        self,
        statistic: Statistic,
        *,
        support: int | None = None,
        bounds: Bounds = SHARE,
        **more: object,
    ) -> Entry:
        """The entry of a metric `statistic`: sums (B, K) -> (B,), NaN where undefined.

        support: number of units that carry the metric (all, unless said). bounds: its range.
        """
        units = len(self.per_unit) if support is None else support
        value = float(statistic(self.total)[0])
        return interval(value, statistic(self.replicates), units=units, bounds=bounds) | more


def bootstrap(
    statistic: Statistic,
    per_unit: np.ndarray,
    *,
    support: int | None = None,
    bounds: Bounds = UNBOUNDED,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Entry:
    """A metric of sums over units, with its interval.

    Args:
        statistic: sums (B, K) -> values (B,), NaN where undefined.
        per_unit: (U, K) finite sums of each unit.
        support: how many units carry the metric. Default: all.
        bounds: the smallest and largest value the metric can take.
        seed: of the resampling.
        resamples: number of draws, at least 4,000 for a reported interval.
    Example:
        >>> right = np.array([[9, 10], [7, 10], [8, 10], [10, 10], [6, 10], [8, 10]])
        >>> found = bootstrap(lambda s: s[:, 0] / s[:, 1], right, bounds=SHARE)
        >>> found["value"], found["low"] < 0.8 < found["high"]
        (0.8, True)
    """
    drawn = Resampled(per_unit, seed=seed, resamples=resamples)
    return drawn.measure(statistic, support=support, bounds=bounds)


def interval(
    value: float, replicates: np.ndarray, *, units: int, bounds: Bounds = UNBOUNDED
) -> Entry:
    """`low` and `high` from resampled values (B,), by the rules on top of this file."""
    if not np.isfinite(value) or units < FEWEST_UNITS:
        return entry(value)
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(replicates):
        return entry(value)
    if units < FEWEST_FOR_PERCENTILES:
        from scipy import stats  # a second to import

        error = float(defined.std()) * np.sqrt(units / (units - 1))
        half = float(stats.t.ppf((1 + LEVEL) / 2, units - 1)) * error
        return bounded(value, value - half, value + half, units=units, bounds=bounds)
    tail = _expanded_tail(units)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return bounded(value, float(low), float(high), units=units, bounds=bounds)


def bounded(value: float, low: float, high: float, *, units: int, bounds: Bounds) -> Entry:
    """The entry of an interval cut to the metric's range, holding its value, never without width.

    An interval of no width means that all units agree: see the rule on top of this file.
    """
    if high - low <= 1e-12 * max(1.0, abs(value)):
        exact = binomial_interval(value * units, units) if bounds == SHARE else (None, None)
        return entry(value, *exact)
    low, high = min(low, value), max(high, value)
    return entry(value, max(low, bounds[0]), min(high, bounds[1]))


def _expanded_tail(units: int) -> float:
    from scipy import stats

    quantile = stats.t.ppf((1 - LEVEL) / 2, units - 1) * np.sqrt(units / (units - 1))
    return float(stats.norm.cdf(quantile))


def binomial_interval(successes: float, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share.

    Source: Clopper & Pearson 1934, Biometrika 26(4), doi:10.1093/biomet/26.4.404.

    Example:
        >>> low, high = binomial_interval(5, 5)
        >>> round(low, 3), high
        (0.478, 1.0)
    """
    from scipy import stats

    tail, misses = (1 - LEVEL) / 2, trials - successes
    low = stats.beta.ppf(tail, successes, misses + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, misses) if misses > 0 else 1.0
    return float(low), float(high)


def mean_interval(
    values: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    bounds: Bounds = UNBOUNDED,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Entry:
    """The mean over cases of a value per case, (n,), with the interval over their units.

    Cases without a value (NaN) are left out and counted under `excluded`, if there are any.

    Raises:
        ShapeError: not one unit per case, or no case at all.
    Example:
        >>> mean_interval(np.array([1.0, np.nan, 3.0]), ["a", "b", "b"])
        {'value': 2.0, 'low': None, 'high': None, 'excluded': 1}
    """
    values = np.asarray(values, float)
    index, num_units = unit_index(units, len(values))
    known = np.isfinite(values)
    rows = np.stack([np.where(known, values, 0.0), known], axis=1)
    drawn = Resampled(pool(rows, index, num_units), seed=seed, resamples=resamples)
    more = {} if known.all() else {"excluded": int((~known).sum())}
    return drawn.measure(
        lambda sums: ratio(sums[:, 0], sums[:, 1]), support=drawn.support(1), bounds=bounds, **more
    )


def ratio(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Quotients of two arrays that broadcast; `otherwise` where the lower one is zero."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, otherwise), where=below != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Means over the last axis of what is not NaN, NaN where nothing is: (..., K) -> (...)."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))
