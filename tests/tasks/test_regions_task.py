"""Regions that lie in each other: loss, label maps from probabilities, measures."""

import numpy as np
import pytest
import torch
from torch import nn

from convivo.arrays.regions import labels_of_regions
from convivo.metrics.segmentation import case_statistics
from convivo.tasks import create_task
from convivo.tasks.regions import Regions, dice_binary_cross_entropy

SHAPES = [(13,), (7, 9), (7, 9, 11)]
CLASSES = ("background", "edema", "core", "enhancing")
NESTED = [
    {"name": "whole", "labels": [1, 2, 3], "label": 1},
    {"name": "core", "labels": [2, 3], "label": 2},
    {"name": "enhancing", "labels": [3], "label": 3},
]


def regions():
    return create_task("segment", classes=CLASSES, regions=NESTED)


def made(shape, n=2):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(n, 3, *shape)).astype(np.float32)
    return logits, rng.integers(0, 4, (n, *shape))


def masks(targets):
    return np.stack([np.isin(targets, region["labels"]) for region in NESTED], axis=1)


def oracle(logits, targets):
    """Region by region, as the definition reads."""
    p, truth = 1 / (1 + np.exp(-logits.astype(float))), masks(targets)
    entropy = -np.where(truth, np.log(p), np.log(1 - p)).mean()
    dice = [
        (2 * p[:, r][truth[:, r]].sum() + 1e-5) / (p[:, r].sum() + truth[:, r].sum() + 1e-5)
        for r in range(3)
    ]
    return entropy + 1 - np.mean(dice)


def test_the_option_makes_the_task():
    task = regions()
    assert isinstance(task, Regions)
    assert (task.outputs, task.name, task.output, task.score_name) == (3, "segment", "map", "dice")
    assert task.columns == ["dice.whole", "dice.core", "dice.enhancing"]


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_is_binary_cross_entropy_and_dice_of_each_region(shape):
    logits, targets = made(shape)
    truth = torch.tensor(masks(targets), dtype=torch.float32)
    loss = dice_binary_cross_entropy(torch.tensor(logits), truth)
    assert float(loss) == pytest.approx(oracle(logits, targets), rel=1e-5)
    again = regions().step(nn.Identity(), torch.tensor(logits), torch.tensor(targets))
    assert float(again) == pytest.approx(float(loss), rel=1e-5)


def test_a_sure_answer_loses_nothing():
    _, targets = made((8, 12))
    sure = torch.tensor(np.where(masks(targets), 100.0, -100.0), dtype=torch.float32)
    assert float(regions().step(nn.Identity(), sure, torch.tensor(targets))) < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_label_maps_come_back_from_their_own_regions(shape):
    _, targets = made(shape)
    task = regions()
    sure = torch.tensor(np.where(masks(targets), 9.0, -9.0))
    found = task.decode(sure).numpy()
    assert found.dtype == np.float32
    for item, truth in zip(found, targets, strict=True):
        assert task.decide(item).tolist() == truth.tolist()
        assert task.decide(item).dtype == np.uint8


def test_a_later_region_is_written_over_an_earlier_one():
    found = np.array([[0.9, 0.4, 0.9], [0.6, 0.6, 0.5]])
    assert labels_of_regions(found, (1, 2)).tolist() == [2, 2, 1]
    assert labels_of_regions(found[::-1], (2, 1)).tolist() == [1, 2, 1]
    assert labels_of_regions(found, (1, 300)).dtype == np.uint16


@pytest.mark.parametrize("shape", SHAPES)
def test_each_region_is_measured_as_a_mask(shape):
    _, targets = made(shape)
    truth, labels = targets
    task = regions()
    answer = task.collect(labels, truth, id="1", unit="1", spacing=(2.0,) * len(shape))
    for number, region in enumerate(NESTED, 1):
        pair = (np.isin(one, region["labels"]).astype(np.uint8) for one in (truth, labels))
        alone = case_statistics(*pair, num_classes=2, spacing=(2.0,) * len(shape))[1]
        assert answer["statistics"][number] == pytest.approx(alone, nan_ok=True)
    quick = task.collect(labels, truth, id="1", unit="1", quick=True)
    assert quick["dice"] == pytest.approx([answer["statistics"][r]["dice"] for r in (1, 2, 3)])
    assert task.score([quick]) == pytest.approx(np.mean(quick["dice"]))
    row = task.row(answer)
    assert list(row) == ["dice", "dice.whole", "dice.core", "dice.enhancing"]
    (line,) = task.lines(answer)
    assert line[2] == [row[name] for name in task.columns]
    metrics = task.measure([answer])
    assert metrics["dice.whole"]["value"] == pytest.approx(row["dice.whole"])
    assert "dice.edema" not in metrics


def test_probabilities_and_labels_collect_alike():
    logits, targets = made((7, 9))
    task = regions()
    found = task.decode(torch.tensor(logits))[0].numpy()
    context = {"id": "1", "unit": "1"}
    soft = task.collect(found, targets[0], **context)
    hard = task.collect(task.decide(found), targets[0], **context)
    assert str(soft) == str(hard)
