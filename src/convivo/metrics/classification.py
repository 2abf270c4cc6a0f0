"""What a classifier is worth: every number of the contract, each with its interval over units.

Letters: n cases, K classes. Exclusive classes are decided by the largest probability, classes
that may occur together (multi-label) one by one at 0.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convivo.errors import DataError, ShapeError, UsageError
from convivo.metrics import calibration, counts, roc
from convivo.metrics.intervals import RESAMPLES, Entry, Resampled, entry, unit_index

Units = Sequence[object] | np.ndarray


@dataclass(frozen=True)
class _Answers:
    """Checked input: probabilities (n, K) float64, truth and prediction (n, K) bool."""

    probabilities: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    exclusive: bool


def classification_metrics(
    probabilities: np.ndarray,
    targets: np.ndarray,
    units: Units,
    classes: Sequence[str],
    *,
    positive: int = 1,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """Metric name -> {"value", "low", "high", ...}.

    `accuracy`, `balanced_accuracy`, `f1` (macro), `auroc` (macro one-vs-rest), `brier`, `ece`,
    `confusion` (rows are the truth), `sensitivity.<c>`, `precision.<c>`, `specificity.<c>`. With
    two exclusive classes `auroc` and plain `sensitivity`, `precision`, `specificity` are those of
    the positive class. Macro means run over the classes present in the truth, named in `classes`.
    A class missing there has no sensitivity, one never predicted no precision: None.
    For multi-label targets `accuracy` is the share of right yes-no answers, `balanced_accuracy`
    the mean of sensitivity and specificity, `confusion` one 2 x 2 table (no, yes) per class.

    Args:
        probabilities: (n, K).
        targets: (n,) class indices, or (n, K) of 0 and 1 for multi-label.
        units: (n,) the unit of each case.
        classes: the K names.
        positive: index of the positive class where there are two.
        seed: of every bootstrap.
        resamples: of every bootstrap.
    Raises:
        ShapeError: sizes that do not belong together, or no case.
        DataError: probabilities outside 0 to 1 or not finite, targets that name no class.
        UsageError: `positive` names no class.
    Example:
        >>> found = classification_metrics(np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]]),
        ...                                np.array([0, 1, 1]), ["a", "b", "c"], ["well", "ill"])
        >>> found["sensitivity"]["value"], found["confusion"]["value"]
        (0.5, [[1, 0], [1, 1]])
    """
    answers = _checked(probabilities, targets, len(classes))
    names = [str(name) for name in classes]
    index, num_units = unit_index(units, len(answers.truth))
    if not 0 <= positive < max(len(names), 2):
        raise UsageError("metrics", "the positive class is one of the classes", positive, "Name it")
    table = counts.counts_by_unit(answers.truth, answers.prediction, index, num_units)
    drawn = Resampled(table, seed=seed, resamples=resamples)
    found = _overall(drawn, answers, names)
    ranked = [positive] if answers.exclusive and len(names) == 2 else list(range(len(names)))
    found["auroc"] = _auroc(answers, units, names, ranked, seed=seed, resamples=resamples)
    found["brier"] = calibration.brier(
        answers.probabilities,
        answers.truth,
        units,
        exclusive=answers.exclusive,
        seed=seed,
        resamples=resamples,
    )
    found["ece"] = entry(calibration.expected_calibration_error(*_confidence(answers)))
    found["confusion"] = entry(_confusion(answers), labels=names)
    found |= _per_class(drawn, names)
    if answers.exclusive and len(names) == 2:
        plain = ("sensitivity", "precision", "specificity")
        found |= {n: found[f"{n}.{names[positive]}"] | {"class": names[positive]} for n in plain}
    return found


def _overall(drawn: Resampled, answers: _Answers, names: list[str]) -> dict[str, Entry]:
    """Accuracy and the macro means; these stand on the class found in the fewest units."""
    k = len(names)
    present = [c for c in range(k) if answers.truth[:, c].any()]
    support = min((drawn.support(k + c) for c in present), default=0)
    covered = [names[c] for c in present]
    accuracy = counts.accuracy if answers.exclusive else counts.label_accuracy
    balance = counts.macro_sensitivity if answers.exclusive else counts.macro_balance
    return {
        "accuracy": drawn.measure(accuracy),
        "balanced_accuracy": drawn.measure(balance, support=support, classes=covered),
        "f1": drawn.measure(counts.macro_f1, support=support, classes=covered),
    }


def _per_class(drawn: Resampled, names: list[str]) -> dict[str, Entry]:
    k, found = len(names), {}
    truths, predictions = drawn.per_unit[:, k : 2 * k], drawn.per_unit[:, 2 * k : 3 * k]
    others = drawn.per_unit[:, 3 * k :] - truths
    kinds: tuple[tuple[str, Callable[[np.ndarray], np.ndarray], np.ndarray], ...] = (
        ("sensitivity", counts.sensitivity, truths),
        ("precision", counts.precision, predictions),
        ("specificity", counts.specificity, others),
    )
    for kind, statistic, carriers in kinds:
        for c, name in enumerate(names):
            found[f"{kind}.{name}"] = drawn.measure(
                lambda sums, c=c, statistic=statistic: statistic(sums)[:, c],
                support=int(np.count_nonzero(carriers[:, c])),
            )
    return found


def _auroc(
    answers: _Answers, units: Units, names: list[str], ranked: list[int], **draws: int
) -> Entry:
    truth = answers.truth[:, ranked]
    found = roc.auroc(answers.probabilities[:, ranked], truth, units, **draws)
    covered = [names[c] for c, own in zip(ranked, truth.T, strict=True) if 0 < own.sum() < own.size]
    return found | {"classes": covered}


def roc_curves(
    probabilities: np.ndarray,
    targets: np.ndarray,
    classes: Sequence[str],
    *,
    positive: int = 1,
    points: int = 200,
) -> dict[str, dict[str, list[float]]]:
    """Class name -> {"fpr": [...], "tpr": [...]}, one against the rest.

    With two exclusive classes that of the positive one only. Arguments and errors as in
    `classification_metrics`; points: most vertices of a curve.
    """
    answers = _checked(probabilities, targets, len(classes))
    two = answers.exclusive and len(classes) == 2
    ranked = [positive] if two else range(len(classes))
    curves = {}
    for c in ranked:
        scores, truth = answers.probabilities[:, c], answers.truth[:, c]
        curves[str(classes[c])] = roc.roc_curve(scores, truth, points=points)
    return curves


def calibration_curve(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, list]:
    """`edges`, `count`, `confidence`, `accuracy` in 15 equal-width bins (None in empty ones).

    The confidence is that of the answer given. Arguments and errors as in
    `classification_metrics`.
    """
    answers = _checked(probabilities, targets, np.shape(probabilities)[-1])
    return calibration.calibration_curve(*_confidence(answers))


def _confidence(answers: _Answers) -> tuple[np.ndarray, np.ndarray]:
    """Confidence of each answer and whether it was right: (n,), or (n * K,) for multi-label."""
    if answers.exclusive:
        right = (answers.truth & answers.prediction).sum(axis=1) > 0
        return answers.probabilities.max(axis=1), right
    sure = np.maximum(answers.probabilities, 1 - answers.probabilities)
    return sure.ravel(), (answers.truth == answers.prediction).ravel()


def _confusion(answers: _Answers) -> list:
    truth, prediction = answers.truth.astype(np.int64), answers.prediction.astype(np.int64)
    if answers.exclusive:
        return (truth.T @ prediction).tolist()
    tables = []
    for t, p in zip(truth.T, prediction.T, strict=True):
        tables.append(np.bincount(2 * t + p, minlength=4).reshape(2, 2).tolist())
    return tables


def _checked(probabilities: np.ndarray, targets: np.ndarray, num_classes: int) -> _Answers:
    probabilities, targets = np.asarray(probabilities, float), np.asarray(targets)
    if probabilities.ndim != 2 or probabilities.shape[1] != num_classes or num_classes < 1:
        rule = f"probabilities are (cases, {num_classes} classes)"
        raise ShapeError("metrics", rule, probabilities.shape, "Give one column per class name")
    multi_label = targets.ndim == 2
    wanted = probabilities.shape if multi_label else probabilities.shape[:1]
    if targets.shape != wanted:
        rule = f"targets match the {len(probabilities)} rows of the probabilities"
        raise ShapeError("metrics", rule, targets.shape, "Give one target per case")
    off = ~((probabilities >= -1e-6) & (probabilities <= 1 + 1e-6))  # true for NaN too
    if off.any():
        rule, got = "probabilities are numbers from 0 to 1", f"{int(off.sum())} others"
        raise DataError("metrics", rule, got, "Check that training did not diverge")
    probabilities = probabilities.clip(0, 1)
    highest = 2 if multi_label else num_classes
    if targets.size and not np.isin(targets, np.arange(highest)).all():
        rule, got = f"targets are 0 to {highest - 1}", np.unique(targets)[[0, -1]].tolist()
        raise DataError("metrics", rule, got, "Leave out cases without a class")
    if multi_label:
        return _Answers(probabilities, targets.astype(bool), probabilities > 0.5, False)
    one_hot = np.eye(num_classes, dtype=bool)
    prediction = one_hot[probabilities.argmax(axis=1)]
    return _Answers(probabilities, one_hot[targets.astype(np.int64)], prediction, True)
