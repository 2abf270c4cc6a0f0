"""The transposed convolution is exactly the adjoint; resizing leaves no checkerboard."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.errors import ConfigError, ShapeError
from convivo.layers import Conv, ResizeConv, UpConv, Upsample
from convivo.layers.padding import PADDING_MODES

from . import numpy_oracle as oracle

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
TORCH = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def coarse(dims, channels):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *(3, 2, 4)[:dims], generator=generator, dtype=torch.float64)


@st.composite
def twins(draw):
    """A convolution, its transpose with the same weight, and the size of a fine image."""
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    kernel, dilation, stride = each(1, 4), each(1, 2), each(1, 3)
    sides = tuple(zip(each(0, 3), each(0, 3), strict=True))
    rows = zip(kernel, dilation, sides, each(1, 5), strict=True)
    size = tuple(max(n, d * (k - 1) + 1 - sum(p)) for k, d, p, n in rows)
    modes = tuple(draw(st.sampled_from(PADDING_MODES)) for _ in range(dims))
    options = {"stride": stride, "dilation": dilation, "padding": sides, "groups": groups}
    options |= {"padding_mode": modes, "spatial_dims": dims, "bias": False}
    down = Conv(2 * groups, groups, kernel, **options).double()
    left = [
        (n + sum(p) - d * (k - 1) - 1) % s
        for n, p, d, k, s in zip(size, sides, dilation, kernel, stride, strict=True)
    ]
    up = UpConv(groups, 2 * groups, kernel, output_padding=left, **options).double()
    up.weight.data = down.weight.data
    return down, up, size


@given(twins())
@settings(max_examples=300)
def test_transposed_convolution_is_the_adjoint(case):
    down, up, size = case
    x = torch.randn(2, down.in_channels, *size, dtype=torch.float64)
    y = torch.randn_like(down(x))
    assert up(y).shape == x.shape
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum(), rtol=1e-9, atol=1e-9)


@DIMS
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_transposed_convolution_spreads_as_its_definition_reads(dims, mode):
    sizes = ((2, 3, 1)[:dims], ((1, 2), (0, 1), (1, 0))[:dims], (1, 2, 1)[:dims])
    options = oracle.Options(*sizes, groups=2, mode=mode)
    up = UpConv(
        4,
        6,
        (3, 2, 4)[:dims],
        stride=options.stride,
        padding=options.sides,
        dilation=options.dilation,
        groups=2,
        padding_mode=mode,
        spatial_dims=dims,
    ).double()
    y = coarse(dims, 4).requires_grad_()
    out = up(y)
    out.backward(dz := torch.randn_like(out))
    w, dz = up.weight.detach().numpy(), dz.numpy()
    expected = oracle.input_gradient(y.detach().numpy(), w, out.shape[2:], options)
    expected += up.bias.detach().numpy().reshape(-1, *(1,) * dims)
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-12)
    # forwards and backwards change places
    back = oracle.correlate(dz, w, np.zeros(4), options)
    np.testing.assert_allclose(y.grad.numpy(), back, atol=1e-12)
    slope = oracle.weight_gradient(dz, y.detach().numpy(), w.shape[2:], options)
    np.testing.assert_allclose(up.weight.grad.numpy(), slope, atol=1e-12)
    np.testing.assert_allclose(up.bias.grad.numpy(), oracle.bias_gradient(dz), atol=1e-12)


@DIMS
@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution_agrees_with_torch(dims, bias):
    sizes = {"stride": 3, "padding": 2, "output_padding": 2, "dilation": 2}
    up = UpConv(4, 6, 3, groups=2, spatial_dims=dims, bias=bias, **sizes).double()
    y = coarse(dims, 4)
    torch.testing.assert_close(up(y), TORCH[dims](y, up.weight, up.bias, groups=2, **sizes))


@pytest.mark.parametrize(("stride", "expected"), [(1, 4), (2, 5)])
def test_transposed_kernel_of_three_on_two_by_two(stride, expected):
    """The lecture's figures: zeros between the samples, padded by 2, an ordinary convolution."""
    up = UpConv(1, 1, 3, stride=stride)
    x = torch.arange(1.0, 5).reshape(1, 1, 2, 2)
    apart = torch.zeros(1, 1, stride + 1, stride + 1)
    apart[..., ::stride, ::stride] = x
    by_hand = F.conv2d(apart, up.weight.flip(2, 3), up.bias, padding=2)
    assert up(x).shape[2:] == (expected, expected)
    torch.testing.assert_close(up(x), by_hand)


def test_forward_twin_of_the_strided_figure_takes_five_to_two():
    assert Conv(1, 1, 3, stride=2)(torch.ones(1, 1, 5, 5)).shape[2:] == (2, 2)


def test_transposed_convolution_does_not_overlap_by_default():
    assert UpConv(1, 1, (1, 2, 3), spatial_dims=3).stride == (1, 2, 3)


@DIMS
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_same_padding_multiplies_the_size_by_the_stride(dims, mode):
    options = {"stride": 2, "output_padding": 1, "padding": "same", "padding_mode": mode}
    up = UpConv(2, 1, 3, spatial_dims=dims, **options).double()
    assert up(coarse(dims, 2)).shape[2:] == tuple(2 * n for n in (3, 2, 4)[:dims])


@pytest.mark.parametrize("kind", ["nearest", "linear"])
@DIMS
def test_resizing_convolution_has_the_size_of_the_transposed_one(dims, kind):
    factor, kernel = (2, 3, 1)[:dims], (3, 2, 5)[:dims]
    layer = ResizeConv(4, 6, kernel, factor, kind=kind, groups=2, spatial_dims=dims).double()
    x = coarse(dims, 4)
    fine = Upsample(factor, kind=kind, spatial_dims=dims)(x)
    assert layer(x).shape[2:] == UpConv(1, 1, factor, spatial_dims=dims)(x[:, :1].float()).shape[2:]
    conv = Conv(4, 6, kernel, padding="same", groups=2, spatial_dims=dims).double()
    conv.load_state_dict(layer.conv.state_dict())
    torch.testing.assert_close(layer(x), conv(fine))


@pytest.mark.parametrize("kind", ["nearest", "linear"])
def test_resizing_leaves_no_checkerboard_where_uneven_overlap_does(kind):
    flat = torch.ones(1, 1, 6, 6)
    torch.manual_seed(0)
    resize = ResizeConv(1, 1, 3, 2, kind=kind, padding_mode="replicate")
    overlap = UpConv(1, 1, 3, stride=2)
    with torch.no_grad():
        assert resize(flat).std() < 1e-6
        assert overlap(flat)[..., 3:-3, 3:-3].std() > 1e-2


def test_output_padding_stays_below_the_stride():
    with pytest.raises(ConfigError, match=r"below the stride \(2, 1\); got \(1, 1\)"):
        UpConv(1, 1, 3, stride=(2, 1), output_padding=1)


def test_input_that_the_padding_would_swallow_is_refused():
    layer = UpConv(1, 1, 3, stride=2, padding=(3, 1))
    with pytest.raises(ShapeError, match=r"needs axes of at least \(3, 1\); got size \(2, 2\)"):
        layer(torch.ones(1, 1, 2, 2))
    assert layer(torch.ones(1, 1, 3, 1)).shape[2:] == (1, 1)


def test_inputs_of_other_channels_are_refused():
    with pytest.raises(ShapeError, match="ResizeConv: the input must have shape"):
        ResizeConv(4, 6, 3, 2)(torch.ones(1, 3, 4, 4))
    with pytest.raises(ShapeError, match="UpConv: the input must have shape"):
        UpConv(4, 6, 3)(torch.ones(1, 3, 4, 4))


def test_misspelt_words_name_the_nearest():
    with pytest.raises(ConfigError, match=r"UpConv padding: one of same.*Did you mean 'valid'"):
        UpConv(1, 1, 3, padding="valide")
    with pytest.raises(ConfigError, match=r"Upsample kind: one of .* Did you mean 'linear'"):
        ResizeConv(1, 1, 3, 2, kind="liner")
