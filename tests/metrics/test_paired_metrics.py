import numpy as np
import pytest
from scipy import stats

from convivo.errors import ShapeError
from convivo.metrics.intervals import ratio
from convivo.metrics.paired import compare_sides, of_areas, of_sums
from convivo.metrics.roc import auroc


def mean_of(values: np.ndarray):
    rows = np.stack([values, np.ones_like(values)], axis=1)
    return of_sums(lambda sums: ratio(sums[:, 0], sums[:, 1]), rows)


def test_pairs_are_sharper_than_either_side() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(size=60)
    a, b = hard + 0.3 + 0.1 * rng.normal(size=60), hard + 0.1 * rng.normal(size=60)
    found = compare_sides([mean_of(a)], [mean_of(b)], 60)
    assert found["difference"]["value"] == pytest.approx((a - b).mean())
    half = stats.t.ppf(0.975, 59) * (a - b).std(ddof=1) / np.sqrt(60)
    assert found["difference"]["low"] == pytest.approx((a - b).mean() - half, abs=0.15 * half)
    assert found["difference"]["high"] == pytest.approx((a - b).mean() + half, abs=0.15 * half)
    assert found["a"]["low"] < found["b"]["high"]
    assert found["p"] < 0.001


def test_p_is_that_of_a_paired_test() -> None:
    rng = np.random.default_rng(1)
    apart = rng.normal(0.2, 1.0, 80)
    found = compare_sides([mean_of(apart)], [mean_of(np.zeros(80))], 80)
    assert found["p"] == pytest.approx(stats.ttest_1samp(apart, 0).pvalue, abs=0.02)


def test_the_same_on_both_sides_differs_by_nothing() -> None:
    values = np.random.default_rng(2).normal(size=30)
    found = compare_sides([mean_of(values)], [mean_of(values)], 30)
    assert found["difference"]["value"] == 0
    assert found["p"] in (None, 1.0)


def test_seeds_of_a_side_are_averaged() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(3, 20))
    found = compare_sides([mean_of(row) for row in rows], [mean_of(rows[0])], 20)
    assert found["a"]["value"] == pytest.approx(rows.mean())


def test_areas_are_those_of_one_run() -> None:
    rng = np.random.default_rng(4)
    index = np.arange(50) // 5
    positive = rng.random((50, 2)) < 0.4
    scores = rng.random((50, 2)) + 0.5 * positive
    wanted = auroc(scores, positive, index)
    found = compare_sides([of_areas(scores, positive, index, 10)], [mean_of(np.zeros(10))], 10)
    assert found["a"]["value"] == pytest.approx(wanted["value"])
    assert found["a"]["low"] == pytest.approx(wanted["low"], abs=0.02)


def test_a_side_without_runs_is_refused() -> None:
    with pytest.raises(ShapeError, match="each side has at least one run"):
        compare_sides([], [mean_of(np.zeros(3))], 3)
