"""Padding against NumPy's, on unequal axes and beyond the length of the axis."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import per_side, window_output_size
from convivo.layers import Pad
from convivo.layers.padding import PADDING_MODES, fold_back, pad

from .numpy_oracle import NUMPY_MODES

MODES = pytest.mark.parametrize("mode", PADDING_MODES)
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIDES = ((1, 2), (0, 3), (4, 2))


def image(dims, size=(5, 4, 6)):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, *size[:dims], generator=generator, dtype=torch.float64)


def test_every_mode_has_an_oracle():
    assert set(NUMPY_MODES) == set(PADDING_MODES)


@DIMS
@MODES
def test_extends_the_grid_as_numpy_does(dims, mode):
    x = image(dims)
    layer = Pad(SIDES[:dims], mode=mode, spatial_dims=dims)
    expected = np.pad(x.numpy(), [(0, 0), (0, 0), *SIDES[:dims]], mode=NUMPY_MODES[mode])
    np.testing.assert_array_equal(layer(x).numpy(), expected)


@MODES
def test_goes_on_beyond_the_length_of_the_axis(mode):
    for size, before, after in itertools.product(range(1, 5), range(10), range(10)):
        x = torch.arange(1, size + 1)[None, None]
        expected = np.pad(x.numpy(), [(0, 0), (0, 0), (before, after)], mode=NUMPY_MODES[mode])
        found = pad(x, ((before, after),), (mode,))
        np.testing.assert_array_equal(found.numpy(), expected, f"{size} {before} {after}")


@MODES
@DIMS
def test_folding_back_is_the_adjoint(dims, mode):
    for sides in (SIDES, ((0, 9), (13, 0), (7, 11)), ((2, 0), (8, 8), (0, 0))):
        x, modes = image(dims, (5, 1, 3)), (mode,) * dims
        y = torch.randn_like(pad(x, sides[:dims], modes))
        there = (pad(x, sides[:dims], modes) * y).sum()
        torch.testing.assert_close((x * fold_back(y, sides[:dims], modes)).sum(), there)


@MODES
def test_gradients_are_those_of_the_folding(mode):
    x = image(3, (3, 2, 4)).requires_grad_()
    sides, modes = ((1, 4), (3, 0), (2, 2)), (mode,) * 3
    y = torch.randn_like(pad(x, sides, modes))
    (gradient,) = torch.autograd.grad(pad(x, sides, modes), x, y)
    torch.testing.assert_close(gradient, fold_back(y, sides, modes))


def test_each_axis_may_have_its_own_mode():
    x = image(3)
    layer = Pad(1, mode=("replicate", "zeros", "circular"), spatial_dims=3)
    expected = x.numpy()
    for axis, mode in ((2, "edge"), (3, "constant"), (4, "wrap")):
        widths = [(int(a == axis),) * 2 for a in range(5)]
        expected = np.pad(expected, widths, mode=mode)
    np.testing.assert_array_equal(layer(x).numpy(), expected)


def test_lecture_names_both_kinds_of_mirroring():
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    mirrored = {m: Pad(2, mode=m, spatial_dims=1)(x).flatten().tolist() for m in PADDING_MODES}
    assert mirrored["reflect"] == [3, 2, 1, 2, 3, 4, 3, 2]
    assert mirrored["symmetric"] == [2, 1, 1, 2, 3, 4, 4, 3]


@MODES
def test_half_precision_and_integers_keep_their_kind(mode):
    for dtype in (torch.bfloat16, torch.int64):
        x = torch.arange(6).reshape(1, 1, 2, 3).to(dtype)
        assert Pad(1, mode=mode)(x).dtype == dtype


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_modes_that_torch_has_agree_with_it(mode):
    x = image(2)
    name = {"zeros": "constant"}.get(mode, mode)
    torch.testing.assert_close(Pad((1, 2), mode=mode)(x), F.pad(x, [2, 2, 1, 1], mode=name))


def test_misspelt_mode_names_the_nearest():
    with pytest.raises(ConfigError, match=r"Pad padding_mode: one of .* Did you mean 'symmetric'"):
        Pad(1, mode="symetric")


def test_wrong_number_of_modes_is_refused():
    with pytest.raises(ConfigError, match=r"padding_mode is one word or one per axis \(3\)"):
        Pad(1, mode=("zeros", "reflect"), spatial_dims=3)


@pytest.mark.parametrize("amounts", [-1, (1, 2, 3), ((1, 2, 3), 1), ((1, -1), 0)])
def test_amounts_that_are_no_pairs_are_refused(amounts):
    with pytest.raises(ShapeError, match="amounts takes one integer, one per axis, or a pair"):
        Pad(amounts)


def test_nothing_cannot_be_mirrored():
    with pytest.raises(ShapeError, match="'reflect' needs at least one sample on every padded"):
        Pad(1, mode="reflect")(torch.ones(1, 1, 0, 3))
    assert Pad(1)(torch.ones(1, 1, 0, 3)).shape == (1, 1, 2, 5)


def test_missing_axis_is_named():
    with pytest.raises(ShapeError, match=r"Pad: the input must have shape \(N, C, S1, S2\)"):
        Pad(1)(torch.ones(1, 4, 3))


def test_folding_must_leave_something():
    with pytest.raises(ShapeError, match=r"the margins \(\(2, 2\),\) must leave a sample"):
        fold_back(torch.ones(1, 1, 4), ((2, 2),), ("zeros",))


def test_sides_are_read_in_every_form():
    assert per_side(2, 2) == per_side((2, 2), 2) == per_side(((2, 2), (2, 2)), 2)
    assert window_output_size((7, 9), (3, 2), (2, 1), ((0, 1), (2, 0)), (1, 1)) == (3, 10)
