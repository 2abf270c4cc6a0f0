"""Densely connected networks: every layer of a block sees the outputs of all layers before it.

The state dict has the layout of the widely published weights (features.conv0,
features.denseblock1.denselayer1.norm1, features.transition1.conv, classifier).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.architectures.blocks import (
    Stem,
    check_least,
    check_network_input,
    initialise,
    plan_stem,
    scaled,
)
from convivo.errors import ConfigError
from convivo.geometry import Axes
from convivo.layers import Conv, Dropout, GlobalPool, Norm, Pool, activation
from convivo.layers.recompute import recomputed

# the paper's 1 x 1 convolutions give four times the growth rate
BOTTLENECK = 4
# norm.1 -> norm1 and the like, which the oldest published files still have
OLD_KEY = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all layers of one network have alike; growth_rate is the paper's k."""

    spatial_dims: int
    growth_rate: int
    dropout: float
    memory_efficient: bool

    def conv(self, ins: int, outs: int, kernel: int, stride: int | Axes = 1) -> Conv:
        """A convolution without bias, since a normalisation follows, or has come before."""
        sizes = {"stride": stride, "padding": kernel // 2}
        return Conv(ins, outs, kernel, spatial_dims=self.spatial_dims, bias=False, **sizes)

    def normalise(self, channels: int) -> Norm:
        return Norm(channels, spatial_dims=self.spatial_dims)


class DenseLayer(nn.Module):
    """Norm, ReLU, 1 per axis; norm, ReLU, 3 per axis: k new channels from all there are.

    Shape: a list of tensors (N, C_i, *S) with C = sum of C_i -> (N, k, *S).
    """

    def __init__(self, ins: int, recipe: Recipe) -> None:
        super().__init__()
        inner = BOTTLENECK * recipe.growth_rate
        self.norm1 = recipe.normalise(ins)
        self.relu1 = activation("relu")
        self.conv1 = recipe.conv(ins, inner, 1)
        self.norm2 = recipe.normalise(inner)
        self.relu2 = activation("relu")
        self.conv2 = recipe.conv(inner, recipe.growth_rate, 3)
        self.dropout = Dropout(recipe.dropout) if recipe.dropout else nn.Identity()
        self.recompute = recipe.memory_efficient

    def _grow(self, *earlier: Tensor) -> Tensor:
        x = self.conv1(self.relu1(self.norm1(torch.cat(earlier, dim=1))))
        return self.conv2(self.relu2(self.norm2(x)))

    def forward(self, earlier: list[Tensor]) -> Tensor:
        if self.recompute:
            return self.dropout(recomputed(self._grow, *earlier, part=self))
        return self.dropout(self._grow(*earlier))


class DenseBlock(nn.Sequential):
    """Layers that each append k channels: (N, C, *S) -> (N, C + count * k, *S)."""

    def __init__(self, count: int, ins: int, recipe: Recipe) -> None:
        super().__init__()
        for i in range(count):
            layer = DenseLayer(ins + i * recipe.growth_rate, recipe)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, input: Tensor) -> Tensor:
        outputs = [input]
        for layer in self:
            outputs.append(layer(outputs))
        return torch.cat(outputs, dim=1)


class Transition(nn.Module):
    """Norm, ReLU, half the channels, half the grid: (N, C, *S) -> (N, C // 2, *S // 2)."""

    def __init__(self, ins: int, recipe: Recipe) -> None:
        super().__init__()
        self.norm = recipe.normalise(ins)
        self.relu = activation("relu")
        self.conv = recipe.conv(ins, ins // 2, 1)
        self.pool = Pool(2, kind="avg", spatial_dims=recipe.spatial_dims)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The rectified input, which is the last tensor of its resolution, and the next grid."""
        x = self.relu(self.norm(x))
        return x, self.pool(self.conv(x))


class DenseFeatures(nn.Sequential):
    """Stem, blocks and transitions: (N, C, *S) -> a list of tensors, finest first.

    Each is the last tensor of its resolution behind norm and ReLU: of the stem before its pooling,
    where it has one, then of each block. `last(x)` is the coarsest.
    """

    def forward(self, input: Tensor) -> list[Tensor]:
        outputs, x = [], input
        for part in self:
            if isinstance(part, Transition):
                shown, x = part(x)
                outputs.append(shown)
                continue
            if isinstance(part, Pool):
                outputs.append(x)
            x = part(x)
        return [*outputs, F.relu(x)]

    def last(self, x: Tensor) -> Tensor:
        """The last block's output behind norm and ReLU, what the classifier averages."""
        return self(x)[-1]


class DenseNet(nn.Module):
    """Four dense blocks, the average of the grid, one linear layer.

    Shape: (N, C, *S) -> (N, num_classes). `features` is a module that is called like a method.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        stem: Stem,
        recipe: Recipe,
        *,
        in_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        dims, channels = recipe.spatial_dims, 2 * recipe.growth_rate
        self.in_channels, self.spatial_dims, self.stem = in_channels, dims, stem
        self.least_size: Axes = tuple(7 * s + 1 for s in stem.total_stride)
        self.features = DenseFeatures()
        add = self.features.add_module
        add("conv0", recipe.conv(in_channels, channels, stem.kernel, stem.stride))
        add("norm0", recipe.normalise(channels))
        add("relu0", activation("relu"))
        if stem.pooled:
            add("pool0", Pool(3, stride=stem.stride, padding=1, spatial_dims=dims))
        widths = [channels] if stem.is_level else []
        for i, count in enumerate(blocks, 1):
            add(f"denseblock{i}", DenseBlock(count, channels, recipe))
            channels += count * recipe.growth_rate
            widths.append(channels)
            if i < len(blocks):
                add(f"transition{i}", Transition(channels, recipe))
                channels //= 2
        add("norm5", recipe.normalise(channels))
        self.avgpool = GlobalPool(spatial_dims=dims)
        self.classifier = nn.Linear(channels, num_classes)
        self.feature_channels: tuple[int, ...] = tuple(widths)
        self.feature_strides = stem.strides([2**i for i in range(len(blocks))])

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis cannot be halved three times behind the stem."""
        check_least(size, self.least_size, "densenet", "to have eight behind the stem")

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, "densenet", self.check_size)
        return self.classifier(self.avgpool(self.features.last(x)))

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A published state dict in today's key style, `norm1` where old files say `norm.1`."""
        return {OLD_KEY.sub(r"\1\2", key): tensor for key, tensor in state.items()}


def _build(
    blocks: Sequence[int],
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    growth_rate: int = 32,
    stem: str = "published",
    stem_stride: int | Sequence[int] | None = None,
    dropout: float = 0.0,
    memory_efficient: bool = False,
) -> DenseNet:
    """A DenseNet-BC: bottlenecks, and transitions that halve the channels.

    Top-5 error on ImageNet, one crop: 7.71 (121 layers), 6.85 (169), 6.34 % (201).

    Args:
        growth_rate: the paper's k, channels that each layer adds; times `width`. The stem has 2k.
        stem, stem_stride: how the network begins, as in the residual networks.
        dropout: share dropped of the output of each layer; the paper takes 0.2 without
            augmentation.
        memory_efficient: keep only the k new channels of each layer and compute concatenations and
            bottlenecks again in the backward pass (Pleiss et al. 2017, arXiv:1707.06990); same
            gradients and running averages, more time. A compiled network ignores it.
    Raises:
        ConfigError: a value that an option cannot take.
    Source: Huang et al. 2017, arXiv:1608.06993; starting weights He et al. 2015, arXiv:1502.01852.
    """
    if growth_rate < 1:
        rule = "every layer adds at least one channel"
        raise ConfigError("net.growth_rate", rule, growth_rate, "Give a number such as 32")
    recipe = Recipe(
        spatial_dims=spatial_dims,
        growth_rate=scaled(growth_rate, width),
        dropout=dropout,
        memory_efficient=memory_efficient,
    )
    start = plan_stem(stem, stem_stride, spatial_dims)
    net = DenseNet(blocks, start, recipe, in_channels=in_channels, num_classes=num_classes)
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=(2 / fan) ** 0.5))
    return net


densenet121 = partial(_build, (6, 12, 24, 16))
densenet161 = partial(_build, (6, 12, 36, 24), growth_rate=48)
densenet169 = partial(_build, (6, 12, 32, 32))
densenet201 = partial(_build, (6, 12, 48, 32))
