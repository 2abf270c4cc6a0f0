import numpy as np
import pytest

from convivo.arrays.normalization import normalize, to_unit_range
from convivo.errors import ConfigError, ShapeError

SHAPES = [(400,), (27, 33), (7, 9, 11)]


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_zscore_is_per_channel_and_free_of_scale(shape, scale):
    image = np.stack([noise(shape), 5 + 3 * noise(shape, 1)]) * scale
    result = normalize(image, "zscore")
    assert result.dtype == np.float32
    for channel in result:
        assert abs(channel.mean()) < 0.02
        assert abs(channel.std() - 1) < 0.05
    np.testing.assert_allclose(result, normalize(image / scale, "zscore"), atol=1e-3)


def test_zscore_survives_outliers():
    image = noise((1, 40, 50))
    clean = normalize(image, "zscore")
    image[0, 3, 4] = 1_704_295
    spoiled = normalize(image, "zscore")
    keep = np.ones(image.shape, bool)
    keep[0, 3, 4] = False
    assert np.abs(spoiled - clean)[keep].max() < 0.05
    assert spoiled[0, 3, 4] == 10


def test_zscore_leaves_a_black_background_out_of_the_statistics():
    image = np.zeros((1, 20, 30))
    image[:, 5:15, 5:25] = 100 + 10 * noise((10, 20))
    result = normalize(image, "zscore")
    assert abs(result[:, 5:15, 5:25].mean()) < 0.02
    assert (result[:, 0] == -10).all()


def test_a_shape_mask_keeps_its_contrast():
    image = np.zeros((1, 7, 9, 11), np.uint8)
    image[:, 2:4, 3:6, 4:7] = 255
    result = normalize(image, "zscore")
    assert len(np.unique(result)) == 2
    assert np.ptp(result) > 1


@pytest.mark.parametrize("share", [0.003, 0.001])
def test_a_mask_smaller_than_the_percentiles_keeps_its_contrast(share):
    image = np.zeros((1, 1000))
    image[0, : round(1000 * share)] = 1
    assert np.ptp(normalize(image, "zscore")) > 1


@pytest.mark.parametrize("scheme", ["zscore", "robust"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e30])
def test_constant_channels_give_zeros(scheme, value):
    image = np.stack([np.full((7, 9), value, np.float32), noise((7, 9))])
    result = normalize(image, scheme)
    assert (result[0] == 0).all()
    assert result[1].std() > 0.5


@pytest.mark.parametrize("scheme", ["zscore", "robust"])
def test_missing_values_become_the_centre(scheme):
    image = noise((2, 500))
    image[0, 7:9] = np.nan
    image[0, 20] = np.inf
    image[1] = np.nan
    result = normalize(image, scheme)
    assert np.isfinite(result).all()
    assert (result[0, [7, 8, 20]] == 0).all()
    assert (result[1] == 0).all()


def test_robust_is_median_and_quartiles():
    image = noise((1, 4001)) * 3 + 2
    result = normalize(image, "robust")
    assert abs(np.median(result)) < 1e-5
    quarter, three_quarters = np.percentile(result, (25, 75))
    assert three_quarters - quarter == pytest.approx(1.349, rel=1e-4)


def test_robust_falls_back_where_most_values_are_alike():
    image = np.zeros((1, 100))
    image[0, :10] = 1
    assert np.ptp(normalize(image, "robust")) == pytest.approx(1 / 0.3, rel=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_fixed_scales_integers_by_their_range(dtype):
    top = np.iinfo(dtype).max
    image = np.array([[0, top], [top, 0]], dtype=dtype)
    result = normalize(image, "fixed", mean=(0.5, 0.25), std=(0.5, 0.25))
    np.testing.assert_allclose(result, [[-1, 1], [3, -1]], rtol=1e-6)
    assert to_unit_range(np.array([0.25])).tolist() == [0.25]


def test_fixed_takes_one_pair_for_all_channels():
    result = normalize(np.ones((3, 4), np.float32), "fixed", mean=(1.0,), std=(2.0,))
    assert (result == 0).all()


def test_none_only_changes_the_dtype():
    result = normalize(np.array([[1, 2, 300]]), "none")
    assert result.tolist() == [[1, 2, 300]]
    assert result.dtype == np.float32


def test_large_integers_keep_their_digits():
    image = np.array([[2_000_000_000 + i for i in range(9)]], dtype=np.int32)
    assert (np.diff(normalize(image, "zscore")[0]) > 0).all()


def test_the_input_stays_as_it_was():
    image = noise((1, 50)).astype(np.float32)
    before = image.copy()
    for scheme in ("zscore", "robust", "none"):
        normalize(image, scheme)
    normalize(image, "fixed", mean=(1,), std=(2,))
    assert np.array_equal(image, before)


def test_large_channels_are_sampled_from_every_column():
    image = np.tile(np.arange(2000.0), (1, 1500, 1))
    expected = (image - image.mean()) / image.std()
    assert np.abs(normalize(image, "zscore") - expected).max() < 0.02


def test_wrong_requests_are_refused_by_rule():
    image = noise((2, 7))
    with pytest.raises(ConfigError, match=r"a known scheme; got 'zscor'. Did you mean 'zscore'"):
        normalize(image, "zscor")
    rule = r"'fixed' takes one mean and one positive std per channel \(2\)"
    with pytest.raises(ShapeError, match=rule):
        normalize(image, "fixed", mean=(1, 2, 3), std=(1, 1, 1))
    with pytest.raises(ShapeError, match=rule):
        normalize(image, "fixed", mean=(1,), std=(0,))
