"""VGG: nothing but convolutions of 3 per axis between poolings, as deep as 19 layers.

Two such kernels reach as far as one of 5 and have 18 weights instead of 25. The state dict has the
layout of the widely published weights (features.0 ... classifier.6), so that these load unchanged.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from convivo.architectures.blocks import (
    Features,
    check_least,
    check_network_input,
    initialise,
    scaled,
)
from convivo.geometry import Axes
from convivo.layers import AdaptivePool, Conv, Dropout, GlobalPool, Norm, Pool, activation
from convivo.layers.kernels import check_choice

CHANNELS = (64, 128, 256, 512, 512)
# convolutions before each of the five poolings: configurations A, B, D, E of the paper's table 1
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
HIDDEN, GRID = 4096, 7  # units of the linear layers, samples per axis of the grid before them
HEADS = ("published", "pooled", "none")
LEAST = 32  # each of five poolings halves, and one sample must be left


def _convolutions(
    depths: Sequence[int], channels: Sequence[int], *, in_channels: int, norm: str, dims: int
) -> Features:
    layers: list[nn.Module] = []
    ins = in_channels
    for count, outs in zip(depths, channels, strict=True):
        for _ in range(count):
            layers.append(Conv(ins, outs, 3, padding=1, spatial_dims=dims))
            layers += [] if norm == "none" else [Norm(outs, norm, spatial_dims=dims)]
            layers.append(activation("relu"))
            ins = outs
        layers.append(Pool(2, spatial_dims=dims))
    return Features(*layers)


def _linear_layers(ins: int, hidden: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(ins, hidden),
        activation("relu"),
        Dropout(dropout),
        nn.Linear(hidden, hidden),
        activation("relu"),
        Dropout(dropout),
        nn.Linear(hidden, num_classes),
    )


class VGG(nn.Module):
    """Five blocks of convolutions and a pooling, then linear layers on a grid of 7 per axis.

    Shape: (N, C, *S) -> (N, num_classes); without a head the last grid, (N, 512 width, *(S // 32)).
    `features(x)` lists the last tensor at strides 1, 2, 4, 8, 16 (before each pooling) and 32.
    """

    def __init__(
        self,
        depths: Sequence[int],
        *,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        width: float,
        norm: str,
        head: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.in_channels, self.spatial_dims = in_channels, spatial_dims
        self.least_size: Axes = (LEAST,) * spatial_dims
        self.head = check_choice(head, HEADS, "net.head")
        channels = [scaled(c, width) for c in CHANNELS]
        self.feature_channels = (*channels, channels[-1])
        self.feature_strides = tuple((2**i,) * spatial_dims for i in range(len(channels) + 1))
        self.features = _convolutions(
            depths, channels, in_channels=in_channels, norm=norm, dims=spatial_dims
        )
        self.avgpool: nn.Module = nn.Identity()
        self.classifier: nn.Module = nn.Identity()
        if head == "published":
            grid = AdaptivePool(GRID, spatial_dims=spatial_dims)
            self.avgpool = nn.Sequential(grid, nn.Flatten())
            ins = channels[-1] * GRID**spatial_dims
            self.classifier = _linear_layers(ins, scaled(HIDDEN, width), num_classes, dropout)
        elif head == "pooled":
            self.avgpool = GlobalPool(spatial_dims=spatial_dims)
            last = nn.Linear(channels[-1], num_classes)
            self.classifier = nn.Sequential(Dropout(dropout), last)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis would not survive five poolings."""
        check_least(size, self.least_size, "vgg", "to survive five poolings")

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The published weights without those of linear layers that this form does not have."""
        if self.head == "published":
            return state
        return {k: v for k, v in state.items() if not k.startswith("classifier.")}

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, "vgg", self.check_size)
        return self.classifier(self.avgpool(self.features.last(x)))


def _build(
    name: str,
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    norm: str = "none",
    head: str = "published",
    dropout: float = 0.5,
) -> VGG:
    """A VGG network, for inputs of at least 32 samples per axis.

    Top-5 error on ImageNet's validation images, one crop, in the paper (table 3): 10.4 % (11
    layers), 9.9 % (13), 8.1 % (16), 8.0 % (19).

    Args:
        norm: "none" as published, "batch" (default of `vgg11_bn` and its kin), "instance" or
            "group", behind every convolution.
        head: "published": three linear layers on a grid of 7 per axis, which in three dimensions
            hold 740 million weights; "pooled": the average of the last grid and one linear layer;
            "none": the last grid itself, for networks that stand on `features`; `num_classes` and
            `dropout` then have no say.
        dropout: share of the hidden units (of the averages, where pooled) dropped in training.
    Raises:
        ConfigError: a value that an option cannot take.
    Source: Simonyan & Zisserman 2015, arXiv:1409.1556. Differs: starting weights are He's (2015,
    arXiv:1502.01852) with zero biases, since the paper starts from a trained network of 11 layers,
    and Glorot's, which it names instead (`init="glorot_normal"`), let the signal fade with depth.
    """
    net = VGG(
        DEPTHS[name],
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
        width=width,
        norm=norm,
        head=head,
        dropout=dropout,
    )
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=(2 / fan) ** 0.5))
    return net


vgg11 = partial(_build, "vgg11")
vgg13 = partial(_build, "vgg13")
vgg16 = partial(_build, "vgg16")
vgg19 = partial(_build, "vgg19")
vgg11_bn = partial(_build, "vgg11", norm="batch")
vgg13_bn = partial(_build, "vgg13", norm="batch")
vgg16_bn = partial(_build, "vgg16", norm="batch")
vgg19_bn = partial(_build, "vgg19", norm="batch")
