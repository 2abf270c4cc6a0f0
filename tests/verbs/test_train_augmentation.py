"""train with every change of the augmentation asked for, and what it refuses."""

import numpy as np
import pytest

import convivo
from convivo.data.phantoms import make_images
from convivo.errors import ConfigError

MIXED = ("augment.mixup=0.4", "augment.p_mixup=1.0")
MORE = (
    "augment.elastic=0.3", "augment.p_elastic=1.0", "augment.bias=0.3", "augment.p_bias=1.0",
    "augment.crop=0.2", "augment.p_crop=1.0", "augment.cutout=0.3", "augment.p_cutout=1.0",
)  # fmt: skip


def short(data, out, *settings, **options):
    return convivo.train(
        data, out=out, epochs=1, threads=1, quiet=True, settings=settings, **options
    )


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "data"
    return make_images(out, count=12, size=(36, 44), task="classify")


def test_a_classification_with_everything_asked_for(cells, tmp_path):
    run = short(cells, tmp_path / "run", *MIXED, *MORE, "net.width=0.125", net="resnet18")
    assert run.plan["augment"]["mixup"] == 0.4
    assert run.plan["augment"]["p_elastic"] == 1.0
    assert np.isfinite(run.evaluation["metrics"]["brier"]["value"])


def test_a_segmentation_with_linear_labels(tmp_path):
    images = make_images(tmp_path / "data", count=8, size=(36, 44), task="segment")
    settings = (*MORE, 'augment.labels="linear"', "net.width=0.25")
    run = short(images, tmp_path / "run", *settings, "train.steps=2")
    assert run.plan["augment"]["labels"] == "linear"


def test_label_maps_are_not_mixed(tmp_path):
    images = make_images(tmp_path / "data", count=6, size=(36, 44), task="segment")
    rule = r"augment.mixup: mixup mixes the classes of whole items; got the task segment. Leave out"
    with pytest.raises(ConfigError, match=rule):
        short(images, tmp_path / "run", *MIXED)
