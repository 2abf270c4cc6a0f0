"""Weights for another number of axes give the same answer wherever the docs say so."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from convivo.architectures.create import create
from convivo.architectures.inflation import INFLATIONS, fit_linear, replicate_new_axes, shares
from convivo.architectures.pretrained import load_pretrained
from convivo.errors import ConfigError, UsageError
from convivo.layers import AdaptivePool, Conv, Norm, Pool, ResizeConv, UpConv, activation

CLASSIFIERS = (
    "lenet5", "alexnet", "vgg11_bn", "googlenet", "resnet18", "resnext50_32x4d", "densenet121"
)  # fmt: skip
SEGMENTERS = (("fcn8s", 32), ("unet", 24))
SIZE = (64, 72)
HOW = pytest.mark.parametrize("how", INFLATIONS)


class Stack(nn.Module):
    """Layers of every kind that weights of other dimensions go into."""

    def __init__(self, dims, *, mode="zeros", step=None, up=True):
        super().__init__()
        self.spatial_dims, self.in_channels = dims, 2
        shared = {"spatial_dims": dims, "padding_mode": mode}
        step = 2 if step is None else step
        layers = [
            Conv(2, 4, 5, padding=2, **shared), activation("relu"),
            Conv(4, 6, 3, padding="same", stride=step, groups=2, **shared), activation("tanh"),
            Conv(6, 4, 3, padding=2, dilation=2, **shared), activation("relu"),
        ]  # fmt: skip
        if up:
            layers += [UpConv(4, 4, 2, spatial_dims=dims), activation("tanh")]
            layers += [UpConv(4, 4, 4, stride=2, padding=1, spatial_dims=dims)]
            layers += [ResizeConv(4, 4, 3, 2, spatial_dims=dims)]
        self.layers = nn.Sequential(*layers, Conv(4, 3, 1, spatial_dims=dims))

    def forward(self, x):
        return self.layers(x)


def small(name, dims, seed=0, **options):
    """A small network in double precision, its running averages and scales not the trivial ones."""
    torch.manual_seed(seed)
    settings = {"in_channels": 3, "num_classes": 5, "width": 0.0625} | options
    if name == "lenet5":
        settings = settings | {"input_size": ((64, *SIZE) if dims == 3 else SIZE)[-dims:]}
    net = create(name, spatial_dims=dims, **settings).double().eval()
    for layer in net.modules():
        if isinstance(layer, Norm) and layer.kind == "batch":
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
    return net


def put(net, other, path, **options):
    save_file(dict(other.state_dict()), path / "weights.safetensors")
    return load_pretrained(net, path / "weights.safetensors", **options)


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)


def agree(found, expected):
    scale = expected.abs().max().item()
    assert expected.std() > 1e-3 * scale > 0  # the answer says something
    torch.testing.assert_close(found, expected.expand_as(found), rtol=0, atol=1e-9 * scale)


@HOW
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_answer_a_constant_volume_as_its_image(name, how, tmp_path):
    flat, deep = small(name, 2), small(name, 3, seed=1)
    put(deep, flat, tmp_path, inflation=how)
    x = image(1, 3, *SIZE)
    agree(deep(x.unsqueeze(2).expand(-1, -1, 64, -1, -1)), flat(x))


@HOW
@pytest.mark.parametrize(("name", "depth"), SEGMENTERS)
def test_segmenters_answer_a_constant_volume_as_its_image(name, depth, how, tmp_path):
    flat, deep = small(name, 2), small(name, 3, seed=1)
    put(deep, flat, tmp_path, inflation=how)
    x = image(1, 3, *SIZE)
    agree(deep(x.unsqueeze(2).expand(-1, -1, depth, -1, -1)), flat(x).unsqueeze(2))


@HOW
@pytest.mark.parametrize("depth", [1, 2, 7])
def test_all_kinds_of_layers_on_short_and_odd_axes(how, depth, tmp_path):
    flat, deep = Stack(2).double(), Stack(3).double()
    put(deep, flat, tmp_path, inflation=how)
    x = image(2, 2, 9, 11)
    agree(deep(x.unsqueeze(2).expand(-1, -1, depth, -1, -1)), flat(x).unsqueeze(2))


def test_mean_needs_its_padding_and_centre_none(tmp_path):
    flat, deep = Stack(2, up=False).double(), Stack(3, up=False).double()
    put(deep, flat, tmp_path, inflation="mean")
    convs = [layer for layer in deep.modules() if isinstance(layer, Conv)]
    assert {layer.padding_mode for layer in convs} == {("replicate", "zeros", "zeros")}
    x = image(2, 2, 9, 11)
    for layer in convs:
        layer.set_padding_mode("zeros")
    wrong = deep(x.unsqueeze(2).expand(-1, -1, 7, -1, -1)) - flat(x).unsqueeze(2)
    assert wrong.abs().max() > 1e-3
    put(deep, flat, tmp_path, inflation="centre")
    assert {layer.padding_mode for layer in convs} == {("zeros", "zeros", "zeros")}


def test_centre_gives_each_slice_the_answer_of_its_image(tmp_path):
    flat, deep = Stack(2, up=False).double(), Stack(3, up=False, step=(1, 2, 2)).double()
    put(deep, flat, tmp_path)
    x = image(2, 2, 7, 9, 11)
    agree(deep(x), torch.stack([flat(x[:, :, i]) for i in range(7)], 2))


def circular_rows(net):
    """Pad the first axis by going round, as an input that does not change along it wants."""
    for layer in net.modules():
        if isinstance(layer, Conv):
            layer.set_padding_mode(["circular", *layer.padding_mode[1:]])
    return net


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_summed_to_signals(name, tmp_path):
    flat, line = circular_rows(small(name, 2)), small(name, 1, seed=1)
    put(line, flat, tmp_path)
    x = image(2, 3, SIZE[1])
    agree(line(x), flat(x.unsqueeze(2).expand(-1, -1, SIZE[0], -1)))


@pytest.mark.parametrize("mode", ["circular", "replicate", "reflect", "symmetric"])
def test_convolutions_summed_are_exact_where_the_padding_is_constant(mode, tmp_path):
    flat, line = Stack(2, mode=mode, up=False).double(), Stack(1, mode=mode, up=False).double()
    put(line, flat, tmp_path)
    x = image(2, 2, 11)
    agree(flat(x.unsqueeze(2).expand(-1, -1, 9, -1)), line(x).unsqueeze(2))


@HOW
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "resnet18", "unet"])
def test_a_sum_undoes_an_inflation(name, how, tmp_path):
    flat, deep, back = small(name, 2), small(name, 3, seed=1), small(name, 2, seed=2)
    put(deep, flat, tmp_path, inflation=how)
    put(back, deep, tmp_path)
    for key, tensor in flat.state_dict().items():
        torch.testing.assert_close(back.state_dict()[key], tensor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_two_axes_at_once(name, tmp_path):
    line, deep, again = small(name, 1), small(name, 3, seed=1), small(name, 1, seed=2)
    put(deep, line, tmp_path)
    x = image(1, 3, 64)
    agree(deep(x[:, :, None, None].expand(-1, -1, 63, 63, -1)), line(x))
    put(again, deep, tmp_path)
    agree(again(x), line(x))


def test_mean_of_signals_is_refused(tmp_path):
    rule = r"mean inflation is for weights of images, of 2 axes; got weights of 1\. Use"
    with pytest.raises(UsageError, match=rule):
        put(Stack(3), Stack(1), tmp_path, inflation="mean")


def test_linear_layers_behind_a_grid_of_another_side_are_not_guessed():
    weight = torch.ones(5, 2 * 7)
    assert fit_linear(weight, 1, 2, 2, 2 * 50, "mean") is None
    assert fit_linear(weight, 1, 2, 3, 3 * 49, "mean") is None
    assert fit_linear(weight, 2, 1, 2, 2 * 49, "mean") is None


@HOW
@pytest.mark.parametrize("taps", [1, 2, 3, 6, 7])
def test_shares_sum_to_one(how, taps):
    assert shares(taps, how, torch.ones(1)).sum() == pytest.approx(1)


def test_only_mean_changes_a_network_and_only_of_volumes():
    for dims, how in ((1, "mean"), (2, "mean"), (3, "centre")):
        net = Stack(dims)
        replicate_new_axes(net, how)
        modes = {
            m for layer in net.modules() if isinstance(layer, Conv) for m in layer.padding_mode
        }
        assert modes == {"zeros"}, (dims, how)


def test_unknown_inflations_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"net\.inflation: .*'center'\. Did you mean 'centre'"):
        put(Stack(3), Stack(2), tmp_path, inflation="center")
    with pytest.raises(ConfigError, match=r"net\.inflation: .*'men'\. Did you mean 'mean'"):
        replicate_new_axes(Stack(3), "men")


def test_pools_of_other_grids_do_not_disturb(tmp_path):
    """A grid before linear layers is found by its channels, whatever pools to it."""

    class Headed(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.in_channels, self.spatial_dims = 2, dims
            self.conv = Conv(2, 3, 3, padding=1, spatial_dims=dims)
            self.pool = nn.Sequential(
                Pool(2, spatial_dims=dims), AdaptivePool(4, spatial_dims=dims)
            )
            self.hidden, self.out = nn.Linear(3 * 4**dims, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.out(self.hidden(self.pool(self.conv(x)).flatten(1)))

    x = image(2, 2, 9, 11)
    for how in INFLATIONS:
        flat, deep = Headed(2).double(), Headed(3).double()
        put(deep, flat, tmp_path, inflation=how)
        agree(deep(x.unsqueeze(2).expand(-1, -1, 13, -1, -1)), flat(x))
