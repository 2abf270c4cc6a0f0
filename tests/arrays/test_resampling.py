import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

from convivo.arrays.label_resampling import resample_labels
from convivo.arrays.resampling import (
    rate_grid,
    rate_ratio,
    resample,
    resample_rate,
    resample_to,
)
from convivo.errors import ShapeError

SHAPES = [(13,), (7, 9), (7, 9, 11)]
TARGETS = [(29,), (12, 5), (9, 14, 6)]
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def nested(shape):
    """An ellipsoid of class 2 inside one of class 1, both thick."""
    place = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(x**2 for x in place))
    return np.where(radius < 0.45, 2, np.where(radius < 0.9, 1, 0)).astype(np.uint8)


def shells(shape):
    """Three classes; the middle one is a shell hardly thicker than a sample."""
    place = np.meshgrid(*[np.linspace(0, 3, n) for n in shape], indexing="ij")
    wave = sum(np.sin((i + 2.0) * x) for i, x in enumerate(place))
    return np.digitize(wave, (0.0, 0.6)).astype(np.uint8)


@pytest.mark.parametrize(("shape", "target"), [*zip(SHAPES, TARGETS, strict=True)])
def test_linear_equals_torch_interpolate(shape, target):
    image = noise((2, *shape))
    result = resample(image, target, anti_alias=False)
    mode = MODES[len(shape)]
    expected = F.interpolate(torch.from_numpy(image)[None], target, mode=mode)[0].numpy()
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-6)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("target", [(31, 40), (5, 4), (17, 3), (4, 23)])
def test_anti_aliased_equals_pillow(order, target):
    image = noise((1, 17, 23))
    method = Image.Resampling.BILINEAR if order == 1 else Image.Resampling.BICUBIC
    expected = np.asarray(Image.fromarray(image[0]).resize(target[::-1], method))
    np.testing.assert_allclose(resample(image, target, order=order)[0], expected, atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [1, 3])
def test_constant_stays_constant_and_same_size_stays_exact(shape, order):
    assert np.allclose(resample(np.full((1, *shape), 7, np.uint8), 1.7, order=order), 7)
    image = noise((2, *shape))
    assert np.array_equal(resample(image, shape, order=order), image)


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_a_ramp_keeps_its_place(factor):
    """A linear image keeps its values at physical places away from the border."""
    ramp = (np.arange(24) + 0.5)[None]
    result = resample(ramp, factor)[0]
    expected = (np.arange(len(result)) + 0.5) / factor
    np.testing.assert_allclose(result[3:-3], expected[3:-3], rtol=1e-5)


@pytest.mark.parametrize(("shape", "target"), [((40,), (64,)), ((20, 28), (30, 17))])
def test_round_trip_of_a_smooth_image_keeps_place(shape, target):
    place = np.meshgrid(*[np.linspace(0, 3, n) for n in shape], indexing="ij")
    image = sum(np.sin(x) for x in place)[None]
    back = resample_to(resample(image, target, order=3), shape, order=3)
    assert np.abs(back - image).max() < 0.05


def dice(a, b, value):
    both = np.sum((a == value) & (b == value))
    return 2 * both / (np.sum(a == value) + np.sum(b == value))


@pytest.mark.parametrize("shape", [(60,), (27, 33), (31, 37, 41)])
@pytest.mark.parametrize("factor", [0.6, 1.8])
def test_label_round_trip_overlaps(shape, factor):
    labels = nested(shape)
    there = resample_labels(labels, factor)
    back = resample_labels(there, shape)
    assert back.dtype == labels.dtype
    assert set(np.unique(there)) <= set(np.unique(labels))
    assert min(dice(labels, back, value) for value in (1, 2)) > 0.9


@pytest.mark.parametrize("shape", [(27, 33), (17, 19, 23)])
def test_thin_labels_survive_as_well_as_in_scipy(shape):
    """Thin shells lose in any resampling; here at most a percent more than in ndimage.zoom."""

    def reference(labels, target):
        zoom = [m / n for m, n in zip(target, labels.shape, strict=True)]
        masks = [(labels == value).astype(float) for value in range(3)]
        shares = [ndimage.zoom(m, zoom, order=1, mode="nearest", grid_mode=True) for m in masks]
        return np.argmax(shares, axis=0)

    labels, small = shells(shape), tuple(round(0.6 * n) for n in shape)
    ours = resample_labels(resample_labels(labels, small), shape)
    theirs = reference(reference(labels, small), shape)
    for value in (1, 2):
        assert dice(labels, ours, value) > dice(labels, theirs, value) - 0.01


def test_labels_doubled_are_repeated_samples():
    labels = shells((7, 9, 11))
    expected = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert np.array_equal(resample_labels(labels, 2.0, method="nearest"), expected)


def test_nearest_keeps_labels_that_are_not_neighbours():
    assert resample_labels(np.array([0, 255]), (4,)).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(("old", "new", "ratio"), [(360, 250, (25, 36)), (128, 360, (45, 16))])
def test_rate_ratio_of_common_rates(old, new, ratio):
    assert rate_ratio(1 / old, 1 / new) == ratio


@pytest.mark.parametrize(("old", "new"), [(360, 250), (128, 360), (4000, 100), (300, 300)])
def test_new_rate_keeps_a_sine_in_phase(old, new):
    up, down = rate_ratio(1 / old, 1 / new)
    n = 4 * max(old, 500)
    signal = np.sin(2 * np.pi * 0.2 * np.arange(n) / old)[None]
    result = resample_rate(signal, up, down)
    size, (first, step) = rate_grid(n, up, down)
    assert result.shape == (1, size)
    seconds = (first + step * np.arange(size)) / old
    inner = slice(size // 10, -(size // 10) or None)
    expected = np.sin(2 * np.pi * 0.2 * seconds)
    np.testing.assert_allclose(result[0, inner], expected[inner], atol=0.02)


def test_wrong_requests_are_refused_by_rule():
    image = noise((1, 7, 9))
    with pytest.raises(ShapeError, match=r"one size of at least 1 per spatial axis \(2\); got"):
        resample(image, (3,))
    with pytest.raises(ShapeError, match="a factor is positive; got 0"):
        resample(image, 0)
    with pytest.raises(ShapeError, match=r"order is 1 \(linear\) or 3 \(cubic\); got 2"):
        resample(image, 0.5, order=2)
    with pytest.raises(ShapeError, match="method is 'linear' or 'nearest'; got 'cubic'"):
        resample_labels(shells((7, 9)), 0.5, method="cubic")
