"""Intervals: Monte Carlo, SciPy and counting by hand as oracles."""

import numpy as np
import pytest
from scipy import stats

from convivo.errors import ShapeError
from convivo.metrics.intervals import (
    SHARE,
    Resampled,
    binomial_interval,
    bootstrap,
    entry,
    interval,
    mean_interval,
    mean_of_defined,
    pool,
    ratio,
    resampled_sums,
    unit_index,
    unit_weights,
)


def share(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[:, 0], sums[:, 1])


def coverage(draw, truth: float, rounds: int) -> float:
    found = [draw(np.random.default_rng(r), r) for r in range(rounds)]
    return float(np.mean([f["low"] <= truth <= f["high"] for f in found]))


def test_weights_are_counts_of_a_draw_with_replacement():
    chunks = list(unit_weights(3000, seed=3, resamples=1500))
    weights = np.concatenate(chunks)
    assert len(chunks) > 1
    assert weights.shape == (1500, 3000)
    assert (weights.sum(axis=1) == 3000).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kinds", [2, 600])
def test_resampled_sums_have_the_moments_of_the_bootstrap(kinds):
    rng = np.random.default_rng(0)
    per_unit = rng.integers(kinds, size=(700, 1)) + np.array([[0.0, 1.0]])
    if kinds == 600:
        per_unit = per_unit + rng.random((700, 2))  # no two alike: drawn unit by unit
    sums = resampled_sums(per_unit, seed=1, resamples=6000)
    assert sums.mean(axis=0) == pytest.approx(per_unit.sum(axis=0), rel=0.01)
    expected = np.cov(per_unit.T, bias=True) * 700
    assert np.cov(sums.T) == pytest.approx(expected, rel=0.1)


def test_expanded_percentile_matches_its_definition():
    values = np.arange(20.0)
    found = mean_interval(values, np.arange(20), seed=0, resamples=40_000)
    tail = stats.norm.cdf(stats.t.ppf(0.025, 19) * np.sqrt(20 / 19))
    rng = np.random.default_rng(9)
    means = rng.choice(values, size=(40_000, 20)).mean(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    assert found["low"] == pytest.approx(low, abs=0.15)
    assert found["high"] == pytest.approx(high, abs=0.15)
    assert found["high"] - found["low"] > np.diff(np.quantile(means, [0.025, 0.975]))[0]


def test_three_units_get_students_interval_on_the_mean():
    values = np.array([4.0, 7.0, 12.0])
    found = mean_interval(values, ["a", "b", "c"], resamples=40_000)
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert found["low"] == pytest.approx(low, rel=0.02)
    assert found["high"] == pytest.approx(high, rel=0.02)


def test_intervals_stay_inside_the_range_of_the_metric():
    found = mean_interval(np.array([1.0, 0.9, 1.0]), [1, 2, 3], bounds=SHARE)
    assert 0 <= found["low"] < found["value"] < found["high"] == 1


@pytest.mark.parametrize("units", [1, 2])
def test_fewer_than_three_units_have_no_interval(units):
    found = mean_interval(np.array([0.5, 0.7, 0.2]), [0, 0, units - 1], bounds=SHARE)
    assert found["low"] is None
    assert found["high"] is None
    assert found["value"] == pytest.approx(1.4 / 3)


def test_units_that_all_agree_get_the_exact_binomial_interval_over_units():
    per_unit = np.array([[30.0, 30.0], [20.0, 20.0], [1.0, 1.0], [7.0, 7.0]])
    found = bootstrap(share, per_unit, bounds=SHARE)
    exact = stats.binomtest(4, 4).proportion_ci(method="exact")
    assert (found["low"], found["high"]) == pytest.approx((exact.low, exact.high))
    none_right = bootstrap(share, per_unit * [0, 1], bounds=SHARE)
    assert none_right["low"] == 0
    assert none_right["high"] == pytest.approx(1 - exact.low)


def test_agreement_on_an_unbounded_metric_has_no_interval():
    found = mean_interval(np.full(9, 2.5), np.arange(9))
    assert (found["value"], found["low"], found["high"]) == (2.5, None, None)


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (3, 7), (7, 7), (99, 100)])
def test_binomial_interval_equals_scipy(successes, trials):
    exact = stats.binomtest(successes, trials).proportion_ci(method="exact")
    found = binomial_interval(successes, trials)
    assert found == pytest.approx((exact.low, exact.high))


def test_undefined_resamples_are_dropped_up_to_a_tenth():
    replicates = np.linspace(0, 1, 1000)
    replicates[:90] = np.nan
    assert interval(0.5, replicates, units=30)["low"] > 0.09
    replicates[:110] = np.nan
    assert interval(0.5, replicates, units=30)["low"] is None


def test_an_undefined_value_is_none_everywhere():
    found = bootstrap(share, np.zeros((5, 2)), bounds=SHARE)
    assert found == {"value": None, "low": None, "high": None}


def test_interval_always_holds_its_value():
    found = interval(0.9, np.linspace(0.2, 0.6, 500), units=50, bounds=SHARE)
    assert found["low"] < found["high"] == 0.9


def test_equal_seeds_give_equal_intervals():
    values = np.random.default_rng(0).random(40)
    one, other = (mean_interval(values, np.arange(40), seed=5) for _ in range(2))
    assert one == other
    assert one != mean_interval(values, np.arange(40), seed=6)


def test_order_of_cases_does_not_matter():
    rng = np.random.default_rng(2)
    values, units, order = rng.random(50), rng.integers(8, size=50), rng.permutation(50)
    one, other = mean_interval(values, units), mean_interval(values[order], units[order])
    assert one == pytest.approx(other)


def test_cases_without_a_value_are_left_out_and_counted():
    values = np.array([1.0, np.nan, 2.0, 3.0, np.inf, 2.0])
    found = mean_interval(values, ["a", "a", "b", "c", "d", "d"])
    assert found["excluded"] == 2
    assert found["value"] == 2
    assert found["low"] < 2 < found["high"]


def test_units_without_a_value_do_not_count_as_support():
    found = mean_interval(np.array([1.0, 2.0, np.nan, np.nan]), ["a", "b", "c", "d"])
    assert found["low"] is None


def test_alike_cases_of_a_unit_widen_the_interval():
    rng = np.random.default_rng(4)
    values = np.repeat(rng.normal(size=20), 10)
    apart = mean_interval(values, np.arange(200))
    together = mean_interval(values, np.repeat(np.arange(20), 10))
    assert together["high"] - together["low"] > 2.5 * (apart["high"] - apart["low"])


def test_support_counts_units_with_anything_in_a_column():
    drawn = Resampled(np.array([[0.0, 2.0], [1.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), resamples=10)
    assert (drawn.support(0), drawn.support(1)) == (2, 2)


def test_pool_sums_rows_of_a_unit():
    index, num_units = unit_index(["s2", "s1", "s2"], 3)
    assert pool(np.array([[1, 2], [3, 4], [5, 6]]), index, num_units).tolist() == [[3, 4], [6, 8]]


def test_entries_never_hold_a_number_that_is_not_finite():
    assert entry(np.inf, np.nan, -np.inf) == {"value": None, "low": None, "high": None}
    assert entry([[1, 2]])["value"] == [[1, 2]]


def test_mean_of_defined_skips_nan_and_keeps_empty_rows_undefined():
    found = mean_of_defined(np.array([[1.0, np.nan, 3.0], [np.nan] * 3]))
    assert found[0] == 2
    assert np.isnan(found[1])


def test_units_that_do_not_match_the_cases_are_refused():
    with pytest.raises(ShapeError, match=r"every case has one unit \(3 cases\); got 2 units"):
        mean_interval(np.zeros(3), ["a", "b"])


def test_no_case_at_all_is_refused():
    with pytest.raises(ShapeError, match="a metric needs at least one case"):
        mean_interval(np.zeros(0), [])


def test_coverage_of_a_mean_over_six_units():
    def draw(rng, seed):
        return mean_interval(rng.normal(3, 1, 6), np.arange(6), seed=seed)

    assert 0.88 <= coverage(draw, 3, 250) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("units", [3, 4, 5, 8, 20, 60])
def test_coverage_of_a_clustered_share(units):
    def draw(rng, seed):
        right = rng.binomial(30, rng.beta(8, 2, units))
        rows = np.stack([right, np.full(units, 30)], axis=1)
        return bootstrap(share, rows, bounds=SHARE, seed=seed)

    assert 0.87 <= coverage(draw, 0.8, 1500) <= 0.99
