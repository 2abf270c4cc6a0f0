"""Classifier metrics against scikit-learn, and the cases it leaves open."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from convivo.errors import DataError, ShapeError, UsageError
from convivo.metrics.classification import (
    calibration_curve,
    classification_metrics,
    roc_curves,
)

NAMES = ["a", "b", "c", "d"]


def answers(n: int, classes: int, *, seed: int = 0, skill: float = 1.5):
    rng = np.random.default_rng(seed)
    targets = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)).round(1)
    logits[np.arange(n), targets] += skill
    exp = np.exp(logits)
    return exp / exp.sum(axis=1, keepdims=True), targets


def test_exclusive_classes_match_scikit_learn():
    probabilities, targets = answers(300, 4)
    found = classification_metrics(probabilities, targets, np.arange(300), NAMES)
    called = probabilities.argmax(axis=1)
    expected = {
        "accuracy": oracle.accuracy_score(targets, called),
        "balanced_accuracy": oracle.balanced_accuracy_score(targets, called),
        "f1": oracle.f1_score(targets, called, average="macro"),
        "auroc": oracle.roc_auc_score(targets, probabilities, multi_class="ovr"),
        "brier": oracle.brier_score_loss(targets, probabilities, scale_by_half=False),
    }
    recalls = oracle.recall_score(targets, called, average=None)
    precisions = oracle.precision_score(targets, called, average=None)
    for c, name in enumerate(NAMES):
        expected[f"sensitivity.{name}"] = recalls[c]
        expected[f"precision.{name}"] = precisions[c]
        rest = oracle.recall_score(targets != c, called != c)
        expected[f"specificity.{name}"] = rest
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value), name
        assert found[name]["low"] < value < found[name]["high"], name
    assert found["confusion"]["value"] == oracle.confusion_matrix(targets, called).tolist()
    assert found["confusion"]["labels"] == NAMES
    assert found["f1"]["classes"] == NAMES
    assert found["ece"]["low"] is None


@pytest.mark.parametrize("positive", [0, 1])
def test_two_classes_report_the_positive_one(positive):
    probabilities, targets = answers(80, 2)
    found = classification_metrics(
        probabilities, targets, np.arange(80), ["no", "yes"], positive=positive
    )
    called = probabilities.argmax(axis=1)
    scores = probabilities[:, positive]
    assert found["auroc"]["value"] == pytest.approx(
        oracle.roc_auc_score(targets == positive, scores)
    )
    assert found["auroc"]["classes"] == [["no", "yes"][positive]]
    assert found["sensitivity"]["value"] == pytest.approx(
        oracle.recall_score(targets, called, pos_label=positive)
    )
    assert found["precision"]["value"] == pytest.approx(
        oracle.precision_score(targets, called, pos_label=positive)
    )
    assert found["specificity"]["value"] == pytest.approx(
        oracle.recall_score(targets, called, pos_label=1 - positive)
    )
    assert found["brier"]["value"] == pytest.approx(
        oracle.brier_score_loss(targets, probabilities[:, 1])
    )


def test_several_labels_match_scikit_learn():
    rng = np.random.default_rng(1)
    targets = rng.integers(2, size=(120, 3))
    probabilities = np.clip(0.5 + 0.3 * (targets - 0.5) + rng.normal(0, 0.2, (120, 3)), 0, 1)
    found = classification_metrics(probabilities, targets, np.arange(120), NAMES[:3])
    called = probabilities > 0.5
    assert found["accuracy"]["value"] == pytest.approx((called == targets).mean())
    assert found["f1"]["value"] == pytest.approx(oracle.f1_score(targets, called, average="macro"))
    assert found["auroc"]["value"] == pytest.approx(
        oracle.roc_auc_score(targets, probabilities, average="macro")
    )
    assert found["brier"]["value"] == pytest.approx(((probabilities - targets) ** 2).mean())
    tables = oracle.multilabel_confusion_matrix(targets, called)
    assert found["confusion"]["value"] == tables.tolist()
    balance = np.mean(
        [oracle.balanced_accuracy_score(targets[:, c], called[:, c]) for c in range(3)]
    )
    assert found["balanced_accuracy"]["value"] == pytest.approx(balance)
    assert "sensitivity" not in found


def test_class_absent_from_the_truth_is_left_out_of_means():
    probabilities, targets = answers(200, 4)
    kept = targets != 2
    found = classification_metrics(probabilities[kept], targets[kept], np.arange(kept.sum()), NAMES)
    assert found["sensitivity.c"] == {"value": None, "low": None, "high": None}
    assert found["precision.c"]["value"] == 0
    assert found["balanced_accuracy"]["classes"] == ["a", "b", "d"]
    assert found["auroc"]["classes"] == ["a", "b", "d"]
    called = probabilities[kept].argmax(axis=1)
    recalls = [(called[targets[kept] == c] == c).mean() for c in (0, 1, 3)]
    assert found["balanced_accuracy"]["value"] == pytest.approx(np.mean(recalls))


def test_class_never_predicted_has_no_precision_and_zero_f1():
    probabilities = np.tile([0.6, 0.4], (10, 1))
    targets = np.array([0] * 5 + [1] * 5)
    found = classification_metrics(probabilities, targets, np.arange(10), ["no", "yes"])
    assert found["precision.yes"]["value"] is None
    assert found["f1"]["value"] == pytest.approx(2 / 6)
    assert found["auroc"]["value"] == 0.5


def test_one_class_in_the_truth_has_no_auroc():
    probabilities, _ = answers(9, 2)
    found = classification_metrics(probabilities, np.zeros(9, int), np.arange(9), ["no", "yes"])
    assert found["auroc"]["value"] is None
    assert found["auroc"]["classes"] == []
    assert found["sensitivity"]["value"] is None


def test_perfect_answers_get_exact_intervals():
    targets = np.arange(40) % 4
    found = classification_metrics(np.eye(4)[targets], targets, np.arange(40), NAMES)
    assert found["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 40))
    for name in ("sensitivity.a", "balanced_accuracy", "auroc", "f1"):
        assert found[name]["high"] == 1, name
        assert found[name]["low"] == pytest.approx(0.025 ** (1 / 10)), name
    assert found["ece"]["value"] == 0


def test_class_in_two_units_leaves_macro_metrics_without_interval():
    probabilities, targets = answers(60, 4)
    units = np.where(targets == 3, np.arange(60) % 2, np.arange(60) % 20)
    found = classification_metrics(probabilities, targets, units, NAMES)
    assert found["sensitivity.d"]["low"] is None
    assert found["balanced_accuracy"]["low"] is None
    assert found["accuracy"]["low"] is not None


def test_units_of_text_and_of_numbers_agree():
    probabilities, targets = answers(90, 4)
    units = np.arange(90) % 9
    numbers = classification_metrics(probabilities, targets, units, NAMES)
    text = classification_metrics(probabilities, targets, [f"s{u}" for u in units], NAMES)
    assert numbers == text


def test_calibration_error_matches_a_loop_over_bins():
    probabilities, targets = answers(500, 3)
    found = classification_metrics(probabilities, targets, np.arange(500), NAMES[:3])
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    error = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert found["ece"]["value"] == pytest.approx(error)
    curve = calibration_curve(probabilities, targets)
    assert sum(curve["count"]) == 500
    assert len(curve["edges"]) == 16
    gaps = [
        n * abs(c - a)
        for n, c, a in zip(curve["count"], curve["confidence"], curve["accuracy"], strict=True)
        if n
    ]
    assert sum(gaps) / 500 == pytest.approx(error)


def test_roc_curves_are_one_against_the_rest():
    probabilities, targets = answers(50, 3)
    curves = roc_curves(probabilities, targets, NAMES[:3])
    assert list(curves) == ["a", "b", "c"]
    area = np.trapezoid(curves["b"]["tpr"], curves["b"]["fpr"])
    assert area == pytest.approx(oracle.roc_auc_score(targets == 1, probabilities[:, 1]))
    two, targets = answers(50, 2)
    assert list(roc_curves(two, targets, ["no", "yes"], positive=0)) == ["no"]


def test_probabilities_that_are_not_finite_are_refused():
    probabilities, targets = answers(6, 2)
    probabilities[2, 1] = np.nan
    with pytest.raises(DataError, match="numbers from 0 to 1; got 1 others"):
        classification_metrics(probabilities, targets, np.arange(6), ["no", "yes"])


def test_targets_outside_the_classes_are_refused():
    probabilities, _ = answers(3, 2)
    with pytest.raises(DataError, match=r"targets are 0 to 1; got \[-1, 1\]"):
        classification_metrics(probabilities, np.array([0, -1, 1]), np.arange(3), ["no", "yes"])


def test_sizes_that_do_not_match_are_refused():
    probabilities, targets = answers(6, 2)
    with pytest.raises(ShapeError, match=r"\(cases, 3 classes\); got \(6, 2\)"):
        classification_metrics(probabilities, targets, np.arange(6), NAMES[:3])
    with pytest.raises(ShapeError, match=r"match the 6 rows of the probabilities; got \(5,\)"):
        classification_metrics(probabilities, targets[:5], np.arange(6), ["no", "yes"])


def test_unknown_positive_class_is_refused():
    probabilities, targets = answers(6, 2)
    with pytest.raises(UsageError, match="positive class is one of the classes; got 2"):
        classification_metrics(probabilities, targets, np.arange(6), ["no", "yes"], positive=2)
