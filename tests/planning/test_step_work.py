"""What a step has to do: counted on fake tensors as on real ones, by hand where that is easy."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convivo.layers import Conv, UpConv
from convivo.planning.step import make_optimizer, prediction_step, training_step
from convivo.planning.step_time import step_work
from convivo.planning.trace import trace
from convivo.planning.work import Tally, watched, work_done

SIZES = {1: (9,), 2: (7, 9), 3: (5, 7, 9)}


def found(tally, kind):
    return [item for item, count in tally.work.items() for _ in range(count) if item.kind == kind]


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_the_three_convolutions_of_a_training_step(spatial_dims):
    conv = Conv(4, 6, 3, spatial_dims=spatial_dims, padding=1)
    x = torch.randn(2, 4, *SIZES[spatial_dims], requires_grad=True)
    tally = work_done(lambda: conv(x).sum().backward())
    (forward,), (data,), (weight,) = (
        found(tally, f"conv_{kind}") for kind in ("forward", "data", "weight")
    )
    positions = 2 * x[0, 0].numel()
    assert forward.positions == data.positions == weight.positions == positions
    assert forward.channels == (4, 6)
    assert forward.kernel[-spatial_dims:] == (3,) * spatial_dims
    flops = 2 * positions * 4 * 6 * 3**spatial_dims
    assert forward.flops == data.flops == weight.flops == flops
    assert forward.bytes == 4 * 4 * 6 * 3**spatial_dims


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_a_transposed_convolution_counts_as_the_gradient_of_its_twin(spatial_dims):
    up = UpConv(4, 6, 2, spatial_dims=spatial_dims, stride=2)
    x = torch.randn(1, 4, *SIZES[spatial_dims])
    (item,) = found(work_done(lambda: up(x)), "conv_data")
    assert item.channels == (6, 4)
    assert item.positions == x[0, 0].numel()


def test_groups_share_the_channels():
    conv = nn.Conv2d(8, 12, 3, groups=4)
    (item,) = found(work_done(lambda: conv(torch.randn(1, 8, 7, 9))), "conv_forward")
    assert (item.channels, item.groups, item.positions) == ((2, 3), 4, 35)


def test_products_of_matrices_and_bytes_of_sums():
    layer = nn.Linear(10, 6)
    tally = work_done(lambda: layer(torch.ones(3, 10)))
    assert [item.flops for item in found(tally, "matmul")] == [2 * 3 * 10 * 6]
    a = torch.ones(100)
    (item,) = work_done(lambda: a + a).work
    assert (item.kind, item.bytes, item.precision) == ("elementwise", 3 * 400, "fp32")


def test_pooling_counts_what_its_windows_look_at():
    x = torch.randn(1, 2, 8, 8)
    (item,) = found(work_done(lambda: F.max_pool2d(x, 3, stride=2)), "max_pool")
    assert item.bytes == 4 * 2 * 3 * 3 * 9


def test_views_and_empty_tensors_are_no_work():
    x = torch.randn(4, 6)
    tally = work_done(lambda: (x.view(24), x.t(), torch.empty(5)))
    assert not tally.work
    assert tally.called == 3


def test_fake_tensors_have_the_work_of_real_ones():
    def net():
        return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
                             nn.Linear(4 * 5 * 7, 3))  # fmt: skip

    def loss(network, images, targets):
        return F.cross_entropy(network(images), targets)

    step, shape = training_step(loss), (2, 2, 7, 9)
    real, fake, live = Tally(), Tally(), net()
    given = (torch.randn(shape), torch.zeros(2, dtype=torch.long))
    once = watched(step, real)
    optimizer = make_optimizer("momentum")(live)
    for _ in range(2):
        once(live, optimizer, given)
    shapes = [(shape, torch.float32), ((2,), torch.int64)]
    trace(net(), watched(step, fake), shapes, optimizer=make_optimizer("momentum"))
    for kind in ("conv_forward", "conv_weight", "matmul", "norm", "norm_backward", "update"):
        assert found(real, kind) == found(fake, kind) != [], kind
    assert real.handled == fake.handled == 6


def test_the_tape_replays_what_python_called():
    net, shape = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Tanh(), nn.Conv1d(2, 2, 3)), (1, 9)
    train = step_work(net, shape, 2)
    infer = step_work(net, shape, 2, mode="infer")
    assert infer.replayed == infer.handled == 0
    assert train.replayed > 0
    assert not found(infer, "conv_weight")
    assert len(found(train, "conv_weight")) == 2
    assert len(found(train, "conv_data")) == 1  # the input needs no gradient


def test_autocast_is_seen_in_the_number_format():
    net = nn.Conv2d(2, 4, 3)
    tally = Tally()
    step = watched(prediction_step("bf16"), tally, number=1)
    trace(net, step, [((1, 2, 7, 9), torch.float32)], steps=1)
    assert [item.precision for item in found(tally, "conv_forward")] == ["bf16"]


def test_inference_mode_hides_nothing():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(140, 3))
    tally = step_work(net.eval(), (2, 7, 9), 1, mode="infer")
    assert {item.kind for item in tally.work} >= {"conv_forward", "norm", "matmul"}
