"""Every network of the registry in a small form, for the tests of what all of them promise."""

import pytest
import torch

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create

CLASSES = 3
SIZE = (24, 16, 40)
# networks that need more samples than that, or other numbers of them
SIZES = {
    "alexnet": (64, 65, 66),
    "vgg": (32, 33, 35),
    "googlenet": (32, 33, 40),
    "densenet": (32, 33, 40),
    "fcn": (32, 33, 40),
    "segnet": (32, 33, 40),
    "unet_2015": (44, 48, 56),
    "lenet5_1998": (16, 17, 19),
    "dcgan": (16, 16, 32),
}
WIDTHS = {"alexnet": 1 / 32, "vgg": 1 / 32, "fcn": 1 / 32, "lenet5_1998": 1.0, "dcgan": 1 / 16}
SETTINGS = {"unet_2015": {"levels": 3, "dropout": 0.0}}
# the blocks of their smaller kin, only more of them
DEEP = (
    *("vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("resnet101", "resnet152", "resnext101_32x8d", "densenet161", "densenet169", "densenet201"),
)
EVERY = pytest.mark.parametrize(
    ("name", "dims"),
    [(name, dims) for name in ARCHITECTURES for dims in (1, 2, 3) if dims == 2 or name not in DEEP],
)


def _own(table, name, default):
    """The entry of the network, or of its family."""
    keys = [key for key in table if name.startswith(key)]
    return table[max(keys, key=len)] if keys else default


def size_of(name, dims):
    return _own(SIZES, name, SIZE)[:dims]


def small(name, dims, seed=0, **settings):
    torch.manual_seed(seed)
    return create(
        name,
        spatial_dims=dims,
        in_channels=2,
        num_classes=CLASSES,
        input_size=size_of(name, dims),
        width=_own(WIDTHS, name, 0.125),
        **_own(SETTINGS, name, {}),
        **settings,
    )


def batch(name, dims, count=2):
    """A batch of inputs; for a network that generates, of latent vectors."""
    generator = torch.Generator().manual_seed(1)
    if "generate" in ARCHITECTURES[name].tasks:
        return torch.randn(count, 100, generator=generator)
    return torch.randn(count, 2, *size_of(name, dims), generator=generator)


def output_shape(name, dims, net):
    size = size_of(name, dims)
    task = ARCHITECTURES[name].tasks[0]
    if hasattr(net, "output_size"):
        size = net.output_size(size)
    return {
        "classify": (2, CLASSES),
        "segment": (2, CLASSES, *size),
        "reconstruct": (2, 2, *size),
        "generate": (2, 2, *size),
    }[task]


def whole_pass(name, net, x):
    """The output, through all parameters: what is generated is judged as well."""
    return net(net(x)) if "generate" in ARCHITECTURES[name].tasks else net(x)
