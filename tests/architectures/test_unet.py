import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.architectures.create import create
from convivo.architectures.unet_plan import unet_plan
from convivo.errors import ConfigError, ShapeError
from convivo.geometry import to_multiple


def tiny(dims=2, **options):
    return create("unet", spatial_dims=dims, num_classes=3, channels=(4, 6, 8), **options)


@pytest.mark.parametrize("downsampling", ["conv", "pool"])
@pytest.mark.parametrize("upsampling", ["transposed", "linear"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_every_form_keeps_the_size(downsampling, upsampling, norm):
    net = tiny(downsampling=downsampling, upsampling=upsampling, norm=norm)
    assert net(torch.ones(2, 1, 12, 20)).shape == (2, 3, 12, 20)


def test_uneven_kernels_and_strides_follow_the_levels():
    net = tiny(3, kernels=[(1, 3, 3), (1, 3, 3), 3], strides=[1, (1, 2, 2), (2, 2, 2)])
    assert net.total_stride == (2, 4, 4)
    shapes = [f.shape[2:] for f in net.features(torch.ones(1, 1, 6, 12, 20))]
    assert shapes == [(6, 12, 20), (6, 6, 10), (3, 3, 5)]
    assert net(torch.ones(1, 1, 6, 12, 20)).shape == (1, 3, 6, 12, 20)


def test_deep_supervision_returns_every_level_in_training_only():
    net = tiny(deep_supervision=True)
    x = torch.ones(2, 1, 16, 24)
    assert [y.shape[1:] for y in net(x)] == [(3, 16, 24), (3, 8, 12)]
    full = net(x)[0]
    torch.testing.assert_close(net.eval()(x), full)


@pytest.mark.parametrize("upsampling", ["transposed", "linear"])
@pytest.mark.parametrize("downsampling", ["conv", "pool"])
def test_coarse_levels_work_on_the_next_grid_and_answer_on_the_inputs(downsampling, upsampling):
    forms = {"downsampling": downsampling, "upsampling": upsampling, "deep_supervision": True}
    net = tiny(coarse=True, **forms)
    x = torch.randn(2, 1, 16, 24)
    assert [tuple(out.shape[2:]) for out in net.train()(x)] == [(16, 24), (4, 6)]
    assert [tuple(out.shape[2:]) for out in net.features(x)] == [(8, 12), (4, 6), (4, 6)]
    assert net.total_stride == tiny(**forms).total_stride
    restored = net.eval()(x)
    assert (restored[..., ::2, ::2] - restored[..., 1::2, 1::2]).abs().max() > 1e-3


def test_coarse_kernels_are_those_of_the_grids():
    kernels, strides = [(1, 3, 3), (1, 3, 3), 3], [1, (1, 2, 2), 2]
    net = tiny(3, kernels=kernels, strides=strides, coarse=True)
    sizes = [block[0].kernel_size for block in net.encoder]
    assert sizes == [(1, 3, 3), (3, 3, 3), (3, 3, 3)]
    assert net.restore.unit[0].kernel_size == (1, 3, 3)
    assert net.total_stride == (2, 4, 4)


def test_wrong_multiple_names_the_nearest_that_works():
    rule = r"unet: every axis must be a multiple of \(4, 4\).*got size \(30, 9\). Pad to \(32, 12\)"
    with pytest.raises(ShapeError, match=rule):
        tiny()(torch.ones(1, 1, 30, 9))


def test_bottom_of_a_single_sample_is_refused_where_it_has_no_variance():
    with pytest.raises(ShapeError, match=r"two samples at the bottom; .* Pad to \(8, 4\)"):
        tiny()(torch.ones(1, 1, 4, 4))
    assert tiny(norm="batch")(torch.ones(2, 1, 4, 4)).shape == (2, 3, 4, 4)


def test_levels_cut_or_continue_the_channels():
    assert create("unet", levels=2).total_stride == (2, 2)
    with torch.device("meta"):
        net = create("unet", levels=6)
    assert [block[0].out_channels for block in net.encoder] == [32, 64, 128, 256, 320, 320]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"levels": 1}, "at least two levels"),
        ({"kernels": [3, 3]}, r"net\.kernels: one entry for each of the 3 levels"),
        ({"strides": [2, 2, 2]}, r"net\.strides: the first level works at full resolution"),
        ({"strides": [1, 2, 0]}, r"net\.strides: positive integers"),
        ({"kernels": 0}, r"net\.kernels: positive integers"),
        ({"upsampling": "linaer"}, "Did you mean 'linear'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, rule):
    with pytest.raises(ConfigError, match=rule):
        tiny(**options)


def test_plan_of_an_even_grid_halves_all_axes_alike():
    plan = unet_plan((40, 56, 40), (1.0, 1.0, 1.0), max_levels=5)
    assert plan["strides"] == [(1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)]
    assert plan["channels"] == [32, 64, 128, 256]
    assert plan["kernels"] == [(3, 3, 3)] * 4


def test_plan_spares_thick_slices_until_the_others_are_as_coarse():
    plan = unet_plan((16, 256, 256), (6.0, 1.0, 1.0), max_levels=7)
    assert plan["kernels"][:3] == [(1, 3, 3), (1, 3, 3), (3, 3, 3)]
    assert plan["strides"][:4] == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert plan["channels"][-1] == 320


def test_plan_never_halves_what_is_already_short():
    strides = unet_plan((7, 64), max_levels=6)["strides"]
    assert strides == [(1, 1), *[(1, 2)] * 4]


@given(
    st.lists(st.tuples(st.integers(8, 200), st.floats(0.2, 9)), min_size=1, max_size=3),
    st.integers(2, 7),
)
@settings(max_examples=40, deadline=None)
def test_plan_leaves_four_samples_and_fits_the_padded_patch(axes, levels):
    patch, spacing = zip(*axes, strict=True)
    plan = unet_plan(patch, spacing, max_levels=levels)
    total = [1] * len(patch)
    for stride in plan["strides"]:
        total = [a * b for a, b in zip(total, stride, strict=True)]
    padded = to_multiple(patch, total)
    bottom = [n // t for n, t in zip(padded, total, strict=True)]
    assert all(b >= 4 for b, t in zip(bottom, total, strict=True) if t > 1)
    assert 2 <= len(plan["channels"]) == len(plan["kernels"]) == len(plan["strides"]) <= levels
    with torch.device("meta"):
        net = create("unet", spatial_dims=len(patch), input_size=padded, **plan)
    assert net.total_stride == tuple(total)


@pytest.mark.parametrize(
    ("arguments", "error", "rule"),
    [
        (((8, 8), (1.0,)), ShapeError, "one spacing per axis"),
        (((8, 8), (1.0, 0.0)), ConfigError, "positive spacings"),
        (((8, 8), None, 1), ConfigError, "two levels or more"),
        (((7, 5),), ShapeError, "halves at least one axis of 8 samples"),
    ],
)
def test_plan_refuses_what_it_cannot_plan(arguments, error, rule):
    with pytest.raises(error, match=rule):
        unet_plan(*arguments)
