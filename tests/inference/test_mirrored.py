"""Test-time augmentation: what is the same mirrored is answered the same, mirrored."""

import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.inference.mirrored import Mirrored
from convivo.tasks.classify import Classify
from convivo.tasks.reconstruct import Reconstruct
from convivo.tasks.regress import Regress
from convivo.tasks.segment import Segment

CLASSES = ("a", "b", "c")


def unet(dims, classes=3):
    torch.manual_seed(0)
    net = create("unet", spatial_dims=dims, in_channels=1, num_classes=classes, width=0.125)
    return net.eval()


def images(dims, count=2):
    return torch.randn(count, 1, *(16,) * dims, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("dims", "axes"), [(1, (0,)), (2, (0, 1)), (2, (1,)), (3, (0, 2))])
@pytest.mark.parametrize("task", [Segment(classes=CLASSES), Reconstruct(channels=3)])
def test_answers_turn_with_their_images(dims, axes, task):
    both, x = Mirrored(unet(dims), task, axes), images(dims)
    with torch.inference_mode():
        for axis in axes:
            found, turned = (task.decode(both(i)) for i in (x, x.flip(axis + 2)))
            torch.testing.assert_close(turned.flip(axis + 2), found, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(found, task.decode(both.network(x)), atol=1e-4)


def test_it_is_the_mean_of_the_answers():
    task, net, x = Segment(classes=CLASSES), unet(2), images(2)
    with torch.inference_mode():
        rows = [task.decode(net(x.flip(a))).flip(a) for a in ((), (2,), (3,), (2, 3))]
        found = task.decode(Mirrored(net, task, (0, 1))(x))
    torch.testing.assert_close(found, torch.stack(rows).mean(0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "task",
    [Classify(classes=CLASSES), Classify(classes=CLASSES, several=True), Regress(mean=5, std=3)],
)
def test_rows_of_mirror_images_are_the_same(task):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, task.outputs)).eval()
    both, x = Mirrored(net, task, (0, 1)), images(2)
    with torch.inference_mode():
        found = task.decode(both(x))
        torch.testing.assert_close(task.decode(both(x.flip(2, 3))), found)
        rows = [task.decode(net(x.flip(a))) for a in ((), (2,), (3,), (2, 3))]
    torch.testing.assert_close(found, torch.stack(rows).mean(0), atol=1e-5, rtol=1e-5)


def test_what_a_predictor_asks_for_is_that_of_the_network():
    net = unet(3)
    both = Mirrored(net, Segment(classes=CLASSES), (0,))
    assert both.total_stride == net.total_stride
    assert both.passes == 2
