"""GoogLeNet: modules that look at several scales side by side, and hand all of it on.

The state dict has the layout of the widely published weights (conv1.conv, inception3a.branch2.0.bn,
aux1.fc1, fc), which were trained with batch normalisation.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import check_least, check_network_input, scaled
from convivo.errors import ConfigError
from convivo.geometry import Axes
from convivo.layers import AdaptivePool, Conv, Dropout, GlobalPool, Norm, Pool, activation

# the paper's table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
MODULES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
# parts by the resolution they work at, finest first
LEVELS = (
    ("conv1",),
    ("maxpool1", "conv2", "conv3"),
    ("maxpool2", "inception3a", "inception3b"),
    ("maxpool3", "inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
    ("maxpool4", "inception5a", "inception5b"),
)
# what the auxiliary heads look at
HEADED = ("inception4a", "inception4d")
LEAST = 15  # -> 8 -> 4 -> 2 -> 1 -> 1
# inputs of these means and deviations per channel are brought to (x - 0.5) / 0.5
MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all parts of one network have alike; `branch` is the kernel of the widest branch."""

    spatial_dims: int
    width: float
    branch: int
    naive: bool

    def conv(self, ins: int, outs: int, kernel: int, stride: int = 1) -> nn.Sequential:
        """Convolution, batch normalisation, ReLU; the grid keeps its size but for the stride."""
        dims, pad = self.spatial_dims, kernel // 2
        conv = Conv(ins, outs, kernel, stride=stride, padding=pad, bias=False, spatial_dims=dims)
        norm = Norm(outs, eps=0.001, spatial_dims=dims)
        return nn.Sequential(OrderedDict(conv=conv, bn=norm, relu=activation("relu")))

    def pool(self, window: int) -> Pool:
        """Halves the grid; the last window may hang over its end."""
        return Pool(window, stride=2, ceil_mode=True, spatial_dims=self.spatial_dims)


class Inception(nn.Module):
    """1, 3 and 5 per axis and pooling side by side: the paper's figure 2b, or 2a where `naive`.

    Shape: (N, C, *S) -> (N, out_channels, *S).
    """

    def __init__(self, ins: int, counts: tuple[int, ...], recipe: Recipe) -> None:
        super().__init__()
        one, before3, three, before5, five, projected = (scaled(c, recipe.width) for c in counts)
        conv, widest = recipe.conv, recipe.branch
        pool = Pool(3, stride=1, padding=1, spatial_dims=recipe.spatial_dims)
        self.branch1 = conv(ins, one, 1)
        if recipe.naive:
            self.branch2, self.branch3 = conv(ins, three, 3), conv(ins, five, widest)
            self.branch4 = pool
        else:
            self.branch2 = nn.Sequential(conv(ins, before3, 1), conv(before3, three, 3))
            self.branch3 = nn.Sequential(conv(ins, before5, 1), conv(before5, five, widest))
            self.branch4 = nn.Sequential(pool, conv(ins, projected, 1))
        self.out_channels = one + three + five + (ins if recipe.naive else projected)

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Auxiliary(nn.Module):
    """A second opinion from the middle of the network, so that gradients reach its beginning."""

    def __init__(self, ins: int, num_classes: int, recipe: Recipe) -> None:
        super().__init__()
        maps, hidden, grid = scaled(128, recipe.width), scaled(1024, recipe.width), 4
        self.pool = AdaptivePool(grid, spatial_dims=recipe.spatial_dims)
        self.conv = recipe.conv(ins, maps, 1)
        self.fc1 = nn.Linear(maps * grid**recipe.spatial_dims, hidden)
        self.relu = activation("relu")
        self.dropout = Dropout(0.7)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(self.conv(self.pool(x)).flatten(1))
        return self.fc2(self.dropout(self.relu(x)))


class Standardise(nn.Module):
    """From ImageNet's mean and deviation per channel to those the published weights know."""

    def forward(self, x: Tensor) -> Tensor:
        # plain numbers: a buffer would be lost where a network is made without storage
        rows = enumerate(zip(MEANS, DEVIATIONS, strict=True))
        parts = [x[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5 for i, (mean, std) in rows]
        return torch.cat(parts, dim=1)


class GoogLeNet(nn.Module):
    """A stem, nine inception modules, the average of the grid, one linear layer.

    Shape: (N, C, *S) -> (N, num_classes). With auxiliary heads, in training mode only: a list of
    such logits, the main ones first, then the later head's, then the earlier one's.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        in_channels: int,
        num_classes: int,
        aux: bool,
        dropout: float,
        transform_input: bool,
    ) -> None:
        super().__init__()
        dims, width = recipe.spatial_dims, recipe.width
        self.in_channels, self.spatial_dims = in_channels, dims
        self.least_size: Axes = (LEAST,) * dims
        first, second = scaled(64, width), scaled(192, width)
        self.transform = Standardise() if transform_input else nn.Identity()
        self.conv1 = recipe.conv(in_channels, first, 7, 2)
        self.maxpool1 = recipe.pool(3)
        self.conv2 = recipe.conv(first, first, 1)
        self.conv3 = recipe.conv(first, second, 3)
        self.maxpool2 = recipe.pool(3)
        self.maxpool3 = recipe.pool(3)
        self.maxpool4 = recipe.pool(2)  # 3 in the paper
        channels, ins = {"conv1": first, "conv3": second}, second
        for name, counts in MODULES.items():
            module = Inception(ins, counts, recipe)
            self.add_module(name, module)
            channels[name] = ins = module.out_channels
        early, late = (channels[name] for name in HEADED)
        self.aux1 = Auxiliary(early, num_classes, recipe) if aux else None
        self.aux2 = Auxiliary(late, num_classes, recipe) if aux else None
        self.avgpool = GlobalPool(spatial_dims=dims)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.fc = nn.Linear(ins, num_classes)
        self.feature_channels: tuple[int, ...] = tuple(channels[level[-1]] for level in LEVELS)
        self.feature_strides: tuple[Axes, ...] = tuple((2**i,) * dims for i in range(1, 6))

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis is used up before the last pooling."""
        check_least(size, self.least_size, "googlenet", "to outlast four poolings")

    def _levels(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The last tensor at each resolution, and those that auxiliary heads look at."""
        x = self.transform(x)
        ends, middle = [], []
        for level in LEVELS:
            for part in level:
                x = getattr(self, part)(x)
                if part in HEADED:
                    middle.append(x)
            ends.append(x)
        return ends, middle

    def features(self, x: Tensor) -> list[Tensor]:
        """The last tensor at each of the five resolutions, finest first."""
        return self._levels(x)[0]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_network_input(x, self.in_channels, self.spatial_dims, "googlenet", self.check_size)
        ends, (early, late) = self._levels(x)
        logits = self.fc(self.dropout(self.avgpool(ends[-1])))
        if not self.training or self.aux1 is None or self.aux2 is None:
            return logits
        return [logits, self.aux2(late), self.aux1(early)]

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A published state dict, without auxiliary heads where this form has none."""
        if self.aux1 is not None:
            return dict(state)
        return {key: tensor for key, tensor in state.items() if not key.startswith("aux")}


def googlenet(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    aux: bool = False,
    branch: int | None = None,
    naive: bool = False,
    dropout: float = 0.2,
    transform_input: bool = False,
) -> GoogLeNet:
    """GoogLeNet with batch normalisation; the paper's, without, has a top-5 error of 6.67 %.

    Differs from the paper as the published weights do: normalised, local responses are not, kernels
    of 3 where it has 5, and a dropout of 0.2, not 0.4. Starting weights, of which the papers say
    nothing, are He's for convolutions; linear layers keep torch's.

    Args:
        aux: two more heads in training; `classify` adds 0.3 of each one's loss, as the paper does.
        branch: kernel of the widest branch, 3 or 5. Default: 3, as in the published weights, and
            the paper's 5 where `naive`.
        naive: modules without reductions. The pooling branch hands its input on, so every module
            adds to its channels: what the paper calls a blow-up, and reduces for.
        dropout: share of the features dropped before the linear layer.
        transform_input: for published weights on inputs with mean 0 and deviation 1 per channel
            over ImageNet, since they were trained on (x - 0.5) / 0.5.
    Raises:
        ConfigError: another `branch`, or `transform_input` without three channels.
        ShapeError: an axis of fewer than 15 samples.
    Source: Szegedy et al. 2015, arXiv:1409.4842; Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    if branch not in (None, 3, 5):
        raise ConfigError("net.branch", "the widest branch is 3 or 5", branch, "Give 3 or 5")
    if transform_input and in_channels != 3:
        rule = "transform_input knows three channels, red, green and blue"
        raise ConfigError("net.transform_input", rule, f"in_channels={in_channels}", "Leave it out")
    widest = branch or (5 if naive else 3)
    recipe = Recipe(spatial_dims=spatial_dims, width=width, branch=widest, naive=naive)
    net = GoogLeNet(
        recipe,
        in_channels=in_channels,
        num_classes=num_classes,
        aux=aux,
        dropout=dropout,
        transform_input=transform_input,
    )
    for layer in net.modules():
        if isinstance(layer, Conv):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net
