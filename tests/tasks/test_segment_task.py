import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convivo.metrics.segmentation import case_statistics
from convivo.tasks import create_task
from convivo.tasks.maps import dice_cross_entropy, quick_dice
from convivo.tasks.segment import Segment

SHAPES = [(13,), (7, 9), (7, 9, 11)]


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def oracle(logits, targets, classes):
    """Class by class and voxel by voxel, as the definition reads."""
    p, losses = softmax(logits), []
    for item, place in np.ndindex(len(targets), targets[0].size):
        where = np.unravel_index(place, targets[0].shape)
        losses.append(-np.log(p[(item, targets[item][where], *where)]))
    dice = []
    for c in range(1, classes):
        truth = targets == c
        overlap, size = p[:, c][truth].sum(), p[:, c].sum() + truth.sum()
        dice.append((2 * overlap + 1e-5) / (size + 1e-5))
    return np.mean(losses) + 1 - np.mean(dice)


def made(shape, classes=3, n=2, seed=1):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes, *shape)).astype(np.float32)
    return logits, rng.integers(0, classes, (n, *shape))


class Several(nn.Module):
    """A network that answers at several resolutions."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, images):
        return self.outputs


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_is_cross_entropy_and_dice(shape):
    logits, targets = made(shape)
    loss = dice_cross_entropy(torch.tensor(logits), torch.tensor(targets))
    assert float(loss) == pytest.approx(oracle(logits, targets, 3), rel=1e-5)
    task = Segment(classes=("background", "a", "b"))
    assert task.step(nn.Identity(), torch.tensor(logits), torch.tensor(targets)) == loss


def test_loss_of_a_perfect_answer_is_nothing_even_where_a_class_is_absent():
    targets = torch.zeros(2, 7, 9, dtype=torch.int64)
    targets[:, 2:4] = 1  # class 2 nowhere
    logits = 100.0 * F.one_hot(targets, 3).movedim(-1, 1)
    assert float(dice_cross_entropy(logits, targets)) == pytest.approx(0, abs=1e-4)


def test_loss_has_a_finite_gradient_for_extreme_logits():
    logits, targets = made((7, 9))
    scaled = torch.tensor(1e4 * logits, requires_grad=True)
    dice_cross_entropy(scaled, torch.tensor(targets)).backward()
    assert torch.isfinite(scaled.grad).all()


def test_each_coarser_output_weighs_half():
    _, targets = made((8, 12))
    outputs = [made(shape, seed=s)[0] for s, shape in enumerate([(8, 12), (4, 6), (2, 3)])]
    thinned = [targets, targets[:, 1::2, 1::2], targets[:, 2::4, 2::4]]
    losses = [oracle(o, t, 3) for o, t in zip(outputs, thinned, strict=True)]
    expected = (losses[0] + losses[1] / 2 + losses[2] / 4) / 1.75
    network = Several([torch.tensor(o) for o in outputs])
    task = Segment(classes=("background", "a", "b"))
    loss = task.step(network, torch.zeros(2, 1, 8, 12), torch.tensor(targets))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_one_output_in_a_list_is_as_without_it():
    logits, targets = made((7, 9, 11))
    task = Segment(classes=("background", "a", "b"))
    alone = task.step(nn.Identity(), torch.tensor(logits), torch.tensor(targets))
    listed = task.step(Several([torch.tensor(logits)]), torch.zeros(1), torch.tensor(targets))
    assert float(alone) == float(listed)


@pytest.mark.parametrize(("have", "want"), [((8, 12, 16), (4, 12, 2)), ((7, 9, 11), (4, 5, 6))])
def test_thinned_labels_are_the_middle_of_each_block(have, want):
    """A network sure of the right label everywhere on its own coarse grid loses nothing."""
    targets = torch.tensor(made(have)[1])
    middle = [((np.arange(n) + 0.5) * h / n).astype(int) for h, n in zip(have, want, strict=True)]
    coarse = targets[np.ix_(range(2), *middle)]
    sure = 100.0 * F.one_hot(coarse, 3).movedim(-1, 1)
    fine = 100.0 * F.one_hot(targets, 3).movedim(-1, 1)
    task = Segment(classes=("background", "a", "b"))
    assert float(task.step(Several([fine, sure]), torch.zeros(1), targets)) < 1e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_decoded_classes_sum_to_one_everywhere(shape):
    task = Segment(classes=("background", "a", "b"))
    logits = torch.tensor(30 * made(shape)[0])
    for dtype in (torch.float32, torch.bfloat16):
        probabilities = task.decode(logits.to(dtype))
        assert probabilities.dtype == torch.float32
        assert torch.allclose(probabilities.sum(1), torch.ones(2, *shape), atol=1e-5)


def test_quick_dice_is_the_dice_of_the_measure():
    rng = np.random.default_rng(4)
    truth, labels = rng.integers(0, 4, (2, 7, 9, 11)).astype(np.uint8)
    truth[truth == 3] = labels[labels == 3] = 0
    slow = case_statistics(truth, labels, num_classes=4)
    quick = quick_dice(truth, labels, 4)
    assert quick[:2] == pytest.approx([slow[1]["dice"], slow[2]["dice"]])
    assert np.isnan(quick[2])


def test_score_is_the_mean_over_cases_then_over_classes():
    task = Segment(classes=("background", "a", "b"))
    truth = np.array([[0, 1, 1, 2], [0, 1, 1, 0]])
    labels = np.array([[0, 1, 0, 2], [0, 1, 1, 0]])
    answers = [
        task.collect(called, right, id=str(i), unit=str(i), quick=True)
        for i, (right, called) in enumerate(zip(truth, labels, strict=True))
    ]
    # a: 2/3 and 1; b: 1, and absent from the second case
    assert task.score(answers) == pytest.approx(((2 / 3 + 1) / 2 + 1) / 2)


def test_score_without_any_foreground_is_the_lowest():
    task = Segment(classes=("background", "a"))
    empty = np.zeros((7, 9), np.uint8)
    assert task.score([task.collect(empty, empty, id="1", unit="1", quick=True)]) == 0.0


def test_probabilities_and_labels_collect_alike():
    task = Segment(classes=("background", "a", "b"))
    logits, targets = made((7, 9))
    probabilities = softmax(logits)[0]
    context = {"id": "1", "unit": "1"}
    soft = task.collect(probabilities, targets[0], spacing=(0.5, 2.0), **context)
    hard = task.collect(probabilities.argmax(0), targets[0], spacing=(0.5, 2.0), **context)
    assert soft == hard
    assert soft.keys() == {"statistics", "id", "unit"}


def test_distances_are_in_the_spacing_and_the_metric_says_so():
    task = Segment(classes=("background", "a"), tolerance=2.0, spacing_unit="mm")
    truth = np.zeros((20, 20), np.uint8)
    truth[5:10, 5:15] = 1
    moved = np.roll(truth, 2, axis=0)
    answers = [
        task.collect(moved, truth, id=str(i), unit=str(i), spacing=(3.0, 1.0)) for i in range(4)
    ]
    metrics = task.measure(answers)
    assert metrics["dice"]["value"] == pytest.approx(0.6)
    assert metrics["hd95"]["value"] == pytest.approx(6.0)
    assert metrics["hd95"]["unit"] == "mm"
    assert metrics == task.measure(answers)


def test_facts_of_the_task():
    task = create_task("segment", classes=("background", "a"), tolerance=0.7, spacing_unit="mm")
    assert isinstance(task, Segment)
    assert (task.outputs, task.output, task.name, task.score_name) == (2, "map", "segment", "dice")
    assert task.tolerance == 0.7
