"""Errors of predicted numbers against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from convivo.errors import DataError, ShapeError
from convivo.metrics.regression import regression_metrics


def test_numbers_match_scikit_learn_even_far_from_zero():
    rng = np.random.default_rng(0)
    targets = 1e6 + rng.normal(size=80)
    predictions = targets + rng.normal(0, 0.5, 80)
    found = regression_metrics(predictions, targets, np.arange(80))
    expected = {
        "mae": oracle.mean_absolute_error(targets, predictions),
        "rmse": oracle.root_mean_squared_error(targets, predictions),
        "r2": oracle.r2_score(targets, predictions),
    }
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value)
        assert found[name]["low"] < value < found[name]["high"]


def test_equal_targets_have_no_r2():
    found = regression_metrics(np.arange(5.0), np.full(5, 0.1), np.arange(5))
    assert found["r2"] == {"value": None, "low": None, "high": None}
    assert found["mae"]["value"] > 0


def test_perfect_predictions_have_no_sound_interval():
    found = regression_metrics(np.arange(8.0), np.arange(8.0), np.arange(8))
    assert found["rmse"] == {"value": 0, "low": None, "high": None}
    assert found["r2"] == {"value": 1, "low": None, "high": None}


def test_arrays_that_do_not_match_are_refused():
    with pytest.raises(ShapeError, match=r"one number per case; targets \(3,\); got \(3, 1\)"):
        regression_metrics(np.zeros((3, 1)), np.zeros(3), np.arange(3))


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="predictions and targets are finite"):
        regression_metrics(np.array([0, np.nan]), np.zeros(2), [0, 1])
