import numpy as np
import pytest
import torch
from torch import nn

from convivo.arrays.preparation import Preparation
from convivo.data.sample import Events, Sample
from convivo.data.store import build_store
from convivo.evaluation.answers import answer, validation_answers
from convivo.evaluation.evaluate import evaluate_cases, predict_labels, without_target
from convivo.inference.predictor import Predictor
from convivo.tasks.classify import Classify
from convivo.tasks.segment import Segment


class Brightness(nn.Module):
    """Class 1 where the image is brighter than a half: a segmenter that is always right."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(20.0))

    def forward(self, images):
        bright = self.weight * (images[:, :1] - 0.5)
        return torch.cat([-bright, bright], dim=1)


class Mean(nn.Module):
    """Class 1 where the mean over everything is positive."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(5.0))

    def forward(self, images):
        mean = self.weight * images.flatten(1).mean(1, keepdim=True)
        return torch.cat([-mean, mean], dim=1)


def segmenter(size, spacing_unit="mm"):
    task = Segment(classes=("background", "organ"), spacing_unit=spacing_unit)
    return Predictor(network=Brightness().eval(), task=task, sampling="patch", size=size, batch=4)


def classifier(sampling, size, **more):
    task = Classify(classes=("low", "high"))
    return Predictor(network=Mean().eval(), task=task, sampling=sampling, size=size, **more)


def alone(predictor):
    """The predictor as it is, whatever the image."""
    return lambda shape, beside: predictor


def organ(shape, affine, name="v"):
    """An oblique body that no flip and no turn leaves as it is."""
    place = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    x, y, z = place[0] + 0.2, place[1] - 0.1, place[2] - 0.3
    body = (x**2 / 0.4 + y**2 / 0.3 + z**2 / 0.3 < 1) & (x + y + 0.5 * z < 0.5)
    spacing = tuple(float(v) for v in np.linalg.norm(affine[:3, :3], axis=0))
    return Sample(
        id=name, image=body[None].astype(np.float32), target=body.astype(np.uint8), unit=name,
        affine=affine, spacing=spacing, spacing_unit="mm",
    )  # fmt: skip


FLIPPED = np.diag([-2.0, 1.5, -3.0, 1.0])
TURNED = np.array([[0, 0, -2.0, 5], [-1.5, 0, 0, 7], [0, 3.0, 0, -4], [0, 0, 0, 1]])


@pytest.mark.parametrize("affine", [FLIPPED, TURNED])
def test_labels_come_back_on_the_grid_they_were_drawn_on(affine):
    sample = organ((27, 33, 21), affine)
    preparation = Preparation(
        spatial_dims=3, channels=1, orientation="RAS", spacing=(1.0, 1.0, 1.0), normalization="none"
    )
    labels = predict_labels(alone(segmenter((16, 16, 16))), sample, preparation)
    assert labels.shape == sample.target.shape
    assert (labels == sample.target).mean() > 0.995


def test_volumes_are_measured_on_their_own_grid_in_millimetres():
    samples = {"a": organ((27, 33, 21), FLIPPED, "a"), "b": organ((20, 25, 31), TURNED, "b")}
    preparation = Preparation(
        spatial_dims=3, channels=1, orientation="RAS", spacing=(1.0, 1.0, 1.0), normalization="none"
    )
    done = []
    found = evaluate_cases(
        segmenter((16, 16, 16)), samples.__getitem__, ["b", "a"], preparation, tick=done.append
    )
    assert [row["id"] for row in found.answers] == ["b", "a"]
    assert [row["unit"] for row in found.answers] == ["b", "a"]
    assert done == [1, 2]
    assert found.metrics["dice"]["value"] > 0.98
    assert found.metrics["hd95"]["value"] <= 1.5  # the smallest step of the stored grids
    assert found.metrics["hd95"]["unit"] == "mm"


def test_coarser_grid_costs_dice_where_the_truth_was_drawn():
    """On the prepared grid the answer would be perfect; that is not what is reported."""
    sample = organ((27, 33, 21), np.diag([1.0, 1.0, 1.0, 1.0]))
    preparation = Preparation(
        spatial_dims=3, channels=1, spacing=(4.0, 4.0, 4.0), normalization="none"
    )
    predictor = segmenter((8, 8, 8))
    found = evaluate_cases(predictor, lambda name: sample, ["v"], preparation)
    assert 0.5 < found.metrics["dice"]["value"] < 0.95


def test_truth_has_no_part_in_the_answer():
    sample = organ((27, 33, 21), FLIPPED)
    preparation = Preparation(spatial_dims=3, channels=1, normalization="none")
    predictor = segmenter((16, 16, 16))
    bare = without_target(sample)
    assert bare.target is None
    assert bare.image is sample.image
    one, other = (predict_labels(alone(predictor), s, preparation) for s in (sample, bare))
    assert np.array_equal(one, other)


def test_image_without_spacing_is_measured_in_pixels():
    body = np.zeros((24, 30), np.uint8)
    body[5:12, 8:20] = 1
    sample = Sample(id="i", image=np.roll(body, 3, axis=0)[None], target=body, unit="i")
    preparation = Preparation(spatial_dims=2, channels=1, normalization="none")
    found = evaluate_cases(segmenter((8, 8), "px"), lambda name: sample, ["i"], preparation)
    assert found.metrics["hd95"]["value"] == pytest.approx(3)
    assert found.metrics["hd95"]["unit"] == "px"
    assert found.metrics["dice"]["value"] == pytest.approx(4 / 7)


def levels(values, shapes):
    rng = np.random.default_rng(2)
    return {
        str(i): Sample(
            id=str(i), image=rng.normal(value, 0.1, shape), target=i % 2, unit=f"u{i // 2}"
        )
        for i, (value, shape) in enumerate(zip(values, shapes, strict=True))
    }


@pytest.mark.parametrize("alike", [True, False])
def test_cases_answer_in_order_with_their_units(alike):
    values = [-1, 1, 1, 1, -1, -1]  # cases 2 and 5 are called wrong
    lengths = [40] * 6 if alike else [40, 41, 55, 40, 61, 40]
    samples = levels(values, [(1, n) for n in lengths])
    preparation = Preparation(spatial_dims=1, channels=1, normalization="none")
    predictor = classifier("whole" if alike else "crop", (40,))
    names, done = ["5", "0", "1", "2", "3", "4"], []
    found = evaluate_cases(predictor, samples.__getitem__, names, preparation, tick=done.append)
    assert [row["id"] for row in found.answers] == names
    assert [row["unit"] for row in found.answers] == ["u2", "u0", "u0", "u1", "u1", "u2"]
    called = [int(row["probabilities"].argmax()) for row in found.answers]
    assert called == [0, 0, 1, 1, 1, 0]
    assert found.metrics["accuracy"]["value"] == pytest.approx(4 / 6)
    assert done == [1, 2, 3, 4, 5, 6]


def test_validation_and_evaluation_give_the_same_rows():
    samples = levels([-1, 1, 1, 1], [(1, 7, 9)] * 4)
    preparation = Preparation(spatial_dims=2, channels=1)
    predictor = classifier("whole", (7, 9), batch=3)
    store = build_store(samples.__getitem__, "0123", preparation)
    quick = validation_answers(predictor, store)
    full = evaluate_cases(predictor, samples.__getitem__, "0123", preparation).answers
    for one, other in zip(quick, full, strict=True):
        assert (one["id"], one["unit"]) == (other["id"], other["unit"])
        assert np.array_equal(one["probabilities"], other["probabilities"])
        assert one["targets"].tolist() == other["targets"].tolist()


def record():
    signal = np.full((1, 720), -1.0)
    signal[:, 360:] = 1.0
    positions = np.array([50, 150, 400, 500, 600])
    events = Events(positions=positions, labels=np.array([0, -1, 1, 0, 1]))
    return Sample(
        id="r", image=signal, target=events, unit="p", spacing=(1 / 360,), spacing_unit="s"
    )


def test_beats_are_reported_where_the_file_has_them():
    sample = record()
    preparation = Preparation(spatial_dims=1, channels=1, spacing=(1 / 180,), normalization="none")
    found = evaluate_cases(classifier("window", (20,)), lambda name: sample, ["r"], preparation)
    row = found.answers[0]
    assert row["samples"].tolist() == [50, 400, 500, 600]  # the one without a class is left out
    assert row["targets"].tolist() == [0, 1, 0, 1]
    assert row["probabilities"].argmax(1).tolist() == [0, 1, 1, 1]
    assert found.metrics["accuracy"]["value"] == pytest.approx(3 / 4)


def test_answer_leaves_out_moments_without_a_class():
    sample = record()
    rows, labels = answer(classifier("window", (20,)), sample.image, sample.target)
    assert rows.shape == (4, 2)
    assert labels.tolist() == [0, 1, 0, 1]


def test_validation_of_maps_scores_on_the_prepared_grid():
    samples = {"v": organ((27, 33, 21), np.eye(4))}
    preparation = Preparation(
        spatial_dims=3, channels=1, spacing=(4.0, 4.0, 4.0), normalization="none"
    )
    store = build_store(samples.__getitem__, ["v"], preparation)
    predictor = segmenter((4, 4, 4))
    rows = validation_answers(predictor, store)
    assert rows[0].keys() == {"dice", "id", "unit"}
    assert 0.8 < predictor.task.score(rows) <= 1
