"""Starting weights by name: their variance, what they leave alone, and where they work."""

import math

import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.architectures.initialisation import INITIALISATIONS, fans, restart
from convivo.errors import ConfigError
from convivo.layers import Conv, Norm, UpConv

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
NAMES = pytest.mark.parametrize("name", INITIALISATIONS)
KERNEL, STRIDE = (4, 2, 2), (2, 1, 2)


def layers(dims):
    """Name -> layer, how many inputs an output sums up, how many outputs an input goes into."""
    k, s = KERNEL[:dims], STRIDE[:dims]
    taps, step = math.prod(k), math.prod(s)
    return {
        "conv": (Conv(32, 48, k, spatial_dims=dims), 32 * taps, 48 * taps),
        "strided": (Conv(32, 48, k, stride=s, spatial_dims=dims), 32 * taps, 48 * taps / step),
        "grouped": (Conv(96, 64, k, groups=4, spatial_dims=dims), 24 * taps, 16 * taps),
        "up": (UpConv(48, 32, k, stride=s, spatial_dims=dims), 48 * taps / step, 32 * taps),
        "linear": (nn.Linear(80, 120), 80, 120),
    }


def expected_variance(name, ins, outs):
    scheme = name.split("_")[0]
    return {"he": 2 / ins, "lecun": 1 / ins, "glorot": 2 / (ins + outs)}[scheme]


@DIMS
@pytest.mark.parametrize("name", [n for n in INITIALISATIONS if n != "orthogonal"])
def test_variance_is_the_one_of_the_scheme(name, dims):
    torch.manual_seed(3)
    for kind, (layer, ins, outs) in layers(dims).items():
        restart(layer, name)
        assert fans(layer) == (ins, outs), kind
        weight, wanted = layer.weight.detach(), expected_variance(name, ins, outs)
        # four deviations of a normal sample's variance; a uniform one varies less
        error = 4 * math.sqrt(2 / weight.numel())
        assert weight.square().mean().item() == pytest.approx(wanted, rel=error), kind
        assert abs(weight.mean()) < 4 * math.sqrt(wanted / weight.numel()), kind
        assert not layer.bias.any()
        if name.endswith("uniform"):
            assert weight.abs().max() <= math.sqrt(3 * wanted)
        else:
            assert weight.abs().max() > 2.5 * math.sqrt(wanted)


@DIMS
def test_glorot_and_he_agree_with_torch_on_plain_convolutions(dims):
    layer = Conv(6, 5, 3, spatial_dims=dims)
    for name, reference in (
        ("glorot_uniform", nn.init.xavier_uniform_),
        ("he_normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
    ):
        torch.manual_seed(0)
        wanted = reference(torch.empty_like(layer.weight))
        torch.manual_seed(0)
        restart(layer, name)
        torch.testing.assert_close(layer.weight.detach(), wanted)


@DIMS
def test_orthogonal_keeps_lengths_in_every_group(dims):
    # 16 taps for 8 channels of each group, but too few for 32 of all
    layer = Conv(16, 32, (4, 1, 1)[:dims], groups=4, spatial_dims=dims)
    restart(layer, "orthogonal")
    for group in layer.weight.detach().chunk(4):
        rows = group.flatten(1)
        torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(8), atol=1e-5, rtol=0)


@DIMS
def test_he_keeps_the_size_of_activations_through_relu(dims):
    torch.manual_seed(0)
    size = (24, 20, 16)[:dims]
    net = nn.Sequential()
    for _ in range(4):
        net.append(Conv(32, 32, 3, padding=1, padding_mode="circular", spatial_dims=dims))
        net.append(nn.ReLU())
    restart(net, "he_normal")
    x = torch.randn(8, 32, *size)
    ratio = net(x).square().mean() / x.square().mean()
    assert 0.3 < ratio < 3


def test_paper_leaves_the_weights():
    torch.manual_seed(0)
    plain = create("resnet18", width=0.1)
    torch.manual_seed(0)
    named = create("resnet18", width=0.1, init="paper")
    assert all(map(torch.equal, plain.state_dict().values(), named.state_dict().values()))


def test_create_draws_convolutions_anew_and_leaves_normalisations():
    net = create("resnet18", width=0.5, init="lecun_normal")
    weight = net.get_parameter("layer4.1.conv2.weight")
    assert weight.var().item() * 256 * 9 == pytest.approx(1, rel=0.02)
    norms = [m.weight for m in net.modules() if isinstance(m, Norm)]
    assert norms
    assert all(torch.equal(w, torch.ones_like(w)) for w in norms)


@NAMES
def test_same_seed_draws_the_same(name):
    def weights(seed):
        torch.manual_seed(seed)
        net = create("lenet5", input_size=(28, 28), init=name)
        return torch.cat([p.flatten() for p in net.parameters()])

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))


@NAMES
def test_nothing_is_allocated_on_meta(name):
    with torch.device("meta"):
        net = create("resnet18", spatial_dims=3, init=name)
    assert all(p.is_meta for p in net.parameters())


@pytest.mark.parametrize("name", ["he_normal", "orthogonal"])
def test_spectral_norm_follows_its_new_weights(name):
    torch.manual_seed(0)
    net = create("dcgan", input_size=(16, 16), width=0.25, spectral_norm=True, init=name).eval()
    for layer in net.discriminator.main:
        if isinstance(layer, Conv):
            original = layer.get_parameter("parametrizations.weight.original").flatten(1)
            if name == "he_normal":
                wanted = 2 / (layer.in_channels * math.prod(layer.kernel_size))
                assert original.var().item() == pytest.approx(wanted, rel=0.3)
            # the power iteration, from below; far from it, it would be a multiple
            assert 0.99 < torch.linalg.svdvals(layer.weight.detach().flatten(1))[0] < 1.2


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ConfigError, match=r"net\.init: one of paper, .* Did you mean 'he_normal'"):
        create("resnet18", init="he_norml")
