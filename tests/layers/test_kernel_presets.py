"""Designed kernels: the lecture's numbers, their sums and symmetries, and what they answer to."""

import inspect
import math

import numpy as np
import pytest
import torch

from convivo.errors import ConfigError, UsageError
from convivo.layers import Conv
from convivo.layers.presets import (
    PRESETS,
    derivative,
    gabor,
    gaussian,
    identity,
    laplacian,
    preset,
    sharpening,
    smoothing,
    sobel,
)

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SUMS = {
    "identity": 1,
    "smoothing": 1,
    "sharpening": 0,
    "gaussian": 1,
    "derivative": 0,
    "sobel": 0,
    "laplacian": 0,
    "gabor": 0,
}
ODD = ("derivative", "sobel")


def slid(kernel, image):
    """The kernel over an image of its dimension, borders lost."""
    layer = Conv(1, 1, kernel.shape, spatial_dims=kernel.ndim, bias=False).double()
    layer.weight.data = torch.from_numpy(kernel)[None, None]
    return layer(torch.from_numpy(image)[None, None])[0, 0].detach().numpy()


def wave(dims, frequency, direction):
    at = np.indices((31, 33, 35)[:dims], dtype=float)
    return np.cos(2 * math.pi * frequency * np.tensordot(direction, at, axes=1))


def test_kernels_of_the_lecture():
    np.testing.assert_allclose(smoothing(), np.full((3, 3), 1 / 9))
    eighth = -1 / 8
    rows = [[eighth, eighth, eighth], [eighth, 1, eighth], [eighth, eighth, eighth]]
    np.testing.assert_array_equal(sharpening(), rows)


def test_kernels_of_the_textbooks():
    assert sobel(axis=0).tolist() == [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]
    assert laplacian().tolist() == [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    assert sobel(3, axis=2)[:, :, 2].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    np.testing.assert_allclose(
        gaussian(1, sigma=1.0)[4] / gaussian(1, sigma=1.0)[3], math.exp(-0.5)
    )


@DIMS
@pytest.mark.parametrize("name", PRESETS)
def test_sum_dimensions_and_symmetry(name, dims):
    kernel = preset(name, dims)
    assert kernel.ndim == dims
    assert kernel.dtype == np.float64
    assert kernel.sum() == pytest.approx(SUMS[name], abs=1e-12)
    turned = np.flip(kernel)
    np.testing.assert_allclose(turned, -kernel if name in ODD else kernel, atol=1e-15)


@DIMS
def test_identity_leaves_the_image_and_sharpening_is_what_smoothing_takes(dims):
    image = np.random.default_rng(0).normal(size=(7, 9, 11)[:dims])
    inner = image[(slice(1, -1),) * dims]
    np.testing.assert_allclose(slid(identity(dims), image), inner)
    count = 3**dims
    rest = (inner - slid(smoothing(dims), image)) * count / (count - 1)
    np.testing.assert_allclose(slid(sharpening(dims), image), rest)


@DIMS
def test_derivatives_of_a_slope_and_a_parabola(dims):
    at = np.indices((7, 9, 11)[:dims], dtype=float)
    for axis in range(dims):
        np.testing.assert_allclose(slid(derivative(dims, axis=axis), 3 * at[axis]), 3)
        np.testing.assert_allclose(slid(sobel(dims, axis=axis), at[axis]), 2 * 4 ** (dims - 1))
    np.testing.assert_allclose(slid(laplacian(dims), (at**2).sum(axis=0)), 2 * dims)


@DIMS
def test_gabor_answers_most_to_its_own_stripes(dims):
    angles = (0.5, 0.8)[: dims - 1]
    direction = np.array([1.0, math.sin(0.5), math.sin(0.5) * math.sin(0.8)][:dims])
    direction *= [*np.cos(angles), 1.0]
    kernel = gabor(dims, frequency=0.2, orientation=angles or 0.0, size=11)
    answers = {f: np.abs(slid(kernel, wave(dims, f, direction))).max() for f in (0.05, 0.2, 0.4)}
    assert max(answers, key=answers.get) == 0.2
    assert answers[0.2] < 1
    across = wave(dims, 0.2, np.roll(direction, 1) * [-1, *[1] * (dims - 1)])
    assert dims == 1 or np.abs(slid(kernel, across)).max() < answers[0.2] / 3


def test_gabor_of_another_phase_and_scale():
    edges = gabor(1, frequency=0.125, phase=math.pi / 2)
    np.testing.assert_allclose(np.flip(edges), -edges, atol=1e-15)
    assert np.abs(edges).sum() == pytest.approx(1)
    assert gabor(2, frequency=0.125).shape == (17, 17)  # 2 sigma of 4 on both sides
    narrow, wide = (gabor(1, sigma=s, size=9) for s in (0.5, 2.0))
    assert abs(narrow[0]) < abs(wide[0])


def test_gabor_turns_from_the_first_axis_to_the_second():
    standing = gabor(2, frequency=0.25, orientation=0.0)
    np.testing.assert_allclose(gabor(2, frequency=0.25, orientation=math.pi / 2), standing.T)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("gausian", {}, r"preset: one of identity, .*; got 'gausian'\. .*gaussian"),
        ("gabor", {"frequencies": 1}, r"preset gabor: a setting of gabor: .*; got 'frequencies'"),
        ("laplacian", {"size": 3}, r"preset laplacian: .*it has none; got 'size'"),
        ("smoothing", {"size": 4}, r"preset size: an odd number, .*; got 4\. Give 3, 5"),
        ("sharpening", {"size": 1}, r"preset size: a number above 1; got 1\."),
        ("gaussian", {"sigma": 0}, r"preset sigma: a number above 0; got 0\."),
        ("gabor", {"frequency": 0.6}, r"preset frequency: at most half .*; got 0\.6\."),
        ("gabor", {"frequency": math.nan}, r"preset frequency: a number above 0; got nan\."),
        ("gabor", {"orientation": (0, 1)}, r"preset orientation: 1 angles in 2 .*; got \[0, 1\]"),
        ("gabor", {"size": 1}, r"gabor: the window must hold a part of the wave; got size=1"),
        ("sobel", {"axis": 2}, r"preset axis: one of the 2 axes, .*; got 2\."),
    ],
)
def test_refuses_what_cannot_be(name, settings, text):
    with pytest.raises(ConfigError, match=text):
        preset(name, 2, **settings)


def test_refuses_four_dimensions():
    with pytest.raises(UsageError, match="spatial_dims is 1"):
        preset("gabor", 4)


def test_every_preset_is_documented():
    assert all(inspect.getdoc(make) for make in PRESETS.values())
    assert set(PRESETS) == set(SUMS)
