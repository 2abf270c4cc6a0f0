import numpy as np
import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.errors import UsageError
from convivo.tasks import create_task
from convivo.tasks.classify import Classify


def answer(task, rows, targets, unit="a"):
    return task.collect(np.array(rows, np.float32), targets, id=unit, unit=unit)


def log_softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_cross_entropy(smoothing):
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(7, 3)), rng.integers(0, 3, 7)
    wanted = np.eye(3)[targets] * (1 - smoothing) + smoothing / 3
    expected = -(wanted * log_softmax(logits)).sum(1).mean()
    task = Classify(classes=("a", "b", "c"), label_smoothing=smoothing)
    loss = task.step(nn.Identity(), torch.tensor(logits), torch.tensor(targets))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_auxiliary_heads_count_by_three_tenths():
    rows = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    task = Classify(classes=("a", "b", "c", "d"), label_smoothing=0.1)
    main, late, early = (task.step(nn.Identity(), logits, targets) for logits in rows)
    for kind in (list, tuple):
        together = task.step(kind, rows, targets)
        torch.testing.assert_close(together, main + 0.3 * (late + early))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_auxiliary_heads_of_googlenet_learn(dims):
    torch.manual_seed(0)
    net = create("googlenet", spatial_dims=dims, in_channels=1, width=0.1, aux=True)
    images = torch.randn(2, 1, *(16, 24, 16)[:dims])
    loss = Classify(classes=("a", "b")).step(net, images, torch.tensor([0, 1]))
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_decoded_rows_sum_to_one_in_float32():
    task = Classify(classes=("a", "b", "c"))
    logits = 50 * torch.randn(9, 3, generator=torch.Generator().manual_seed(1))
    for dtype in (torch.float32, torch.bfloat16):
        rows = task.decode(logits.to(dtype))
        assert rows.dtype == torch.float32
        assert rows.shape == (9, 3)
        assert torch.allclose(rows.sum(1), torch.ones(9))
        assert torch.equal(rows.argmax(1), logits.to(dtype).argmax(1))


def test_score_is_balanced_accuracy_less_a_hundredth_of_the_log_loss():
    task = Classify(classes=("a", "b", "c"))
    answers = [
        answer(task, [[0.8, 0.1, 0.1]], 0),
        answer(task, [[0.3, 0.6, 0.1]], 0),  # missed
        answer(task, [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]], [1, 1]),
    ]
    loss = -np.log([0.8, 0.3, 0.5, 1.0]).mean()
    assert task.score(answers) == pytest.approx((0.5 + 1.0) / 2 - 0.01 * loss, rel=1e-5)


def test_sure_and_wrong_costs_something_finite():
    task = Classify(classes=("a", "b"))
    score = task.score([answer(task, [[1.0, 0.0]], 1), answer(task, [[1.0, 0.0]], 0)])
    assert score == pytest.approx(0.5 - 0.01 * -np.log(1e-7) / 2, rel=1e-4)


def test_of_two_equally_right_networks_the_surer_scores_higher():
    task = Classify(classes=("a", "b"))
    scores = [task.score([answer(task, [[p, 1 - p]], 0)]) for p in (0.6, 0.9)]
    assert scores[0] < scores[1] < 1


def test_measure_pools_items_and_repeats_the_unit():
    task = Classify(classes=("healthy", "ill"))
    answers = [
        answer(task, [[0.9, 0.1], [0.2, 0.8]], [0, 1], unit="p1"),
        answer(task, [[0.7, 0.3], [0.6, 0.4]], [0, 1], unit="p2"),
        answer(task, [[0.1, 0.9]], 1, unit="p3"),
    ]
    metrics = task.measure(answers)
    assert metrics["accuracy"]["value"] == pytest.approx(4 / 5)
    assert metrics["sensitivity"]["value"] == pytest.approx(2 / 3)  # of class 1, the positive one
    assert metrics["specificity"]["value"] == pytest.approx(1)
    assert metrics["auroc"]["value"] == pytest.approx(1)
    assert metrics == task.measure(answers)
    assert "j" not in metrics


def test_positive_class_may_be_the_first():
    task = Classify(classes=("ill", "well"), positive=0)
    answers = [answer(task, [[0.9, 0.1]], 0, "p1"), answer(task, [[0.8, 0.2]], 1, "p2")]
    metrics = task.measure(answers)
    assert metrics["sensitivity"]["value"] == 1
    assert metrics["specificity"]["value"] == 0


def test_beats_tell_j_as_well():
    task = Classify(classes=("N", "S", "V", "F"), aami=True)
    truth = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    called = np.array([0, 0, 1, 1, 0, 2, 2, 0])
    rows = np.eye(4)[called]
    metrics = task.measure([answer(task, rows, truth, "r1"), answer(task, rows, truth, "r2")])
    # sensitivity and precision of S: 1/2, 1/2; of V: 1, 1
    assert metrics["j"]["value"] == pytest.approx(3.0)
    assert {"j_kappa", "sensitivity.S", "precision.V"} <= metrics.keys()


def test_facts_of_the_task():
    task = create_task("classify", classes=("a", "b", "c"), positive=2)
    assert isinstance(task, Classify)
    assert (task.outputs, task.output, task.name) == (3, "table", "classify")
    assert task.score_name == "balanced_accuracy"
    assert task.positive == 2


def test_unknown_task_is_named_with_the_nearest():
    with pytest.raises(UsageError, match=r"unknown task; got 'clasify'\. Did you mean 'class"):
        create_task("clasify", classes=("a", "b"))


def test_beats_are_scored_by_j_kappa_where_it_exists() -> None:
    task = Classify(classes=("N", "S", "V", "F"), aami=True)
    sure = np.eye(4)
    assert task.score_name == "j_kappa"
    targets = np.array([0, 1, 2, 0, 0])
    right = [task.collect(sure[targets], targets, id="a", unit="a")]
    wrong = [task.collect(sure[[0, 0, 2, 0, 0]], targets, id="a", unit="a")]
    assert task.score(right) == pytest.approx(1.0)
    assert task.score(wrong) < 0.8
    without_s = np.array([0, 2, 0])
    fallback = [task.collect(sure[without_s], without_s, id="a", unit="a")]
    assert task.score(fallback) == pytest.approx(1.0)
