"""Convolution, activation and pooling in one operation: the same as the layers one by one."""

import pytest
import torch
from torch import Tensor, nn

from convivo.architectures.create import create
from convivo.layers import Conv, Pool, TrueConv
from convivo.layers.conv_pool import conv_pool, fits
from convivo.layers.conv_pool_kernel import ConvPool

KINDS = ("max", "avg")
ACTIVATIONS = (nn.ReLU(), nn.Tanh())


def one_by_one(x: Tensor, conv: Conv, activation: nn.Module, pool: Pool) -> Tensor:
    return pool(activation(conv(x)))


def blended(answer: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """The answer, and the gradients of a sum that weighs each of its numbers otherwise."""
    weights = torch.linspace(0.5, 1, answer.numel(), dtype=answer.dtype).view(answer.shape)
    return answer.detach(), *torch.autograd.grad((answer * weights).sum(), inputs)


def must_be_alike(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """To float's last digits, measured by the largest number: what cancels out leaves no digits."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=5e-5 * float(other.abs().max()))


def both(x: Tensor, conv: Conv, activation: nn.Module, pool: Pool) -> list[tuple[Tensor, ...]]:
    learnt = [*conv.parameters(), *([x] if x.requires_grad else [])]
    return [blended(way(x, conv, activation, pool), learnt) for way in (conv_pool, one_by_one)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize(("size", "kernel", "padding"), [
    ((8, 6), (3, 5), (1, 2)), ((6, 10), (1, 5), (0, 0)), ((6, 8), (5, 3), (0, 1)),
])  # fmt: skip
def test_gradients_of_all_it_is_given(activation, kind, size, kernel, padding):
    x = torch.randn(3, 2, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 2, *kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    own = (padding, activation, kind)
    assert torch.autograd.gradcheck(lambda *given: ConvPool.apply(*given, *own), (x, weight, bias))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("learning", [True, False])
def test_the_layers_results_and_gradients(kind, activation, bias, learning):
    x = torch.rand(64, 2, 14, 18, requires_grad=learning)
    conv, pool = Conv(2, 5, 5, padding=(2, 1), bias=bias), Pool(2, kind=kind)
    assert fits(x, conv, activation, pool)
    must_be_alike(*both(x, conv, activation, pool))


def test_of_equal_values_the_first_gets_the_gradient():
    x = torch.randint(0, 2, (64, 1, 12, 12)).float().requires_grad_()
    conv = Conv(1, 3, 5)
    with torch.no_grad():  # whole numbers, which are added exactly in any order
        conv.weight.copy_(torch.randint(-1, 2, conv.weight.shape))
        conv.bias.fill_(1)
    must_be_alike(*both(x, conv, nn.ReLU(), Pool(2)))


def test_a_turned_kernel_and_items_that_lie_innermost():
    x = torch.rand(1, 12, 12, 64).permute(3, 0, 1, 2).requires_grad_()
    must_be_alike(*both(x, TrueConv(1, 2, 5), nn.Tanh(), Pool(2)))


OTHERS = {
    "an odd output": (Conv(1, 2, 5), Pool(2), (64, 1, 11, 12)),
    "a stride": (Conv(1, 2, 5, stride=2), Pool(2), (64, 1, 13, 13)),
    "a dilation": (Conv(1, 2, 5, dilation=2), Pool(2), (64, 1, 14, 14)),
    "an even kernel": (Conv(1, 2, 4), Pool(2), (64, 1, 13, 13)),
    "groups": (Conv(2, 2, 5, groups=2), Pool(2), (64, 2, 12, 12)),
    "padding that is no zeros": (
        Conv(1, 2, 5, padding=2, padding_mode="reflect"), Pool(2), (64, 1, 12, 12),
    ),
    "padding on one side": (Conv(1, 2, 5, padding=((0, 2), (2, 2))), Pool(2), (64, 1, 14, 12)),
    "windows that overlap": (Conv(1, 2, 5), Pool(3, stride=2), (64, 1, 13, 13)),
    "padded windows": (Conv(1, 2, 5), Pool(2, padding=1), (64, 1, 12, 12)),
    "a signal": (Conv(1, 2, 5, spatial_dims=1), Pool(2, spatial_dims=1), (64, 1, 12)),
    "a volume": (Conv(1, 2, 3, spatial_dims=3), Pool(2, spatial_dims=3), (64, 1, 4, 6, 8)),
    "double precision": (Conv(1, 2, 5).double(), Pool(2), (64, 1, 12, 12)),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_what_it_does_not_take_goes_through_the_layers(what):
    conv, pool, shape = OTHERS[what]
    x = torch.rand(shape, dtype=conv.weight.dtype)
    assert not fits(x, conv, nn.ReLU(), pool)
    for found, expected in zip(*both(x, conv, nn.ReLU(), pool), strict=True):
        assert torch.equal(found, expected)


def test_other_activations_and_other_ways_of_computing_go_through_the_layers():
    x, conv, pool = torch.rand(64, 1, 12, 12), Conv(1, 2, 5), Pool(2)
    assert fits(x, conv, nn.ReLU(), pool)
    assert not fits(x, conv, nn.GELU(), pool)
    assert not fits(x.to("meta"), conv, nn.ReLU(), pool)
    with torch.autocast("cpu", torch.float16):
        assert not fits(x, conv, nn.ReLU(), pool)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("learning", [True, False])
def test_in_bfloat16_it_is_as_near_to_float32_as_the_layers(kind, activation, learning):
    torch.manual_seed(0)
    x = torch.randn(64, 2, 14, 18, requires_grad=learning)
    conv, pool = Conv(2, 8, 5, padding=(2, 1)), Pool(2, kind=kind)
    exact = both(x, conv, activation, pool)[1]
    with torch.autocast("cpu", torch.bfloat16):
        assert fits(x, conv, activation, pool)
        found, layers = both(x, conv, activation, pool)
    assert found[0].dtype == layers[0].dtype == torch.bfloat16
    for one, other, wanted in zip(found, layers, exact, strict=True):
        ours, theirs = (float((way.float() - wanted).norm()) for way in (one, other))
        assert 0 < ours < 1.5 * theirs


def test_a_layer_somebody_watches_is_called_by_itself():
    x, seen = torch.rand(64, 1, 12, 12), []
    conv, activation, pool = Conv(1, 2, 5), nn.ReLU(), Pool(2)
    activation.register_forward_hook(lambda *call: seen.append(call[2].shape))
    conv_pool(x, conv, activation, pool)
    assert seen == [(64, 2, 8, 8)]


def test_prediction_is_that_of_the_layers_bit_by_bit():
    x, conv, pool = torch.rand(64, 1, 12, 12), Conv(1, 2, 5), Pool(2)
    with torch.no_grad():
        assert torch.equal(conv_pool(x, conv, nn.Tanh(), pool), pool(conv(x).tanh()))


@pytest.mark.parametrize("options", [{}, {"activation": "tanh", "pool": "avg"}])
def test_lenet_learns_what_its_layers_learn(options):
    net = create("lenet5", spatial_dims=2, in_channels=1, input_size=(28, 28), num_classes=10,
                 **options)  # fmt: skip
    x, weights = torch.rand(64, 1, 28, 28), list(net.parameters())
    behind = nn.Sequential(net.c5, net.act5, net.f6, net.act6, net.output)
    found = blended(net(x), weights)
    expected = blended(behind(net.features(x)[-1].flatten(1)), weights)
    must_be_alike(found, expected)
