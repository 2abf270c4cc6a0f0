"""ResNeXt: residual networks whose bottlenecks are many narrow ones side by side, summed up.

The parallel paths are one grouped convolution (the paper's figure 3c). The state dict has the
layout of the widely published weights, which is that of `resnet`.
"""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from convivo.architectures.blocks import plan_stem
from convivo.architectures.resnet import Bottleneck, Recipe, ResNet, start
from convivo.errors import ConfigError
from convivo.geometry import Axes


class ResNeXt(ResNet):
    """A residual network of grouped bottlenecks; shape and features as there."""

    where: ClassVar[str] = "resnext"


def _build(
    blocks: Sequence[int],
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    cardinality: int = 32,
    group_width: int = 4,
    stem: str = "published",
    stem_stride: int | Sequence[int] | None = None,
    norm: str = "batch",
    dropout: float = 0.0,
    shortcuts: bool = True,
    zero_init: bool = False,
) -> ResNeXt:
    """An aggregated residual network.

    Top-1 error on ImageNet, one crop: 22.2 % with 50 layers of 32 x 4d (ResNet-50: 23.9 %).

    Args:
        cardinality: how many paths a bottleneck has; kept whatever the `width`.
        group_width: channels of each path in the first stage, doubled by each stage; at least one
            is left of it by `width`.
        stem, stem_stride, norm, dropout, shortcuts, zero_init: as in the residual networks.
    Raises:
        ConfigError: a value that an option cannot take.
    Source: Xie et al. 2017, arXiv:1611.05431; starting weights He et al. 2015, arXiv:1502.01852.
    """
    if min(cardinality, group_width) < 1:
        got = f"cardinality={cardinality}, group_width={group_width}"
        rule = "at least one path of at least one channel"
        raise ConfigError("net.cardinality", rule, got, "Give positive numbers, such as 32 and 4")
    recipe = Recipe(
        spatial_dims=spatial_dims,
        norm=norm,
        shortcuts=shortcuts,
        groups=cardinality,
        group_width=group_width,
    )
    net = ResNeXt(
        Bottleneck,
        blocks,
        recipe,
        plan_stem(stem, stem_stride, spatial_dims),
        in_channels=in_channels,
        num_classes=num_classes,
        width=width,
        dropout=dropout,
    )
    start(net, zero_init)
    return net


resnext50_32x4d = partial(_build, (3, 4, 6, 3))
resnext101_32x8d = partial(_build, (3, 4, 23, 3), group_width=8)
