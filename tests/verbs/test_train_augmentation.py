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


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    out = tmp_path_factory.mktemp("shapes")
    images = make_images(out / "data", count=8, size=(36, 44), task="segment")
    settings = (
        *MORE, 'augment.labels="linear"', "augment.flips=[1]", "net.width=0.25", "train.steps=2",
        "input.size=[32,48]",
    )  # fmt: skip
    return convivo.train(images, out=out / "run", threads=1, quiet=True, settings=settings)


def test_a_segmentation_with_linear_labels(segmented):
    assert segmented.plan["augment"]["labels"] == "linear"


def test_the_reasons_tell_of_what_was_asked_for(segmented):
    plan, told = segmented.plan, "\n".join(segmented.plan["reasons"])
    assert (plan["steps"], plan["patch"], plan["augment"]["flip_axes"]) == (2, [32, 48], [1])
    assert f"2 steps as asked, {plan['steps_per_epoch']} an epoch" in told
    assert "patches of 32 x 48: as asked" in told
    assert "mirrored axes: 1 (as asked)" in told
    assert "epochs of" not in told
    assert "median case" not in told


def test_label_maps_are_not_mixed(tmp_path):
    images = make_images(tmp_path / "data", count=6, size=(36, 44), task="segment")
    rule = r"augment.mixup: mixup mixes the classes of whole items; got the task segment. Leave out"
    with pytest.raises(ConfigError, match=rule):
        short(images, tmp_path / "run", *MIXED)
