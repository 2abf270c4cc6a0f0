"""A case that is prepared as it is read: the same image, and what was read is let go meanwhile."""

import weakref

import numpy as np
import pytest
from scipy.io import savemat

from convivo.arrays import preparation as steps
from convivo.arrays.preparation import Preparation
from convivo.data.readers import read
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


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_what_a_reader_keeps_is_not_written_over(tmp_path, dtype):
    stored = np.random.default_rng(1).normal(300, 90, 200).astype(dtype)
    savemat(tmp_path / "a.mat", {"signal": stored})  # its arrays are kept while it does not change
    preparation = Preparation(spatial_dims=1, channels=1, normalization="zscore")

    def prepared():
        image = read(tmp_path / "a.mat").array
        return prepare_read(lambda: Sample(id="a", image=image), preparation)[0].tobytes()

    assert prepared() == prepared()
    np.testing.assert_array_equal(read(tmp_path / "a.mat").array[0], stored)


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
