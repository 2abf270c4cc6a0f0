import numpy as np
import pytest
from PIL import Image

from convivo.arrays.channels import select_channels
from convivo.errors import ShapeError


def picture(channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (channels, 7, 9), dtype=np.uint8)


def with_alpha(image, alpha):
    return np.concatenate([image, np.full((1, 7, 9), alpha, image.dtype)])


def test_leads_are_picked_by_name_and_ordered():
    signal = np.arange(6).reshape(3, 2)
    result = select_channels(signal, 2, wanted=("V1", "II"), names=("ii", "aVR", " v1"))
    assert result.tolist() == [[4, 5], [0, 1]]


def test_a_missing_lead_is_named():
    with pytest.raises(ShapeError, match=r"the channel\(s\) V5 must be there; got MLII, V1\."):
        select_channels(np.zeros((2, 9)), 2, wanted=("MLII", "V5"), names=("MLII", "V1"))


def test_names_must_be_one_per_channel():
    with pytest.raises(ShapeError, match=r"one name per channel \(2\); got \('I',\)"):
        select_channels(np.zeros((2, 9)), 1, wanted=("I",), names=("I",))


def test_grey_becomes_rgb_and_back():
    grey = picture(1)
    colour = select_channels(grey, 3)
    assert np.array_equal(colour, grey.repeat(3, 0))
    assert np.array_equal(select_channels(colour, 1), grey)


def test_luminance_equals_pillow():
    image = picture(3)
    expected = np.asarray(Image.fromarray(np.moveaxis(image, 0, -1)).convert("L"), dtype=int)
    result = select_channels(image, 1)
    assert result.dtype == np.uint8
    assert np.abs(result[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("stored", "wanted"), [(3, 3), (3, 1), (1, 1), (1, 3)])
def test_opaque_alpha_is_dropped(stored, wanted):
    image = picture(stored)
    result = select_channels(with_alpha(image, 255), wanted)
    assert np.array_equal(result, select_channels(image, wanted))


def test_alpha_that_hides_something_is_kept_and_refused():
    with pytest.raises(ShapeError, match=r"the network takes 3 channel\(s\); got 4 in shape"):
        select_channels(with_alpha(picture(3), 254), 3)


@pytest.mark.parametrize("shape", [(1, 30), (1, 7, 9, 11)])
def test_signals_and_volumes_are_no_pictures(shape):
    with pytest.raises(ShapeError, match=r"the network takes 3 channel\(s\); got 1 in shape"):
        select_channels(np.zeros(shape), 3)
