"""The order of axes in memory: a rule, which the plan keeps, and no change of any number."""

import pytest
import torch
from torch import nn

import convivo
from convivo.planning.conv_layer import WIDE, lane
from convivo.planning.tile_kernels import has_tiles
from convivo.training.memory_layout import laid_out, memory_layout
from convivo.training.state import State, load_state, save_state

WIDE_ALONE = pytest.mark.skipif(lane() != WIDE or has_tiles(), reason="a rule for AVX-512 alone")


def rule(name, shape, batch, **more):
    with torch.device("meta"):
        net = convivo.create(
            name, spatial_dims=len(shape) - 1, in_channels=shape[0], input_size=shape[1:],
            num_classes=2, **more,
        )  # fmt: skip
    return memory_layout(net, shape, batch)


@WIDE_ALONE
def test_wide_images_lie_channels_last():
    assert rule("resnet18", (3, 224, 224), 8) == "channels_last"
    assert rule("densenet121", (3, 64, 64), 16, width=0.5) == "channels_last"


@pytest.mark.parametrize(
    ("name", "shape", "batch"),
    [
        ("resnet18", (3, 64, 64), 2),  # more weights than values: they are turned at each step
        ("resnet18", (12, 1000), 32),
        ("resnet18", (1, 32, 32, 32), 4),
        ("unet", (1, 128, 128), 8),  # instance norm looks at one channel after the other
        ("lenet5", (1, 32, 32), 128),  # six channels fill no block
    ],
)
def test_others_stay_in_the_usual_order(name, shape, batch):
    assert rule(name, shape, batch) == "contiguous"


def test_the_order_changes_no_weight_and_hardly_an_answer():
    torch.manual_seed(1)
    net = convivo.create("resnet18", in_channels=3, num_classes=2, width=0.25).eval()
    x = torch.randn(2, 3, 40, 40)
    before, weights = net(x), {name: t.clone() for name, t in net.state_dict().items()}
    last = laid_out(net, "channels_last")
    assert last.get_parameter("conv1.weight").is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(t, weights[name]) for name, t in last.state_dict().items())
    assert torch.allclose(last(x), before, atol=1e-5)
    assert laid_out(net, "contiguous") is net


@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD])
def test_a_resumed_optimizer_goes_on_to_the_same_bits(make, tmp_path):
    """Saved in the usual order, its moments lie as the weights do again."""
    options = {"momentum": 0.9} if make is torch.optim.SGD else {}

    def fresh():
        torch.manual_seed(3)
        net = laid_out(nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3)), "channels_last")
        return State(network=net, optimizer=make(net.parameters(), lr=0.1, fused=True, **options))

    def steps(state, count):
        images = torch.randn(4, 3, 9, 8, generator=torch.Generator().manual_seed(7))
        for _ in range(count):
            state.zero_grad()
            state.network(images).square().mean().backward()
            state.optimizer.step()
        return [weight.detach().clone() for weight in state.network.parameters()]

    first, resumed = fresh(), fresh()
    steps(first, 2)
    save_state(tmp_path / "state.safetensors", first)
    load_state(tmp_path / "state.safetensors", resumed)
    assert all(map(torch.equal, steps(resumed, 2), steps(first, 2)))
