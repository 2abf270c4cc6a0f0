"""Several classes a case: targets are sets of them, every class a yes-no question."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from convivo.tasks.classify import Classify

TASK = Classify(classes=("a", "b", "c"), several=True)


def test_loss_is_binary_cross_entropy_of_the_bits() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).double()
    targets = torch.tensor([0b000, 0b001, 0b110, 0b111])
    truth = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]])
    p = 1 / (1 + np.exp(-logits.numpy()))
    wanted = np.mean([log_loss(truth[:, c], p[:, c], labels=[0, 1]) for c in range(3)])
    assert float(TASK.step(nn.Identity(), logits, targets)) == pytest.approx(wanted, rel=1e-5)
    assert TASK.decode(logits).numpy() == pytest.approx(p, rel=1e-5)


def test_answers_are_measured_class_by_class() -> None:
    rng = np.random.default_rng(0)
    sets = rng.integers(0, 8, 40)
    found = rng.random((40, 3))
    answers = [
        TASK.collect(found[i : i + 1], int(sets[i]), id=str(i), unit=str(i)) for i in range(40)
    ]
    truth = (sets[:, None] >> np.arange(3)) & 1
    area = roc_auc_score(truth, found, average="macro")
    assert TASK.measure(answers)["auroc"]["value"] == pytest.approx(area)
    assert TASK.score(answers) == pytest.approx(
        area - 0.01 * log_loss(truth.ravel(), found.ravel()), abs=1e-6
    )
    assert np.shape(TASK.measure(answers)["confusion"]["value"]) == (3, 2, 2)


def test_words_name_every_class_that_is_there() -> None:
    answer = TASK.collect(np.array([[0.9, 0.2, 0.6]]), 0b001, id="x", unit="x")
    row = TASK.row(answer)
    assert (row["truth"], row["prediction"], row["accuracy"]) == ("a", "a + c", 0.0)
    assert row["probability"] == pytest.approx(0.6)
    ((_, truth, cells),) = TASK.lines(answer)
    assert (truth, cells[0]) == ("a", "a + c")
    assert TASK.called(np.array([0.1, 0.2, 0.3])) == ""
