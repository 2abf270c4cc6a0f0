"""AAMI beat metrics against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from convivo.errors import DataError, ShapeError, UsageError
from convivo.metrics.beats import beat_metrics

NAMES = ["N", "S", "V", "F", "Q"]


def beats(n: int = 3000, records: int = 6, seed: int = 0):
    rng = np.random.default_rng(seed)
    targets = rng.choice(5, p=[0.8, 0.07, 0.08, 0.03, 0.02], size=n)
    wrong = rng.random(n) < 0.15
    predictions = np.where(wrong, rng.integers(5, size=n), targets)
    return predictions, targets, [str(100 + u) for u in rng.integers(records, size=n)]


def test_numbers_match_scikit_learn_without_q():
    predictions, targets, records = beats()
    found = beat_metrics(predictions, targets, records, NAMES)
    judged = targets != 4
    t, p = targets[judged], predictions[judged]
    kappa = oracle.cohen_kappa_score(t, p, labels=range(5))
    recalls = oracle.recall_score(t, p, labels=range(4), average=None)
    precisions = oracle.precision_score(t, p, labels=range(4), average=None)
    j = recalls[1] + precisions[1] + recalls[2] + precisions[2]
    assert found["kappa"]["value"] == pytest.approx(kappa)
    assert found["j"]["value"] == pytest.approx(j)
    assert found["j_kappa"]["value"] == pytest.approx(kappa / 2 + j / 8)
    assert found["accuracy"]["value"] == pytest.approx((t == p).mean())
    for c, name in enumerate("NSVF"):
        assert found[f"sensitivity.{name}"]["value"] == pytest.approx(recalls[c])
        assert found[f"precision.{name}"]["value"] == pytest.approx(precisions[c])
    for name in ("j", "j_kappa", "kappa", "accuracy", "sensitivity.S", "precision.V"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"], name
    assert found["q_beats"]["value"] == (targets == 4).sum()
    expected = oracle.confusion_matrix(t, p, labels=range(5))
    assert found["confusion"]["value"] == expected.tolist()
    assert found["confusion"]["labels"] == NAMES


def test_beats_called_q_are_wrong():
    found = beat_metrics(np.array([0, 4, 1, 2]), np.array([0, 0, 1, 2]), list("abcd"), NAMES)
    assert found["sensitivity.N"]["value"] == 0.5
    assert found["precision.N"]["value"] == 1
    assert found["confusion"]["value"][0] == [1, 0, 0, 0, 1]


def test_no_beat_called_s_makes_its_precision_zero():
    targets = np.array([0, 0, 1, 2, 2])
    found = beat_metrics(np.array([0, 0, 0, 2, 2]), targets, list("abcde"), NAMES)
    assert found["precision.S"]["value"] == 0
    assert found["j"]["value"] == pytest.approx(2)


def test_no_s_in_the_truth_leaves_j_without_value():
    found = beat_metrics(np.array([0, 1, 2]), np.array([0, 0, 2]), list("abc"), NAMES)
    assert found["sensitivity.S"]["value"] is None
    assert found["j"]["value"] is None
    assert found["j_kappa"]["value"] is None
    assert found["kappa"]["value"] is not None


def test_perfect_beats_reach_the_top_of_each_scale():
    targets = np.tile([0, 1, 2, 3], 5)
    records = np.repeat(np.arange(5), 4)
    found = beat_metrics(targets, targets, records, NAMES)
    assert found["j"] == {"value": 4, "low": None, "high": None}
    assert found["j_kappa"]["value"] == 1
    assert found["sensitivity.S"]["low"] == pytest.approx(0.025 ** (1 / 5))


def test_interval_is_over_records_not_beats():
    predictions, targets, _ = beats()
    easy = np.repeat(np.arange(6), 500)
    predictions[easy == 0] = 0  # one heart on which the network sees nothing
    records = beat_metrics(predictions, targets, easy, NAMES)["sensitivity.V"]
    single = beat_metrics(predictions, targets, np.arange(3000), NAMES)["sensitivity.V"]
    assert records["value"] == single["value"]
    assert records["high"] - records["low"] > 2 * (single["high"] - single["low"])


def test_class_order_of_the_data_set_does_not_matter():
    predictions, targets, records = beats()
    order = np.array([2, 0, 4, 3, 1])  # name index -> position in another list
    names = [NAMES[k] for k in np.argsort(order)]
    found = beat_metrics(order[predictions], order[targets], records, names)
    assert found == beat_metrics(predictions, targets, records, NAMES)


def test_s_in_two_records_only_has_no_interval():
    predictions, targets, _ = beats(600)
    records = np.where(targets == 1, np.arange(600) % 2, np.arange(600) % 6)
    found = beat_metrics(predictions, targets, records, NAMES)
    assert found["j"]["value"] is not None
    assert found["j"]["low"] is None


def test_names_that_are_not_the_aami_s_are_refused():
    with pytest.raises(UsageError, match="beat classes are N S V F Q; got atrial"):
        beat_metrics(np.array([0]), np.array([0]), ["a"], ["N", "atrial"])


def test_moments_without_a_class_are_refused():
    with pytest.raises(DataError, match=r"targets are 0 to 4; got \[-1, 0\]"):
        beat_metrics(np.array([0, 0]), np.array([0, -1]), ["a", "b"], NAMES)


def test_beats_of_q_alone_are_refused():
    with pytest.raises(ShapeError, match="got 0 such beats, 2 units"):
        beat_metrics(np.array([4, 4]), np.array([4, 4]), ["a", "b"], NAMES)


def test_predictions_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"one prediction \(2 beats\); got 1"):
        beat_metrics(np.array([0]), np.array([0, 0]), ["a", "b"], NAMES)
