import numpy as np
import pytest
import torch
from torch import nn

from convivo.tasks.regress import Regress


def test_loss_is_in_deviations_of_the_training_targets() -> None:
    task = Regress(mean=50.0, std=10.0)
    outputs, targets = torch.tensor([[0.0], [1.0]]), torch.tensor([50.0, 80.0])
    assert float(task.step(nn.Identity(), outputs, targets)) == pytest.approx((0 + 2**2) / 2)
    huber = Regress(mean=50.0, std=10.0, loss="huber")
    assert float(huber.step(nn.Identity(), outputs, targets)) == pytest.approx((2 - 0.5) / 2)


def test_answers_are_in_the_unit_of_the_targets() -> None:
    task = Regress(mean=50.0, std=10.0)
    found = task.decode(torch.tensor([[0.5]], dtype=torch.bfloat16))
    assert found.dtype == torch.float32
    assert found.tolist() == [[55.0]]


def test_auxiliary_heads_count_by_three_tenths() -> None:
    task, targets = Regress(), torch.tensor([1.0, 2.0])
    rows = torch.randn(2, 2, 1, generator=torch.Generator().manual_seed(1))
    main, other = (task.step(nn.Identity(), row, targets) for row in rows)
    torch.testing.assert_close(task.step(list, rows, targets), main + 0.3 * other)


def test_score_is_the_explained_share() -> None:
    task = Regress(std=2.0)
    pairs = [(1.0, 1.5), (2.0, 2.0), (4.0, 3.0)]
    answers = [task.collect(np.array([[v]]), t, id=str(t), unit=str(t)) for t, v in pairs]
    truth, value = np.array(pairs).T
    wanted = 1 - ((truth - value) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert task.score(answers) == pytest.approx(wanted)
    assert task.measure(answers)["r2"]["value"] == pytest.approx(wanted)
    assert task.score(answers[:1]) == pytest.approx(-(0.5**2) / 4)
    assert task.row(answers[0])["error"] == pytest.approx(0.5)
    assert list(task.lines(answers[2])) == [("", "4", ["3"])]
