"""Every network at its published size: on shapes alone in every dimension, for real in 2D."""

import pytest
import torch

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create

NAMES = pytest.mark.parametrize("name", ARCHITECTURES)


def full(name, dims):
    counted = ARCHITECTURES[name].counted
    size = (counted["samples_per_axis"],) * dims
    channels, classes = counted["in_channels"], counted["num_classes"]
    net = create(
        name, spatial_dims=dims, in_channels=channels, num_classes=classes, input_size=size
    )
    shape = (2, 100) if "generate" in ARCHITECTURES[name].tasks else (2, channels, *size)
    return net, shape, classes


def expected(name, net, shape, classes):
    task, size = ARCHITECTURES[name].tasks[0], shape[2:]
    if task == "classify":
        return (2, classes)
    if task == "segment":
        return (2, classes, *(net.output_size(size) if hasattr(net, "output_size") else size))
    return shape if task == "reconstruct" else (2, 3, *(64,) * net.generator.plan.spatial_dims)


@NAMES
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_published_size_has_the_right_shapes(name, dims):
    with torch.device("meta"):
        net, shape, classes = full(name, dims)
        assert net(torch.empty(shape)).shape == expected(name, net, shape, classes)


@pytest.mark.slow
@NAMES
def test_published_size_answers_and_learns_in_2d(name):
    torch.manual_seed(0)
    net, shape, classes = full(name, 2)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    out = net(x)
    assert out.shape == expected(name, net, shape, classes)
    assert out.isfinite().all()
    judged = net(out) if "generate" in ARCHITECTURES[name].tasks else out
    judged.square().mean().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
