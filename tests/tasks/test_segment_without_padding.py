"""The segmentation task with smaller outputs, and with the U-Net's weight map in its loss."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convivo.arrays.border_weights import border_weights
from convivo.errors import ShapeError
from convivo.tasks.maps import cropped, dice_cross_entropy
from convivo.tasks.segment import Segment

SHAPES = [(23,), (17, 21), (9, 11, 13)]
CLASSES = ("background", "a", "b")


class Answers(nn.Module):
    """A network that says what it was given, whatever it sees."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, images):
        return self.outputs


def made(shape, n=2, seed=1):
    rng = np.random.default_rng(seed)
    targets = np.zeros((n, *shape), np.int64)
    for item in targets:
        for _ in range(4):
            corner = [int(rng.integers(0, size - 2)) for size in shape]
            item[tuple(slice(a, a + 3) for a in corner)] = rng.integers(1, 3)
    return torch.tensor(rng.normal(size=(n, 3, *shape)), dtype=torch.float32), torch.tensor(targets)


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_lose_the_margin_that_the_answer_lacks(shape):
    logits, targets = made(shape)
    inside = tuple(slice(m, n - m) for m, n in zip((3, 2, 1), shape, strict=False))
    expected = dice_cross_entropy(logits[(..., *inside)], targets[(..., *inside)])
    network = Answers(logits[(..., *inside)])
    assert Segment(classes=CLASSES).step(network, torch.zeros(1), targets) == expected


def test_an_answer_without_a_middle_is_refused():
    targets = torch.zeros(2, 9, 11, dtype=torch.int64)
    with pytest.raises(ShapeError, match=r"equally much on both sides of label maps \(9, 11\)"):
        cropped(targets, torch.Size((7, 10)))
    with pytest.raises(ShapeError, match=r"segment: outputs lack .*; got size \(11, 11\)"):
        cropped(targets, torch.Size((11, 11)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("margin", [0, 2])
def test_loss_is_cross_entropy_weighted_before_the_margin_is_cut(shape, margin):
    logits, targets = made(shape)
    spacing = (1.0, 2.0, 4.0)[: len(shape)]
    task = Segment(classes=CLASSES, border_weight=10.0, border_sigma=2.0, border_spacing=spacing)
    inside = tuple(slice(margin, n - margin) for n in shape)
    found = task.step(Answers(logits[(..., *inside)]), torch.zeros(1), targets)
    losses = -logits.log_softmax(1).gather(1, targets[:, None])[:, 0].double().numpy()
    maps = [border_weights(t, w0=10.0, sigma=2.0, spacing=spacing) for t in targets.numpy()]
    weights = np.stack(maps)[(..., *inside)].astype(float)
    expected = (losses[(..., *inside)] * weights).sum() / weights.sum()
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_gap_between_two_cells_pulls_more_than_open_background():
    targets = torch.zeros(1, 21, 31, dtype=torch.int64)
    targets[0, 5:16, 3:12] = targets[0, 5:16, 13:22] = 1
    logits = torch.zeros(1, 3, 21, 31, requires_grad=True)
    Segment(classes=CLASSES, border_weight=10.0).step(
        Answers(logits), torch.zeros(1), targets
    ).backward()
    pull = logits.grad[0, 0].abs()
    assert pull[10, 12] > 8 * pull[10, 29]


def test_coarser_outputs_take_the_weights_of_their_grid():
    _, targets = made((8, 12))
    fine, coarse = (made(shape, seed=2)[0] for shape in ((8, 12), (4, 6)))
    task = Segment(classes=CLASSES, border_weight=10.0, border_sigma=2.0)
    maps = np.stack([border_weights(t, w0=10.0, sigma=2.0) for t in targets.numpy()])
    weights = torch.tensor(maps)
    losses = []
    for logits, thin in ((fine, slice(None)), (coarse, slice(1, None, 2))):
        w = weights[:, thin, thin]
        terms = F.cross_entropy(logits, targets[:, thin, thin], reduction="none")
        losses.append((terms * w).sum() / w.sum())
    expected = (losses[0] + losses[1] / 2) / 1.5
    found = task.step(Answers([fine, coarse]), torch.zeros(1), targets)
    torch.testing.assert_close(found, expected)
