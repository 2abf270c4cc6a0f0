"""The task that tells objects apart: its loss, its answers, its measures."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convivo.arrays.objects import distance_map
from convivo.metrics.objects import object_statistics
from convivo.tasks import create_task
from convivo.tasks.instances import Instances, distance_error
from convivo.tasks.maps import dice_cross_entropy

from ..numbered_objects import SIZES, draw_objects

DIMS = [1, 2, 3]
CLASSES = ("background", "nucleus")


class Answers(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, images):
        return self.outputs


def batch(dims):
    objects = np.stack([draw_objects(seed, SIZES[dims], 6) for seed in (1, 2)])
    logits = np.random.default_rng(dims).normal(size=(2, 3, *SIZES[dims])).astype(np.float32)
    return torch.tensor(logits), torch.tensor(objects, dtype=torch.int64)


def perfect(objects):
    """What a network should answer, as sure as can be."""
    sides = 100.0 * F.one_hot((objects > 0).long(), 2).movedim(-1, 1)
    depth = np.stack([distance_map(item) for item in objects.numpy()])
    return torch.cat([sides, torch.tensor(depth)[:, None]], 1)


def test_the_option_makes_the_task():
    task = create_task("segment", classes=CLASSES, instances=True, smallest=4)
    assert isinstance(task, Instances)
    assert (task.outputs, task.output, task.name, task.score_name) == (3, "map", "segment", "ap50")
    assert not isinstance(create_task("segment", classes=CLASSES), Instances)


@pytest.mark.parametrize("dims", DIMS)
def test_loss_is_that_of_the_foreground_and_of_the_distance(dims):
    logits, objects = batch(dims)
    depth = torch.tensor(np.stack([distance_map(item) for item in objects.numpy()]))
    foreground = (objects > 0).long()
    errors = (logits[:, 2] - depth).abs()
    errors = torch.where(errors < 0.1, 5 * errors**2, errors - 0.05)
    inside, outside = errors[foreground == 1].mean(), errors[foreground == 0].mean()
    expected = dice_cross_entropy(logits[:, :2], foreground) + 3.0 * (inside + outside) / 2
    task = Instances(classes=CLASSES, distance_weight=3.0)
    assert float(task.step(Answers(logits), torch.zeros(1), objects)) == pytest.approx(
        float(expected)
    )


@pytest.mark.parametrize("dims", DIMS)
def test_a_perfect_answer_loses_nothing_on_any_grid(dims):
    _, objects = batch(dims)
    task = Instances(classes=CLASSES)
    fine = perfect(objects)
    coarse = fine[(..., *(slice(1, None, 2) for _ in range(dims)))]
    assert float(task.step(Answers(fine), torch.zeros(1), objects)) < 1e-3
    assert float(task.step(Answers([fine, coarse]), torch.zeros(1), objects)) < 1e-3


def test_samples_along_a_coarse_axis_lie_further_apart():
    _, objects = batch(2)
    wide = Instances(classes=CLASSES, steps=(1.0, 4.0))
    assert float(wide.step(Answers(perfect(objects)), torch.zeros(1), objects)) > 0.03


@pytest.mark.parametrize("value", [0, 1])
def test_distance_error_where_all_is_alike(value):
    found, foreground = torch.zeros(1, 5), torch.full((1, 5), value)
    assert float(distance_error(found, foreground, torch.ones(1, 5))) == pytest.approx(0.475)


@pytest.mark.parametrize("dims", DIMS)
def test_decoded_answers_are_probabilities_and_a_distance(dims):
    logits, _ = batch(dims)
    found = Instances(classes=CLASSES).decode(30 * logits.bfloat16())
    assert found.dtype == torch.float32
    assert torch.allclose(found[:, :2].sum(1), torch.ones_like(found[:, 0]), atol=1e-5)
    assert found[:, 2].min() == 0
    assert found[:, 2].max() == 1


@pytest.mark.parametrize("dims", DIMS)
def test_answers_are_measured_on_the_foreground_and_on_objects(dims):
    _, objects = batch(dims)
    task = Instances(classes=CLASSES, spacing_unit="mm")
    found = task.decode(perfect(objects)).numpy()
    rows = [
        task.collect(f, t, id=str(i), unit=str(i), spacing=(2.0,) * dims)
        for i, (f, t) in enumerate(zip(found, objects.numpy(), strict=True))
    ]
    metrics = task.measure(rows)
    assert metrics["dice"]["value"] == 1.0
    assert metrics["hd95"]["unit"] == "mm"
    assert metrics["ap50"]["value"] > 0.7
    labels = task.decide(found[0])
    assert rows[0]["objects"] == object_statistics(objects[0].numpy(), labels)
    assert (
        task.collect(labels, objects[0].numpy(), id="0", unit="0", spacing=(2.0,) * dims) == rows[0]
    )
    row = task.row(rows[0])
    assert {"dice", "dice.nucleus", "ap50", "ap", "objects", "found", "count_error"} == set(row)
    (line,) = task.lines(rows[0])
    assert line[2] == [1.0, row["ap50"], row["objects"], row["found"]]
    assert task.details(rows)["objects"]["objects"] == int(
        objects.amax(tuple(range(1, dims + 1))).sum()
    )


def test_score_is_the_mean_ap50_of_cases_with_objects_and_some_dice():
    task = Instances(classes=CLASSES)
    truth, none = np.array([0, 1, 1, 2, 2]), np.zeros(5, int)
    pairs = [(truth, truth), (np.array([0, 1, 1, 0, 0]), truth), (none, none)]
    rows = [task.collect(f, t, id="1", unit="1", quick=True) for f, t in pairs]
    assert task.score(rows) == pytest.approx((1 + 0.5) / 2 + 0.1 * (1 + 2 / 3) / 2)
    assert task.score(rows[2:]) == 0.0
    assert rows[0]["dice"] == [1.0]


def test_the_foreground_alone_decides_where_objects_are():
    found = np.zeros((3, 4, 5), np.float32)
    found[0], found[2] = 1, 1
    assert not Instances(classes=CLASSES).decide(found).any()
