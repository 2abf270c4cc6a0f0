"""AlexNet, in one tower as its weights are published, or in the two towers of 2012.

The state dict of one tower has the layout of the widely published weights (features.0 ...
classifier.6), so that in two dimensions these load unchanged.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from convivo.architectures.blocks import (
    Features,
    check_least,
    check_network_input,
    initialise,
    scaled,
)
from convivo.errors import ConfigError
from convivo.geometry import Axes
from convivo.layers import AdaptivePool, Conv, Dropout, Norm, Pool, activation

# number of towers -> filters of the five convolutions
FILTERS = {1: (64, 192, 384, 256, 256), 2: (96, 256, 384, 384, 256)}
HIDDEN, GRID = 4096, 6  # units of the linear layers, samples per axis of the grid before them
# 63 -> convolution 15 -> pooled 7 -> pooled 3 -> pooled 1
LEAST = 63


@dataclass(frozen=True, kw_only=True)
class Towers:
    """How many halves the layers are cut into, and how each layer is then made."""

    count: int
    spatial_dims: int

    def channels(self, filters: int, width: float) -> int:
        """Scaled, and the same number in each tower."""
        return self.count * scaled(filters // self.count, width)

    def conv(self, ins: int, outs: int, kernel: int, *, apart: bool) -> list[nn.Module]:
        """A convolution that keeps the grid, and ReLU; `apart`: a tower sees its own maps only."""
        groups = self.count if apart else 1
        dims, padding = self.spatial_dims, kernel // 2
        conv = Conv(ins, outs, kernel, padding=padding, groups=groups, spatial_dims=dims)
        return [conv, activation("relu")]

    def pool(self) -> Pool:
        """Overlapping windows: 3 samples, 2 apart."""
        return Pool(3, stride=2, spatial_dims=self.spatial_dims)

    def normalize(self, channels: int) -> list[nn.Module]:
        """Neighbouring maps inhibit each other, in two towers only."""
        return [Norm(channels, "lrn", spatial_dims=self.spatial_dims)] if self.count > 1 else []


def _convolutions(towers: Towers, ins: int, filters: list[int]) -> Features:
    a, b, c, d, e = filters
    dims = towers.spatial_dims
    return Features(
        Conv(ins, a, 11, stride=4, padding=2, spatial_dims=dims),
        activation("relu"),
        *towers.normalize(a),
        towers.pool(),
        *towers.conv(a, b, 5, apart=True),
        *towers.normalize(b),
        towers.pool(),
        *towers.conv(b, c, 3, apart=False),
        *towers.conv(c, d, 3, apart=True),
        *towers.conv(d, e, 3, apart=True),
        towers.pool(),
    )


def _linear_layers(
    ins: int, hidden: int, num_classes: int, dropout: float, *, dropped_before: bool
) -> nn.Sequential:
    """`dropped_before`: dropout in front of a linear layer as published, not behind its ReLU."""
    layers: list[nn.Module] = []
    for size in (ins, hidden):
        block = [nn.Linear(size, hidden), activation("relu")]
        drop = [Dropout(dropout)]
        layers += [*drop, *block] if dropped_before else [*block, *drop]
    return nn.Sequential(*layers, nn.Linear(hidden, num_classes))


class AlexNet(nn.Module):
    """Five convolutions, three of them followed by pooling, then three linear layers.

    Shape: (N, C, *S) -> (N, num_classes). `features(x)` lists the last tensor at strides 4, 8, 16
    (before each pooling) and 32.
    """

    def __init__(
        self,
        towers: Towers,
        *,
        in_channels: int,
        num_classes: int,
        width: float,
        dropout: float,
    ) -> None:
        super().__init__()
        dims = towers.spatial_dims
        self.in_channels, self.spatial_dims = in_channels, dims
        self.least_size: Axes = (LEAST,) * dims
        filters = [towers.channels(c, width) for c in FILTERS[towers.count]]
        hidden = towers.channels(HIDDEN, width)
        self.feature_channels = (filters[0], filters[1], filters[4], filters[4])
        self.feature_strides = tuple((s,) * dims for s in (4, 8, 16, 32))
        self.features = _convolutions(towers, in_channels, filters)
        self.avgpool = AdaptivePool(GRID, spatial_dims=dims)
        ins = filters[-1] * GRID**dims
        self.classifier = _linear_layers(
            ins, hidden, num_classes, dropout, dropped_before=towers.count == 1
        )

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis would not survive three poolings."""
        check_least(size, self.least_size, "alexnet", "to survive three poolings")

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, "alexnet", self.check_size)
        return self.classifier(self.avgpool(self.features.last(x)).flatten(1))


def _start_2012(net: AlexNet) -> None:
    """Normal weights of deviation 0.01; biases one where the paper wants ReLU to start open."""
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=0.01))
    convs = [layer for layer in net.features if isinstance(layer, Conv)]
    linears = [layer for layer in net.classifier if isinstance(layer, nn.Linear)]
    for layer in (convs[1], *convs[3:], *linears[:-1]):
        nn.init.ones_(layer.get_parameter("bias"))


def alexnet(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    towers: int = 1,
    dropout: float = 0.5,
) -> AlexNet:
    """AlexNet, for inputs of at least 63 samples per axis.

    Top-5 error on ImageNet in the paper of 2012: 18.2 % (validation images, one network), 15.3 %
    (test images, seven networks, some of them trained on more images).

    Args:
        towers: 1 as published, or 2: the layers cut into halves that meet in the third convolution
            only (and in the linear layers), with local response normalization after the first
            and second. Each form has its paper's filters, see FILTERS.
        dropout: share of values dropped before (two towers: of the units in) the hidden layers.
    Raises:
        ConfigError: a number of towers other than 1 and 2, a dropout outside [0, 1).
    Source: two towers Krizhevsky et al. 2012; one tower Krizhevsky 2014, arXiv:1404.5997.
    Starting weights of two towers as in the paper. The paper of one tower gives none; the published
    weights began with torch's default, whose signal fades from layer to layer, so here it is He's
    normal one (2015, arXiv:1502.01852) with zero biases. Differs further: the average of a grid of
    6 per axis takes any input size; normalization crosses the border between the towers; with 224
    per axis the first convolution is padded by 2 to give the paper's 55.
    """
    if towers not in FILTERS:
        raise ConfigError("net.towers", "one tower or two", towers, "Give 1 or 2")
    net = AlexNet(
        Towers(count=towers, spatial_dims=spatial_dims),
        in_channels=in_channels,
        num_classes=num_classes,
        width=width,
        dropout=dropout,
    )
    if towers == 1:
        initialise(net, lambda weight, fan: nn.init.normal_(weight, std=(2 / fan) ** 0.5))
    else:
        _start_2012(net)
    return net
