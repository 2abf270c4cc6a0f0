"""Bodies that rebuild their input: every classifier with convolutions, and what is taken over."""

import pytest
import torch

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.architectures.outline import outlined
from convivo.architectures.rebuilding import Rebuilding
from convivo.errors import UsageError
from convivo.verbs.pretext import carry_over, pretext_network

DIMS = (1, 2, 3)
# one of a family, each in another dimension, is quick
QUICK = {"lenet5": 3, "lenet5_1998": 2, "alexnet": 1, "vgg11": 1, "googlenet": 2, "resnet18": 3}
BODIES = [n for n, entry in ARCHITECTURES.items() if "classify" in entry.tasks and n != "mlp"]
SEGMENTERS = [n for n, entry in ARCHITECTURES.items() if "segment" in entry.tasks]


def marked(name, dims):
    return pytest.param(name, dims, marks=() if QUICK.get(name) == dims else pytest.mark.slow)


@pytest.mark.parametrize(("name", "dims"), [marked(n, d) for n in BODIES for d in DIMS])
def test_every_body_rebuilds_its_input(name, dims):
    size = (32 if name == "lenet5_1998" else 70,) * dims
    words = {"spatial_dims": dims, "in_channels": 2, "num_classes": 3, "width": 0.1}
    with outlined():
        net = Rebuilding(create(name, input_size=size, **words), spatial_dims=dims, in_channels=2)
        assert net(torch.zeros(2, 2, *size)).shape == (2, 2, *size)


def test_the_body_learns_and_its_head_does_not():
    torch.manual_seed(0)
    body = create("resnet18", spatial_dims=1, in_channels=2, num_classes=3, width=0.1)
    net = Rebuilding(body, spatial_dims=1, in_channels=2)
    net(torch.randn(2, 2, 45)).square().mean().backward()
    without = {name for name, p in body.named_parameters() if p.grad is None}
    assert without == {"fc.weight", "fc.bias"}


def test_a_network_without_a_body_is_refused():
    flat = create("mlp", spatial_dims=1, input_size=9)
    message = r"--pretrain: a network whose convolutional body can be told, .*got MLP without feat"
    with pytest.raises(UsageError, match=message):
        Rebuilding(flat, spatial_dims=1, in_channels=1)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenters_keep_all_but_what_answers(name):
    more = {"deep_supervision": True} if name == "unet" else {}
    net = {"name": name, "spatial_dims": 1, "in_channels": 2, "num_classes": 2, "width": 0.1}
    plan = {"task": "segment", "seed": 0, "network": net | {"options": more}}
    first = pretext_network(plan)
    torch.manual_seed(1)
    words = {k: v for k, v in net.items() if k != "name"}
    network = create(name, **words, **more)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        for tensor in first.state_dict().values():
            tensor.add_(1)
    carry_over(first, network)
    learnt = first.state_dict()
    taken = {
        k for k, v in network.state_dict().items() if k in learnt and torch.equal(v, learnt[k])
    }
    left = {k for k, v in network.state_dict().items() if torch.equal(v, before[k])}
    assert {key.partition(".")[0] for key in left} <= {"heads", "head", "score", "skips", "ups"}
    assert taken | left == set(before)
    assert len(taken) > len(left) > 0
