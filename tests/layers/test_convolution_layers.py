"""Both convolutions against the definition, against torch and against the lecture's figures."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.errors import ConfigError, ShapeError, UsageError
from convivo.geometry import window_output_size
from convivo.layers import Conv, TrueConv, UpConv
from convivo.layers.padding import PADDING_MODES
from convivo.planning.receptive_field import receptive_field

from . import numpy_oracle as oracle

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIZE = (7, 9, 11)
TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def image(dims, channels=2, size=SIZE):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, *size[:dims], generator=generator, dtype=torch.float64)


def close(found, expected):
    torch.testing.assert_close(found.detach(), torch.as_tensor(expected), rtol=1e-10, atol=1e-10)


@st.composite
def layers(draw):
    """A convolution with any options, and the size of an input that it takes."""
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    kernel, dilation = each(1, 3), each(1, 2)
    sides = tuple(zip(each(0, 3), each(0, 3), strict=True))
    least = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(
        max(draw(st.integers(1, 4)), n - sum(p)) for n, p in zip(least, sides, strict=True)
    )
    layer = draw(st.sampled_from((Conv, TrueConv)))(
        2 * groups,
        groups,
        kernel,
        stride=each(1, 3),
        padding=sides,
        dilation=dilation,
        groups=groups,
        padding_mode=draw(st.sampled_from(PADDING_MODES)),
        spatial_dims=dims,
    )
    return layer.double(), size


def options_of(layer):
    sizes = (layer.stride, layer.padding, layer.dilation)
    return oracle.Options(*sizes, layer.groups, layer.padding_mode[0])


@given(layers())
@settings(max_examples=150)
def test_outputs_and_gradients_are_those_of_the_definition(case):
    layer, size = case
    x = image(len(size), layer.in_channels, size).requires_grad_()
    z = layer(x)
    (z * (dz := torch.randn_like(z))).sum().backward()
    x_, dz_, options = x.detach().numpy(), dz.numpy(), options_of(layer)
    bias, w = layer.bias.detach().numpy(), layer.weight.detach().numpy()
    turned = isinstance(layer, TrueConv)
    taps = oracle.turn(w) if turned else w
    close(z, oracle.correlate(x_, taps, bias, options))
    dw = oracle.weight_gradient(x_, dz_, layer.kernel_size, options)
    # the derivative of the convolution as the slide writes it has the patch turned
    close(layer.weight.grad, oracle.turn(dw).copy() if turned else dw)
    close(layer.bias.grad, oracle.bias_gradient(dz_))
    close(x.grad, oracle.input_gradient(dz_, taps, size, options))


@given(layers())
@settings(max_examples=150)
def test_output_size_follows_the_formula(case):
    layer, size = case
    sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    out = layer(image(len(size), layer.in_channels, size))
    assert out.shape[2:] == window_output_size(size, *sizes)


@DIMS
def test_convolution_and_its_gradients_agree_with_torch(dims):
    layer = Conv(4, 6, 3, spatial_dims=dims, padding="same", groups=2, bias=False).double()
    x, twin = (image(dims, channels=4).requires_grad_() for _ in range(2))
    weight = layer.weight.detach().clone().requires_grad_()
    layer(x).square().sum().backward()
    TORCH[dims](twin, weight, padding=1, groups=2).square().sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)
    torch.testing.assert_close(layer.weight.grad, weight.grad)


@DIMS
@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # torch, of its copy
def test_same_padding_is_that_of_torch_for_even_windows_too(dims, kernel):
    layer = Conv(2, 1, kernel, spatial_dims=dims, dilation=3, padding="same").double()
    x = image(dims)
    expected = TORCH[dims](x, layer.weight, layer.bias, padding="same", dilation=3)
    torch.testing.assert_close(layer(x), expected)
    assert layer(x).shape[2:] == x.shape[2:]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 5])
def test_same_padding_leaves_the_size_over_the_stride_rounded_up(kernel, stride):
    layer = Conv(1, 1, kernel, padding="same", stride=stride, spatial_dims=3)
    found = layer(torch.ones(1, 1, *SIZE)).shape[2:]
    assert found == tuple(-(-n // stride) for n in SIZE)


@pytest.mark.parametrize("name", ["none", "valid"])
def test_no_padding_has_two_names(name):
    assert Conv(1, 1, 3, padding=name)(torch.ones(1, 1, 7, 9)).shape[2:] == (5, 7)


@DIMS
def test_true_convolution_is_the_correlation_with_the_kernel_turned(dims):
    true, cross = (
        kind(2, 3, (3, 2, 4)[:dims], spatial_dims=dims).double() for kind in (TrueConv, Conv)
    )
    x = image(dims)
    with torch.no_grad():
        cross.weight.copy_(true.weight.flip(tuple(range(2, dims + 2))))
        cross.bias.copy_(true.bias)
    torch.testing.assert_close(true(x), cross(x))
    with torch.no_grad():
        true.weight.copy_(cross.weight)
    assert not torch.allclose(true(x), cross(x))


@DIMS
def test_both_agree_for_symmetric_kernels(dims):
    smoothing, sharpening = torch.full((3,) * dims, 3.0**-dims), torch.full((3,) * dims, -1 / 8)
    sharpening[(1,) * dims] = 1
    for kernel in (smoothing, sharpening):
        found = []
        for kind in (TrueConv, Conv):
            layer = kind(
                1, 1, 3, padding=1, padding_mode="symmetric", bias=False, spatial_dims=dims
            )
            layer.weight.data = kernel[None, None].double()
            found.append(layer(image(dims, 1)))
        torch.testing.assert_close(*found)


def test_impulse_response_is_the_kernel_of_the_true_convolution():
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[..., 2, 2] = 1
    true, cross = (kind(1, 1, 3, padding=1, bias=False) for kind in (TrueConv, Conv))
    cross.weight.data = true.weight.data
    torch.testing.assert_close(true(impulse)[..., 1:4, 1:4], true.weight)
    torch.testing.assert_close(cross(impulse)[..., 1:4, 1:4], true.weight.flip(2, 3))


def test_input_gradient_of_a_correlation_is_a_true_convolution():
    layer, back = Conv(1, 1, 3, bias=False).double(), TrueConv(1, 1, 3, padding=2, bias=False)
    x = image(2, 1).requires_grad_()
    z = layer(x)
    (gradient,) = torch.autograd.grad(z, x, dz := torch.randn_like(z))
    back.weight.data = layer.weight.data
    torch.testing.assert_close(gradient, back(dz))


def test_strided_figure_of_the_lecture():
    rows = ["22333", "01303", "23013", "33212", "33023"]
    x = torch.tensor([[[[float(v) for v in row] for row in rows]]])
    layer = Conv(1, 1, 3, stride=2, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[2.0, 0, 1], [1, 0, 0], [0, 1, 1]]]]))
        assert layer(x)[0, 0].tolist() == [[1, 5, 6], [7, 8, 3], [3, 10, 4]]


def count(*layers):
    return sum(p.numel() for layer in layers for p in layer.parameters())


def test_filters_cost_the_same_for_any_image():
    layer = Conv(1, 10, 5, padding="same")
    assert count(layer) == 260
    assert layer(torch.ones(1, 1, 200, 200)).shape == (1, 10, 200, 200)
    with torch.device("meta"):
        assert count(torch.nn.Linear(200 * 200, 10)) == 400_010


@pytest.mark.parametrize(("threes", "large", "weights"), [(2, 5, (18, 25)), (3, 7, (27, 49))])
def test_small_kernels_in_a_row_see_as_much_as_a_large_one_for_less(threes, large, weights):
    row = [Conv(1, 1, 3, bias=False) for _ in range(threes)]
    one = Conv(1, 1, large, bias=False)
    assert (count(*row), count(one)) == weights
    fields = [receptive_field(net, (1, 20, 20)) for net in (torch.nn.Sequential(*row), one)]
    assert fields == [(large, large)] * 2


def test_padding_mode_may_be_changed_and_differ_by_axis():
    x = image(2)
    layer = Conv(2, 1, 3, padding=1, bias=False).double()
    layer.set_padding_mode(("replicate", "zeros"))
    by_hand = F.pad(F.pad(x, [0, 0, 1, 1], mode="replicate"), [1, 1])
    torch.testing.assert_close(layer(x), F.conv2d(by_hand, layer.weight))
    layer.set_padding_mode("zeros")
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, padding=1))


@DIMS
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_bfloat16_autocast_stays_close(dims, mode):
    torch.manual_seed(0)
    x = torch.randn(2, 8, *SIZE[:dims])
    options = {"padding": ((1, 2),) * dims, "padding_mode": mode, "spatial_dims": dims}
    for layer in (Conv(8, 8, 3, **options), UpConv(8, 8, 3, stride=2, **options)):
        with torch.autocast("cpu", torch.bfloat16):
            rounded = layer(x)
        assert rounded.dtype == torch.bfloat16
        exact = layer(x)
        assert (rounded.float() - exact).norm() < 0.02 * exact.norm()


def test_description_names_what_is_not_the_default():
    plain = repr(Conv(1, 2, 3))
    assert plain == "Conv(1, 2, (3, 3), stride=(1, 1))"
    told = repr(Conv(2, 2, 3, padding=((1, 2), 0), padding_mode="reflect", groups=2, bias=False))
    for part in ("padding=((1, 2), (0, 0))", "('reflect', 'reflect')", "groups=2", "bias=False"):
        assert part in told


@pytest.mark.parametrize("bad", [0, 4, True + 4])
def test_unknown_dimension_is_refused(bad):
    with pytest.raises(UsageError, match=r"Conv: spatial_dims is 1 \(signals\)"):
        Conv(1, 1, 3, spatial_dims=bad)


def test_unknown_padding_names_the_nearest():
    with pytest.raises(ConfigError, match=r"TrueConv padding: one of same.*Did you mean 'same'"):
        TrueConv(1, 1, 3, padding="sames")


def test_misspelt_padding_mode_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'reflect'"):
        Conv(1, 1, 3, padding_mode="reflection")


def test_groups_must_divide_channels():
    with pytest.raises(ConfigError, match=r"groups must divide .* groups=2. Choose a common"):
        Conv(3, 4, 3, groups=2)


@pytest.mark.parametrize("name", ["kernel_size", "stride", "dilation"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ConfigError, match=f"Conv: {name} must be at least 1 on every axis; got"):
        Conv(3, 4, **{"kernel_size": 3, name: (3, 0)})


def test_missing_batch_axis_is_named():
    rule = r"input must have shape \(N, 1, S1, S2\); got shape \(1, 7, 9\)"
    with pytest.raises(ShapeError, match=rule):
        Conv(1, 1, 3)(torch.ones(1, 7, 9))


def test_axis_shorter_than_the_kernel_names_a_size_that_works():
    layer = Conv(1, 1, 3, dilation=2, padding=((0, 1), 0))
    with pytest.raises(ShapeError, match=r"reach \(4, 5\); got size \(3, 9\). Pad to \(4, 9\)"):
        layer(torch.ones(1, 1, 3, 9))
    assert layer(torch.ones(1, 1, 4, 9)).shape[2:] == (1, 5)
