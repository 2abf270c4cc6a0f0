import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.errors import ConfigError, ShapeError, UsageError
from convivo.geometry import per_axis, window_output_size
from convivo.layers import Conv, UpConv

DIMS = (1, 2, 3)
SIZE = (7, 9, 11)
TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def image(dims, channels=2, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, *SIZE[:dims], generator=generator, dtype=torch.float64)


def looped(x, weight, bias, stride, padding, dilation):
    """Cross-correlation as its definition reads, in any number of dimensions."""
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    kernel, dims = weight.shape[2:], weight.ndim - 2
    zero = (0,) * dims
    size = window_output_size(x.shape[2:], kernel, stride, zero, dilation)
    out = np.zeros((x.shape[0], weight.shape[0], *size)) + bias.reshape(1, -1, *(1,) * dims)
    for place in itertools.product(*map(range, size)):
        starts = [p * s for p, s in zip(place, stride, strict=True)]
        rows = zip(starts, kernel, dilation, strict=True)
        window = x[(..., *(slice(o, o + d * (k - 1) + 1, d) for o, k, d in rows))]
        out[(..., *place)] += np.tensordot(window, weight, (range(1, dims + 2),) * 2)
    return out


@pytest.mark.parametrize("dims", DIMS)
def test_convolution_agrees_with_its_definition_on_unequal_axes(dims):
    kernel, stride = (3, 2, 3)[:dims], (2, 1, 2)[:dims]
    padding, dilation = (1, 0, 2)[:dims], (1, 2, 1)[:dims]
    sizes = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = Conv(2, 3, kernel, spatial_dims=dims, **sizes).double()
    x = image(dims)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = looped(x.numpy(), weight, bias, stride, padding, dilation)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("dims", DIMS)
def test_convolution_and_its_gradients_agree_with_torch(dims):
    layer = Conv(4, 6, 3, spatial_dims=dims, padding="same", groups=2, bias=False).double()
    x, twin = (image(dims, channels=4).requires_grad_() for _ in range(2))
    weight = layer.weight.detach().clone().requires_grad_()
    layer(x).square().sum().backward()
    TORCH[dims](twin, weight, padding=1, groups=2).square().sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)
    torch.testing.assert_close(layer.weight.grad, weight.grad)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize(
    ("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_padding_modes_extend_the_image_as_numpy_does(dims, mode, numpy_mode):
    padding = (1, 2, 3)[:dims]
    kernel = tuple(2 * p + 1 for p in padding)
    layer = Conv(2, 1, kernel, spatial_dims=dims, padding="same", padding_mode=mode).double()
    x = image(dims)
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), *[(p, p) for p in padding]], mode=numpy_mode)
    expected = TORCH[dims](torch.from_numpy(padded), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)


def test_strided_figure_of_the_lecture():
    rows = ["22333", "01303", "23013", "33212", "33023"]
    x = torch.tensor([[[[float(v) for v in row] for row in rows]]])
    layer = Conv(1, 1, 3, stride=2, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[2.0, 0, 1], [1, 0, 0], [0, 1, 1]]]]))
        assert layer(x)[0, 0].tolist() == [[1, 5, 6], [7, 8, 3], [3, 10, 4]]


@given(st.integers(1, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_transposed_convolution_is_the_adjoint(dims, data):
    draw = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(dims))  # noqa: E731
    kernel, stride, coarse = draw(1, 3), draw(1, 3), draw(1, 4)
    up = UpConv(3, 2, kernel, stride=stride, bias=False, spatial_dims=dims).double()
    y = torch.randn(1, 3, *coarse, dtype=torch.float64)
    x = torch.randn_like(up(y))
    down = TORCH[dims](x, up.weight, stride=stride)
    torch.testing.assert_close((down * y).sum(), (x * up(y)).sum())


@pytest.mark.parametrize(("stride", "expected"), [(1, 4), (2, 5)])
def test_transposed_kernel_of_three_on_two_by_two(stride, expected):
    assert UpConv(1, 1, 3, stride=stride)(torch.ones(1, 1, 2, 2)).shape[2:] == (expected,) * 2


def test_transposed_convolution_does_not_overlap_by_default():
    assert UpConv(1, 1, (1, 2, 3), spatial_dims=3).stride == per_axis((1, 2, 3), 3)


def test_filters_cost_the_same_for_any_image():
    layer = Conv(1, 10, 5, padding="same")
    assert sum(p.numel() for p in layer.parameters()) == 260
    assert layer(torch.ones(1, 1, 200, 200)).shape == (1, 10, 200, 200)


@pytest.mark.parametrize("bad", [0, 4, True + 4])
def test_unknown_dimension_is_refused(bad):
    with pytest.raises(UsageError, match=r"Conv: spatial_dims is 1 \(signals\)"):
        Conv(1, 1, 3, spatial_dims=bad)


def test_even_kernel_has_no_equal_padding():
    with pytest.raises(ConfigError, match="'same' needs odd kernels; got kernel_size"):
        Conv(1, 1, (3, 2), padding="same")


def test_groups_must_divide_channels():
    with pytest.raises(ConfigError, match=r"groups must divide .* groups=2. Choose a common"):
        Conv(3, 4, 3, groups=2)


def test_kernel_of_no_length_is_refused():
    with pytest.raises(ConfigError, match="kernel_size must be at least 1"):
        Conv(3, 4, (3, 0))


def test_misspelt_padding_mode_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'reflect'"):
        Conv(1, 1, 3, padding_mode="reflection")


def test_missing_batch_axis_is_named():
    rule = r"input must have shape \(N, 1, S1, S2\); got shape \(1, 7, 9\)"
    with pytest.raises(ShapeError, match=rule):
        Conv(1, 1, 3)(torch.ones(1, 7, 9))


def test_axis_shorter_than_the_kernel_names_a_size_that_works():
    with pytest.raises(ShapeError, match=r"reach \(5, 5\); got size \(3, 9\). Pad to \(5, 9\)"):
        Conv(1, 1, 3, dilation=2)(torch.ones(1, 1, 3, 9))


def test_reflection_cannot_reach_beyond_the_image():
    layer = Conv(1, 1, 7, padding=3, padding_mode="reflect")
    with pytest.raises(ShapeError, match="padding_mode 'reflect' needs axes of at least"):
        layer(torch.ones(1, 1, 3, 9))
