"""Residual networks: blocks that add to their input what they compute.

The state dict has the layout of the widely published weights (conv1, bn1, layer1.0.conv1,
layer1.0.downsample.0, fc), so that in two dimensions these load unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from convivo.architectures.blocks import Stem, check_least, check_network_input, plan_stem, scaled
from convivo.errors import ConfigError
from convivo.geometry import Axes
from convivo.layers import Conv, Dropout, GlobalPool, Norm, Pool, activation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all blocks of one network have alike.

    groups, group_width: of the middle convolution of a bottleneck in the first stage (ResNeXt).
    """

    spatial_dims: int
    norm: str
    shortcuts: bool
    groups: int = 1
    group_width: int = 64

    def conv(
        self, ins: int, outs: int, kernel: int, stride: int | Axes = 1, groups: int = 1
    ) -> Conv:
        """A convolution without bias, since a normalisation follows."""
        return Conv(
            ins,
            outs,
            kernel,
            spatial_dims=self.spatial_dims,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )

    def normalise(self, channels: int) -> Norm:
        return Norm(channels, self.norm, spatial_dims=self.spatial_dims)

    def downsample(self, ins: int, outs: int, stride: int) -> nn.Sequential | None:
        """The projection of a shortcut, where the block changes the shape."""
        if not self.shortcuts or (stride == 1 and ins == outs):
            return None
        return nn.Sequential(self.conv(ins, outs, 1, stride), self.normalise(outs))


class BasicBlock(nn.Module):
    """Two convolutions of 3 per axis, then the shortcut is added."""

    expansion = 1

    def __init__(self, ins: int, channels: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        self.conv1 = recipe.conv(ins, channels, 3, stride)
        self.bn1 = recipe.normalise(channels)
        self.relu = activation("relu")
        self.conv2 = recipe.conv(channels, channels, 3)
        self.bn2 = recipe.normalise(channels)
        self.downsample = recipe.downsample(ins, channels, stride)
        self.shortcuts = recipe.shortcuts

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.shortcuts:
            out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1, 3, 1 per axis, the middle one with a quarter of the channels.

    Differs from the paper: the stride is in the middle convolution, as in the published weights,
    so that no sample is skipped.
    """

    expansion = 4

    def __init__(self, ins: int, channels: int, stride: int, recipe: Recipe) -> None:
        super().__init__()
        outs = channels * self.expansion
        inner = scaled(channels, recipe.group_width / 64) * recipe.groups
        self.conv1 = recipe.conv(ins, inner, 1)
        self.bn1 = recipe.normalise(inner)
        self.conv2 = recipe.conv(inner, inner, 3, stride, recipe.groups)
        self.bn2 = recipe.normalise(inner)
        self.conv3 = recipe.conv(inner, outs, 1)
        self.bn3 = recipe.normalise(outs)
        self.relu = activation("relu")
        self.downsample = recipe.downsample(ins, outs, stride)
        self.shortcuts = recipe.shortcuts

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.shortcuts:
            out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


Block = type[BasicBlock] | type[Bottleneck]


def _stage(
    block: Block, count: int, ins: int, channels: int, stride: int, recipe: Recipe
) -> nn.Sequential:
    first: nn.Module = block(ins, channels, stride, recipe)
    rest = [block(channels * block.expansion, channels, 1, recipe) for _ in range(count - 1)]
    return nn.Sequential(first, *rest)


class ResNet(nn.Module):
    """A stem, four stages of blocks, the average of the grid, one linear layer.

    Shape: (N, C, *S) -> (N, num_classes). `total_stride` is the step of the last grid per axis.
    """

    where: ClassVar[str] = "resnet"

    def __init__(
        self,
        block: Block,
        blocks: Sequence[int],
        recipe: Recipe,
        stem: Stem,
        *,
        in_channels: int,
        num_classes: int,
        width: float,
        dropout: float,
    ) -> None:
        super().__init__()
        dims, channels = recipe.spatial_dims, [scaled(c, width) for c in (64, 128, 256, 512)]
        self.in_channels, self.spatial_dims, self.stem = in_channels, dims, stem
        self.least_size: Axes = tuple(s + 1 for s in stem.total_stride)
        self.conv1 = recipe.conv(in_channels, channels[0], stem.kernel, stem.stride)
        self.bn1 = recipe.normalise(channels[0])
        self.relu = activation("relu")
        pool = Pool(3, stride=stem.stride, padding=1, spatial_dims=dims)
        self.maxpool = pool if stem.pooled else nn.Identity()
        outs = [c * block.expansion for c in channels]
        self.layer1 = _stage(block, blocks[0], channels[0], channels[0], 1, recipe)
        self.layer2 = _stage(block, blocks[1], outs[0], channels[1], 2, recipe)
        self.layer3 = _stage(block, blocks[2], outs[1], channels[2], 2, recipe)
        self.layer4 = _stage(block, blocks[3], outs[2], channels[3], 2, recipe)
        self.avgpool = GlobalPool(spatial_dims=dims)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.fc = nn.Linear(outs[3], num_classes)
        self.feature_channels = (*channels[: stem.is_level], *outs)
        self.feature_strides = stem.strides((1, 2, 4, 8))
        self.total_stride: Axes = self.feature_strides[-1]

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis has no two samples left behind the stem."""
        check_least(size, self.least_size, self.where, "to have two behind the stem")

    def features(self, x: Tensor) -> list[Tensor]:
        """The last tensor at each resolution: of the stem if it pools, and of the four stages."""
        x = self.relu(self.bn1(self.conv1(x)))
        outputs = [x] if self.stem.is_level else []
        x = self.maxpool(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            outputs.append(x)
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, self.where, self.check_size)
        return self.fc(self.dropout(self.avgpool(self.features(x)[-1])))


def start(net: ResNet, zero_init: bool) -> None:
    """He's normal weights scaled by the outputs; the linear layer keeps torch's, as published."""
    for layer in net.modules():
        if isinstance(layer, Conv):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if zero_init and isinstance(layer, BasicBlock | Bottleneck):
            last = layer.bn2 if isinstance(layer, BasicBlock) else layer.bn3
            if last.weight is None or not layer.shortcuts:
                rule = "zero_init needs shortcuts and a norm, or the network is zero"
                got = f"norm={last.kind!r}, shortcuts={layer.shortcuts}"
                raise ConfigError("net.zero_init", rule, got, "Leave zero_init out")
            nn.init.zeros_(last.weight)


def _build(
    block: Block,
    blocks: Sequence[int],
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    stem: str = "published",
    stem_stride: int | Sequence[int] | None = None,
    norm: str = "batch",
    dropout: float = 0.0,
    shortcuts: bool = True,
    zero_init: bool = False,
) -> ResNet:
    """A residual network; the paper's best, 152 layers, has a top-5 error of 4.49 % on ImageNet.

    Args:
        stem: "published" (kernel 7, stride 2, max pooling), "medium" (kernel 3, stride 2), or
            "small" (kernel 3, stride 1) for inputs under about 64 per axis.
        stem_stride: stride of the stem's convolution, and of its pooling, per axis; 1 on an axis
            with few, thick slices.
        norm: "batch" as published, "instance", "group" or "none".
        dropout: share of the features dropped before the linear layer.
        shortcuts: False leaves the plain network of the paper's figure 6.
        zero_init: start every block as the identity (Goyal et al. 2017, arXiv:1706.02677).
    Raises:
        ConfigError: a value that an option cannot take.
    Source: He et al. 2016, arXiv:1512.03385; starting weights He et al. 2015, arXiv:1502.01852.
    """
    net = ResNet(
        block,
        blocks,
        Recipe(spatial_dims=spatial_dims, norm=norm, shortcuts=shortcuts),
        plan_stem(stem, stem_stride, spatial_dims),
        in_channels=in_channels,
        num_classes=num_classes,
        width=width,
        dropout=dropout,
    )
    start(net, zero_init)
    return net


resnet18 = partial(_build, BasicBlock, (2, 2, 2, 2))
resnet34 = partial(_build, BasicBlock, (3, 4, 6, 3))
resnet50 = partial(_build, Bottleneck, (3, 4, 6, 3))
resnet101 = partial(_build, Bottleneck, (3, 4, 23, 3))
resnet152 = partial(_build, Bottleneck, (3, 8, 36, 3))
