"""A case that is prepared as it is read: the same image, and what was read is let go meanwhile."""

import weakref

import numpy as np
import pytest

from convivo.arrays import preparation as steps
from convivo.arrays.preparation import Preparation
from convivo.data.sample import Sample
from convivo.data.store import prepare_read, prepare_sample
from convivo.data.store import prepared as module

AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])


def sample(dtype):
    values = np.random.default_rng(1).normal(300, 90, (2, 9, 11, 13)).astype(dtype)
    return Sample(id="a", image=values, affine=AFFINE)


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
@pytest.mark.parametrize("normalization", ["zscore", "robust", "none"])
def test_the_image_is_that_of_prepare_sample(dtype, normalization):
    preparation = Preparation(
        spatial_dims=3, channels=2, orientation="RAS", spacing=(1.0, 1.0, 3.0),
        normalization=normalization,
    )  # fmt: skip
    expected, place, _ = prepare_sample(sample(dtype), preparation)
    found, found_place = prepare_read(lambda: sample(dtype), preparation)
    assert found.tobytes() == expected.tobytes()
    assert found_place == place


def test_stored_values_are_gone_when_the_grid_changes(monkeypatch):
    preparation = Preparation(spatial_dims=3, channels=2, spacing=(1.0, 1.0, 3.0))
    seen = {}

    def read():
        one = sample("int16")
        seen["image"] = weakref.ref(one.image)
        return one

    def placed(*args, **kwargs):
        seen["alive"] = seen["image"]() is not None
        return steps.placed(*args, **kwargs)

    monkeypatch.setattr(module, "placed", placed)
    prepare_read(read, preparation)
    assert seen["alive"] is False
