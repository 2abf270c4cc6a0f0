"""Normalised values back in the units that an image is stored in."""

import numpy as np
import pytest

from convivo.arrays.normalization import denormalize, normalize

FIXED = {"mean": (0.4, 0.5), "std": (0.2, 0.3)}


@pytest.mark.parametrize("scheme", ["zscore", "robust", "fixed", "none"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_there_and_back_is_the_image(scheme: str, dtype: type) -> None:
    image = np.random.default_rng(0).integers(3, 250, (2, 9, 7)).astype(dtype)
    given = FIXED if scheme == "fixed" else {}
    found = denormalize(normalize(image, scheme, **given), image, scheme, **given)
    assert found.dtype == image.dtype
    np.testing.assert_allclose(found, image, rtol=1e-4)


def test_integers_are_rounded_and_stay_in_their_range() -> None:
    image = np.array([[0, 100, 200]], np.uint8)
    values = np.array([[-9.0, 0.49, 9.0]], np.float32)
    found = denormalize(values, image, "fixed", mean=(0.0,), std=(1.0,))
    assert found.tolist() == [[0, 125, 255]]


def test_other_grids_take_the_units_of_the_image() -> None:
    image = np.array([[10.0, 20.0, 30.0, 40.0]])
    found = denormalize(np.zeros((1, 7)), image, "robust")
    np.testing.assert_allclose(found, np.full((1, 7), 25.0))


def test_a_constant_channel_is_that_constant() -> None:
    image = np.full((1, 5), 7, np.int16)
    assert denormalize(np.ones((1, 5)), image, "zscore").tolist() == [[7] * 5]
