import json
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.arrays.preparation import (
    Preparation,
    prepare,
    prepare_labels,
    prepare_positions,
    restore_labels,
    restore_probabilities,
)
from convivo.errors import ConfigError, ShapeError

ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def nested(shape):
    place = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum((x - 0.1) ** 2 for x in place))
    return np.where(radius < 0.45, 2, np.where(radius < 0.9, 1, 0)).astype(np.uint8)


def affine_of(order, signs, spacing=(1.0, 1.0, 1.0)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    return affine


def dice(a, b, value):
    both = np.sum((a == value) & (b == value))
    return 2 * both / (np.sum(a == value) + np.sum(b == value))


def one_hot(labels):
    return np.stack([labels == value for value in range(3)]).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_without_resampling_there_and_back_is_the_identity(data):
    """Any sizes, any padding target: what is not cut away comes back exactly."""
    dims = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 12)) for _ in range(dims))
    size = tuple(n + data.draw(st.integers(0, 5)) for n in shape)
    affine = None
    if dims == 3:
        affine = affine_of(*ORIENTATIONS[data.draw(st.integers(0, 47))])
        size = tuple(max(size) for _ in size)
    labels = np.random.default_rng(len(shape)).integers(0, 3, shape).astype(np.uint8)
    preparation = Preparation(
        spatial_dims=dims, channels=1, orientation="RAS", size=size, fit="crop"
    )
    _, placement = prepare(noise((1, *shape)), preparation, affine=affine)
    there = prepare_labels(labels, placement)
    assert there.shape == size == placement.prepared_shape
    assert np.array_equal(restore_labels(there, placement), labels)
    shares = np.stack([there == value for value in range(3)]).astype(np.float32)
    assert np.array_equal(restore_probabilities(shares, placement).argmax(0), labels)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_all_48_orientations_reach_the_same_grid_and_come_back(order, signs):
    shape = (17, 19, 23)
    spacing = (1.5, 1.0, 0.8)
    affine = affine_of(order, signs, spacing)
    preparation = Preparation(
        spatial_dims=3, channels=1, orientation="RAS", spacing=(1.0, 1.0, 1.0)
    )
    labels = nested(shape)
    image, placement = prepare(labels[None].astype(np.int16), preparation, affine=affine)
    there = prepare_labels(labels, placement)
    extent = np.zeros(3)
    for axis in range(3):
        extent[order[axis]] = shape[axis] * spacing[axis]
    assert image.shape[1:] == there.shape == tuple(round(v) for v in extent)
    back = restore_labels(there, placement)
    assert back.shape == shape
    assert min(dice(labels, back, value) for value in (1, 2)) > 0.9
    assert np.corrcoef(image.ravel(), there.ravel())[0, 1] > 0.95
    probabilities = restore_probabilities(one_hot(there), placement)
    assert min(dice(labels, probabilities.argmax(0), value) for value in (1, 2)) > 0.9
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(61,), (27, 33), (29, 33, 37)])
@pytest.mark.parametrize("factor", [0.7, 1.6])
def test_resized_labels_overlap_when_restored(shape, factor):
    size = tuple(round(n * factor) for n in shape)
    preparation = Preparation(spatial_dims=len(shape), channels=2, size=size, fit="resize")
    image, placement = prepare(noise((2, *shape)), preparation)
    assert image.shape == (2, *size)
    assert image.dtype == np.float32
    labels = nested(shape)
    back = restore_labels(prepare_labels(labels, placement), placement)
    assert min(dice(labels, back, value) for value in (1, 2)) > 0.9


def test_signals_change_rate_and_moments_move_with_them():
    signal = np.zeros((1, 3600), np.float32)
    moments = np.array([400, 1801, 3000])
    signal[0, moments] = 1
    preparation = Preparation(
        spatial_dims=1, channels=1, spacing=(1 / 250,), size=(2600,), fit="crop",
        normalization="none",
    )  # fmt: skip
    image, placement = prepare(signal, preparation, spacing=(1 / 360,))
    assert image.shape == (1, 2600)
    places = prepare_positions(moments, placement)
    peaks = [int(np.argmax(image[0, p - 20 : p + 20])) + p - 20 for p in places]
    assert np.abs(np.array(peaks) - places).max() <= 1
    labels = (np.arange(3600) // 600).astype(np.uint8)
    back = restore_labels(prepare_labels(labels, placement), placement)
    assert (back == labels).mean() > 0.995


def test_a_rate_within_a_percent_is_left_alone_and_moments_stay():
    preparation = Preparation(spatial_dims=1, channels=1, spacing=(1 / 360,))
    image, placement = prepare(noise((1, 5000)), preparation, spacing=(1 / 361,))
    assert image.shape == (1, 5000)
    assert prepare_positions(np.array([0, 4999]), placement).tolist() == [0, 4999]


def test_signals_are_padded_with_zeros_and_images_with_their_edge():
    signal = Preparation(spatial_dims=1, channels=1, size=(9,), fit="crop", normalization="none")
    assert prepare(np.ones((1, 4)), signal)[0].tolist() == [[0, 0, 1, 1, 1, 1, 0, 0, 0]]
    image = Preparation(spatial_dims=2, channels=1, size=(5, 3), fit="crop", normalization="none")
    assert (prepare(np.ones((1, 2, 2)), image)[0] == 1).all()


def test_a_centre_crop_cuts_evenly_and_restores_background_around():
    preparation = Preparation(spatial_dims=2, channels=1, size=(3, 4), fit="crop")
    _, placement = prepare(noise((1, 7, 9)), preparation)
    labels = np.full((7, 9), 1)
    back = restore_labels(prepare_labels(labels, placement), placement)
    assert (back[2:5, 2:6] == 1).all()
    assert back.sum() == 12
    shares = restore_probabilities(np.full((2, 3, 4), 0.5, np.float32), placement)
    assert shares[:, 0, 0].tolist() == [1, 0]
    assert shares[:, 3, 3].tolist() == [0.5, 0.5]


def test_without_affine_or_spacing_the_stored_grid_stays():
    preparation = Preparation(
        spatial_dims=3, channels=1, orientation="RAS", spacing=(2, 2, 2), normalization="none"
    )
    image = noise((1, 7, 9, 11))
    assert np.array_equal(prepare(image, preparation)[0], image)


def test_spacing_is_read_from_the_affine_and_turned_with_it():
    preparation = Preparation(spatial_dims=3, channels=1, orientation="RAS", spacing=(1, 1, 1))
    affine = affine_of((2, 0, 1), (-1, 1, 1), spacing=(3.0, 1.0, 2.0))
    image, _ = prepare(noise((1, 7, 9, 11)), preparation, affine=affine)
    assert image.shape == (1, 9, 22, 21)
    given, _ = prepare(noise((1, 7, 9, 11)), preparation, affine=affine, spacing=(3.0, 1.0, 2.0))
    assert np.array_equal(given, image)


def test_fixed_scales_by_the_stored_dtype_before_resampling():
    preparation = Preparation(
        spatial_dims=2, channels=1, size=(14, 18), normalization="fixed", mean=(0.5,), std=(0.5,)
    )
    image, _ = prepare(np.full((1, 7, 9), 255, np.uint8), preparation)
    np.testing.assert_allclose(image, 1, rtol=1e-6)


def test_preparation_survives_json():
    preparation = Preparation(
        spatial_dims=1, channels=2, channel_names=("MLII", "V1"), spacing=(1 / 360,), size=(720,),
        fit="crop", normalization="fixed", mean=(0.1, 0.2), std=(1.0, 2.0),
    )  # fmt: skip
    assert Preparation.from_dict(json.loads(json.dumps(preparation.to_dict()))) == preparation


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spatial_dims": 4}, "spatial_dims is 1, 2 or 3; got 4"),
        ({"channels": 0}, "channels is at least 1; got 0"),
        ({"channel_names": ["a", "b"]}, "channel_names is one per channel; got"),
        ({"orientation": "LPS"}, "orientation is 'RAS' or None; got 'LPS'"),
        ({"spacing": [1.0]}, r"spacing is one positive value per axis \(2\); got"),
        ({"size": [0, 4]}, r"size is one positive value per axis \(2\); got"),
        ({"fit": "stretch"}, "fit is 'resize' or 'crop'; got 'stretch'"),
        ({"normalization": "minmax"}, "normalization is one of zscore, robust, fixed, none; got"),
        ({"normalization": "fixed"}, r"mean is one per channel; got \(\)"),
        ({"normalisation": "none"}, "a known key; got normalisation. Did you mean 'normalization'"),
    ],
)
def test_bad_values_are_refused_by_rule(change, message):
    values = Preparation(spatial_dims=2, channels=1).to_dict() | change
    with pytest.raises(ConfigError, match=message):
        Preparation.from_dict(values)


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="channels must be given; got spatial_dims"):
        Preparation.from_dict({"spatial_dims": 2})


def test_wrong_arrays_are_refused_by_rule():
    preparation = Preparation(spatial_dims=2, channels=1)
    with pytest.raises(ShapeError, match=r"an image is \(channels, 2 spatial axes\)"):
        prepare(noise((7, 9)), preparation)
    with pytest.raises(ShapeError, match=r"none of them empty; got shape \(1, 0, 9\)"):
        prepare(noise((1, 0, 9)), preparation)
    with pytest.raises(ShapeError, match=r"one spacing per spatial axis \(2\); got \(1.0,\)"):
        prepare(noise((1, 7, 9)), preparation, spacing=(1.0,))
    _, placement = prepare(noise((1, 7, 9)), preparation)
    with pytest.raises(ShapeError, match=r"the label map has the image's shape \(7, 9\); got"):
        prepare_labels(np.zeros((9, 7), int), placement)
    with pytest.raises(ShapeError, match=r"the label map has the prepared shape \(7, 9\); got"):
        restore_labels(np.zeros((9, 7), int), placement)
    with pytest.raises(ShapeError, match="probabilities have one map per class on the prepared"):
        restore_probabilities(np.zeros((2, 9, 7)), placement)
    with pytest.raises(ShapeError, match=r"positions belong to signals \(1 axis\); got 2 axes"):
        prepare_positions(np.array([1]), placement)
