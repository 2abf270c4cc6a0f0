"""The published U-Net: its sizes, what it sees, and that what it answers depends on no padding."""

import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.architectures.unet_2015 import lattice, nearest_length
from convivo.errors import ConfigError, ShapeError
from convivo.layers import Conv, Dropout, UpConv
from convivo.planning.receptive_field import FieldTracker, receptive_field

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
EXTRA = (4, 0, 8)  # unequal axes find those that were swapped


def small(dims, levels=3, **options):
    torch.manual_seed(0)
    shared = {"spatial_dims": dims, "in_channels": 2, "num_classes": 3, "channels": 4}
    return create("unet_2015", **shared, levels=levels, **options)


def noise(*size, seed=1):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


class ContractingPath(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.features(x)[-1]


def test_the_paper_s_sizes():
    with torch.device("meta"):
        net = create("unet_2015", num_classes=2)
        answer = net(torch.empty(1, 1, 572, 572))
        levels = net.features(torch.empty(1, 1, 572, 572))
    assert answer.shape == (1, 2, 388, 388)
    assert net.margin == (92, 92)
    assert [tuple(level.shape[1:]) for level in levels] == [
        (64, 568, 568), (128, 280, 280), (256, 136, 136), (512, 64, 64), (1024, 28, 28),
    ]  # fmt: skip
    assert net.feature_channels == (64, 128, 256, 512, 1024)
    assert net.feature_strides == ((1, 1), (2, 2), (4, 4), (8, 8), (16, 16))


@DIMS
def test_the_bottom_sees_140_samples_and_moves_by_16(dims):
    with torch.device("meta"):
        path = ContractingPath(create("unet_2015", spatial_dims=dims))
        x = torch.empty(1, 1, *(188,) * dims)
    assert receptive_field(path, (1, *(188,) * dims)) == (140,) * dims
    tracker = FieldTracker()
    tracker.start(x)
    with tracker:
        reach = tracker.mark(path(x)).reach
    assert [(r.advance, r.period) for r in reach] == [(16, 1)] * dims


@pytest.mark.parametrize("levels", [2, 3, 4, 5])
@pytest.mark.parametrize("more", [0, 1, 3])
def test_every_size_it_takes_halves_evenly_and_loses_the_margin(levels, more):
    step, margin, least = lattice(levels)
    with torch.device("meta"):
        net = small(1, levels)
        length = least + more * step
        grids = [level.shape[2] for level in net.features(torch.empty(1, 2, length))]
        answer = net(torch.empty(1, 2, length))
    assert all(n % 2 == 0 for n in grids[:-1])
    assert answer.shape[2] == length - 2 * margin == net.output_size((length,))[0]


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_no_size_between_or_below_would_do(levels):
    step, margin, least = lattice(levels)
    assert least - step <= 2 * margin
    net = small(1, levels).to("meta")
    taken = [n for n in range(1, least + 2 * step) if nearest_length(n, levels) == n]
    assert taken == [least, least + step]
    for n in set(range(least, least + step)) - set(taken):
        with pytest.raises(ShapeError, match=f"axes of {least} \\+ {step} k samples; got size"):
            net.check_size((n,))


def test_another_size_is_refused_with_the_nearest_one():
    net = small(2, 5)
    assert net.nearest_size((512, 100)) == (508, 188)
    with pytest.raises(ShapeError, match=r"got size \(512, 100\). Mirror, .* to \(508, 188\)"):
        net(torch.ones(1, 2, 512, 100))
    with pytest.raises(ShapeError, match=r"unet_2015: every pooling must halve its grid"):
        small(2, 5, input_size=(256, 256))


@DIMS
def test_a_shifted_input_gives_the_shifted_answer(dims):
    net = small(dims).eval()
    size = tuple(52 + n for n in EXTRA[:dims])
    x = noise(1, 2, *size)
    whole = net(x)
    for axis in range(dims):
        part = net(x.narrow(2 + axis, 4, size[axis] - 4))
        expected = whole.narrow(2 + axis, 4, part.shape[2 + axis])
        torch.testing.assert_close(part, expected, atol=1e-5, rtol=1e-5)


@DIMS
def test_crops_are_of_the_middle(dims):
    """Mirroring every kernel and the input mirrors the answer; a crop off the middle would not."""
    net, twin = small(dims).eval(), small(dims).eval()
    axes = tuple(range(2, 2 + dims))
    with torch.no_grad():
        for layer in twin.modules():
            if isinstance(layer, Conv | UpConv):
                layer.weight.copy_(layer.weight.flip(axes))
    x = noise(1, 2, *(48 + n for n in EXTRA[:dims]))
    torch.testing.assert_close(twin(x.flip(axes)), net(x).flip(axes), atol=1e-5, rtol=1e-5)


def test_dropout_is_at_the_end_of_the_contracting_path_only():
    net = small(2, 4)
    places = [name for name, layer in net.named_modules() if isinstance(layer, Dropout)]
    assert places == ["encoder.2.4", "encoder.3.4"]
    x = noise(1, 2, 92, 92)
    torch.manual_seed(0)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))
    still = small(2, 4, dropout=0.0)
    assert not [layer for layer in still.modules() if isinstance(layer, Dropout)]


def test_starting_weights_have_he_s_spread():
    net = create("unet_2015", spatial_dims=2, levels=3, channels=64)
    first, deep, up = net.encoder[1][0], net.encoder[2][2], net.ups[1]
    assert first.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.03)
    assert deep.weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.03)
    assert up.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.03)
    assert not any(p.any() for name, p in net.named_parameters() if name.endswith("bias"))


@DIMS
def test_every_parameter_learns_in_float32_and_bf16(dims):
    net = small(dims)
    x = noise(2, 2, *(48 + n for n in EXTRA[:dims]))
    net(x).square().mean().backward()
    assert not [name for name, p in net.named_parameters() if not p.grad.any()]
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(x).float().square().mean()
    loss.backward()
    assert loss.isfinite()


@DIMS
def test_the_exported_program_answers_alike(dims):
    net = small(dims).eval()
    x = noise(1, 2, *(44 + n for n in EXTRA[:dims]))
    program = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(program(x), net(x))


@pytest.mark.parametrize("options", [{"levels": 1}, {"levels": 2, "channels": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigError, match=r"net.levels: two levels or more, .* more; got levels="):
        create("unet_2015", **options)
    with pytest.raises(ConfigError, match=r"the probability lies in \[0, 1\); got 1.0"):
        create("unet_2015", levels=2, dropout=1.0)
