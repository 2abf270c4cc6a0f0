"""Area under the ROC curve: counting pairs, DeLong by the book, resampling by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from convivo.metrics import roc


def ranked(n: int, seed: int = 0, shift: float = 1.0):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    return (rng.normal(size=n) + shift * positive).round(1), positive


def pair_by_pair(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    up, down = scores[positive][:, None], scores[~positive][None]
    return (up > down) + 0.5 * (up == down)


def column(scores, positive, units, **draws):
    return roc.auroc(scores[:, None], positive[:, None], units, **draws)


def test_area_counts_pairs_with_ties_half():
    scores, positive = ranked(70)
    found = column(scores, positive, np.arange(70))
    assert found["value"] == pytest.approx(pair_by_pair(scores, positive).mean())
    assert found["value"] == pytest.approx(oracle.roc_auc_score(positive, scores))


def test_delong_interval_equals_its_formula():
    scores, positive = ranked(70)
    wins = pair_by_pair(scores, positive)
    variance = wins.mean(1).var(ddof=1) / wins.shape[0] + wins.mean(0).var(ddof=1) / wins.shape[1]
    found = column(scores, positive, np.arange(70))
    half = 1.959964 * np.sqrt(variance)
    assert found["method"] == "delong"
    assert found["low"] == pytest.approx(wins.mean() - half, abs=1e-6)
    assert found["high"] == pytest.approx(wins.mean() + half, abs=1e-6)


@pytest.mark.slow
def test_macro_delong_agrees_with_a_bootstrap_over_cases():
    rng = np.random.default_rng(3)
    targets = rng.integers(3, size=240)
    scores = rng.normal(size=(240, 3))
    scores[np.arange(240), targets] += 1
    positive = targets[:, None] == np.arange(3)
    found = roc.auroc(scores, positive, np.arange(240))
    means = []
    for _ in range(400):
        draw = rng.integers(240, size=240)
        means.append(oracle.roc_auc_score(positive[draw], scores[draw], average="macro"))
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * np.std(means), rel=0.15)


def test_pair_counts_between_units_equal_a_double_loop():
    scores, positive = ranked(40)
    index = np.arange(40) % 7
    found = roc.pair_counts(scores, positive, index, 7)
    for a in range(7):
        for b in range(7):
            up, down = scores[positive & (index == a)], scores[~positive & (index == b)]
            wins = sum((u > d) + 0.5 * (u == d) for u in up for d in down)
            assert found[a, b] == wins


def test_bootstrap_over_units_equals_resampling_the_cases_of_units():
    scores, positive = ranked(120, seed=5)
    units = np.repeat(np.arange(12), 10)
    scores = scores + np.repeat(np.random.default_rng(1).normal(size=12), 10)
    found = column(scores, positive, units, resamples=4000)
    rng = np.random.default_rng(2)
    areas = []
    for _ in range(800):
        draw = np.concatenate([np.flatnonzero(units == u) for u in rng.integers(12, size=12)])
        areas.append(oracle.roc_auc_score(positive[draw], scores[draw]))
    low, high = np.quantile(areas, [0.0107, 0.9893])  # Student's widening for twelve units
    assert found["method"] == "bootstrap"
    assert found["low"] == pytest.approx(low, abs=0.03)
    assert found["high"] == pytest.approx(high, abs=0.03)


def test_clustered_formula_agrees_with_the_bootstrap():
    rng = np.random.default_rng(8)
    units = np.repeat(np.arange(150), 4)
    positive = rng.random(600) < 0.5
    scores = rng.normal(size=600) + positive + np.repeat(rng.normal(size=150), 4)
    bootstrapped = column(scores, positive, units)
    formula = roc._delong([(scores, positive)], units, 150, 150)
    assert formula["value"] == pytest.approx(bootstrapped["value"])
    assert formula["low"] == pytest.approx(bootstrapped["low"], abs=0.01)
    assert formula["high"] == pytest.approx(bootstrapped["high"], abs=0.01)


def test_thousands_of_units_with_several_cases_use_the_clustered_formula():
    scores, positive = ranked(6400, seed=2)
    found = column(scores, positive, np.arange(6400) % 3200)
    assert found["method"] == "clustered-delong"
    assert found["value"] == pytest.approx(oracle.roc_auc_score(positive, scores))
    single = column(scores, positive, np.arange(6400))  # the cases are independent here
    assert found["low"] == pytest.approx(single["low"], abs=1e-3)


@pytest.mark.parametrize("cases_per_unit", [1, 3])
def test_perfect_separation_has_an_interval_of_some_width(cases_per_unit):
    positive = np.repeat(np.arange(12) % 2 == 1, cases_per_unit)
    units = np.repeat(np.arange(12), cases_per_unit)
    found = column(positive.astype(float), positive, units)
    assert found["value"] == found["high"] == 1
    assert found["low"] == pytest.approx(0.025 ** (1 / 6))


def test_positives_of_two_units_only_have_no_interval():
    scores, _ = ranked(30)
    found = column(scores, np.arange(30) < 2, np.arange(30))
    assert found["low"] is None
    assert found["value"] is not None


def test_columns_of_one_kind_are_left_out():
    scores, positive = ranked(30)
    table = np.stack([positive, np.zeros(30, bool), np.ones(30, bool)], axis=1)
    found = roc.auroc(np.tile(scores[:, None], 3), table, np.arange(30))
    assert found["value"] == column(scores, positive, np.arange(30))["value"]
    nothing = roc.auroc(np.tile(scores[:, None], 2), table[:, 1:], np.arange(30))
    assert nothing["value"] is None


def test_curve_equals_scikit_learn_at_every_vertex():
    scores, positive = ranked(60)
    found = roc.roc_curve(scores, positive)
    fpr, tpr, _ = oracle.roc_curve(positive, scores, drop_intermediate=False)
    assert found["fpr"] == pytest.approx(fpr)
    assert found["tpr"] == pytest.approx(tpr)


def test_long_curve_is_thinned_and_keeps_ends_and_area():
    rng = np.random.default_rng(0)
    positive = rng.random(20_000) < 0.1
    scores = rng.normal(size=20_000) + positive
    found = roc.roc_curve(scores, positive)
    assert 150 < len(found["fpr"]) <= 200
    assert (found["fpr"][0], found["tpr"][0]) == (0, 0)
    assert (found["fpr"][-1], found["tpr"][-1]) == (1, 1)
    area = np.trapezoid(found["tpr"], found["fpr"])
    assert area == pytest.approx(oracle.roc_auc_score(positive, scores), abs=1e-3)


def test_curve_of_one_kind_is_empty():
    assert roc.roc_curve(np.arange(3.0), np.ones(3, bool)) == {"fpr": [], "tpr": []}
