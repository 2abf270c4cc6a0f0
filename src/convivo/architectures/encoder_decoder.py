"""What autoencoders are made of: an encoder that halves the grid level by level, and its mirror.

`autoencoder.py` puts a code between the two, `vae.py` the distribution of one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from convivo.architectures.blocks import initialise, scaled
from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes
from convivo.layers import Conv, Norm, Pool, UpConv
from convivo.layers import activation as activation_layer
from convivo.layers.kernels import check_choice
from convivo.layers.resize import ResizeConv

OUTPUTS = {"linear": nn.Identity, "sigmoid": nn.Sigmoid}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all levels of one network have alike.

    Raises:
        ConfigError: an unknown way of downsampling or upsampling.
    """

    spatial_dims: int
    norm: str
    activation: str
    downsampling: str
    upsampling: str

    def __post_init__(self) -> None:
        check_choice(self.downsampling, ("conv", "pool"), "net.downsampling")
        check_choice(self.upsampling, ("transposed", "resize"), "net.upsampling")

    def down(self, ins: int, outs: int, stride: Axes) -> nn.Sequential:
        """Convolution, normalisation, activation, on a grid of ceil(S / stride)."""
        pooled = self.downsampling == "pool"
        conv = Conv(
            ins,
            outs,
            3,
            stride=1 if pooled else stride,
            padding=1,
            bias=self.norm == "none",
            spatial_dims=self.spatial_dims,
        )
        layers = [conv, *self._tail(outs)]
        if pooled and max(stride) > 1:
            layers.append(Pool(stride, ceil_mode=True, spatial_dims=self.spatial_dims))
        return nn.Sequential(*layers)

    def up(self, ins: int, outs: int, stride: Axes, size: Axes, *, last: bool) -> nn.Sequential:
        """The way back from a grid of ceil(size / stride) to one of `size`."""
        bias, dims = last or self.norm == "none", self.spatial_dims
        layers: list[nn.Module]
        if self.upsampling == "resize":
            layers = [ResizeConv(ins, outs, 3, stride, bias=bias, spatial_dims=dims), Crop(size)]
        else:
            # kernel 3, stride s, padding 1 gives s (m - 1) + 1 samples; what is missing is added
            odd = tuple((n - 1) % s for n, s in zip(size, stride, strict=True))
            up = UpConv(
                ins,
                outs,
                3,
                stride=stride,
                padding=1,
                output_padding=odd,
                bias=bias,
                spatial_dims=dims,
            )
            layers = [up]
        return nn.Sequential(*layers, *([] if last else self._tail(outs)))

    def _tail(self, channels: int) -> list[nn.Module]:
        norm = Norm(channels, self.norm, spatial_dims=self.spatial_dims)
        return [norm, activation_layer(self.activation)]


class Crop(nn.Module):
    """Keep the first `size` samples of every axis: (N, C, *T) -> (N, C, *size), T >= size."""

    def __init__(self, size: Axes) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        for axis, n in enumerate(self.size, start=2):
            if x.shape[axis] != n:
                x = x.narrow(axis, 0, n)
        return x


@dataclass(frozen=True)
class Levels:
    """Channels behind each level, and the grid before the first and behind each level.

    Example:
        >>> Levels((32, 64), ((7, 1), (4, 1), (2, 1))).strides
        [(2, 1), (2, 1)]
    """

    channels: tuple[int, ...]
    sizes: tuple[Axes, ...]

    @property
    def strides(self) -> list[Axes]:
        """2 where a level halves an axis; an axis of a single sample stays as it is."""
        return [tuple(2 if n > 1 else 1 for n in size) for size in self.sizes[:-1]]

    @property
    def features(self) -> int:
        """Numbers in the last grid."""
        return self.channels[-1] * math.prod(self.sizes[-1])


def plan_levels(channels: Sequence[int], width: float, input_size: Axes) -> Levels:
    """The levels of an encoder for inputs of `input_size`.

    Raises:
        ConfigError: no level, or one without channels.
    """
    if not channels or min(channels) < 1:
        rule = "one positive number per level, finest first"
        raise ConfigError("net.channels", rule, tuple(channels), "Give such as (32, 64, 128)")
    sizes = [input_size]
    for _ in channels:
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return Levels(tuple(scaled(c, width) for c in channels), tuple(sizes))


class Encoder(nn.Sequential):
    """(N, C, *S) -> (N, channels[-1], *sizes[-1]), every level halving the grid, rounded up."""

    def __init__(self, in_channels: int, levels: Levels, recipe: Recipe) -> None:
        ins = (in_channels, *levels.channels[:-1])
        rows = zip(ins, levels.channels, levels.strides, strict=True)
        super().__init__(*(recipe.down(*row) for row in rows))


class Decoder(nn.Sequential):
    """The encoder's mirror: (N, channels[-1], *sizes[-1]) -> (N, C, *S), odd sizes restored."""

    def __init__(self, out_channels: int, levels: Levels, recipe: Recipe, output: str) -> None:
        outs = (out_channels, *levels.channels[:-1])
        rows = list(zip(levels.channels, outs, levels.strides, levels.sizes[:-1], strict=True))
        ups = [recipe.up(*row, last=i == 0) for i, row in enumerate(rows)]
        super().__init__(
            *reversed(ups), OUTPUTS[check_choice(output, tuple(OUTPUTS), "net.output")]()
        )


def dense_start(levels: Levels, latent: int, recipe: Recipe) -> nn.Sequential:
    """From a code vector to the coarsest grid: (N, latent) -> (N, channels[-1], *sizes[-1])."""
    grid = nn.Unflatten(1, (levels.channels[-1], *levels.sizes[-1]))
    return nn.Sequential(
        nn.Linear(latent, levels.features), grid, activation_layer(recipe.activation)
    )


def start_he(net: nn.Module) -> None:
    """He's normal starting weights, for ReLU."""
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=math.sqrt(2 / fan)))


def check_made_for(size: Axes, input_size: Axes, where: str) -> None:
    """Refuse any other size than the one a network was created for.

    Raises:
        ShapeError: another size.
    """
    if tuple(size) != tuple(input_size):
        rule = f"created for inputs of size {input_size}"
        remedy = f"Resample to {input_size}, or create it with input_size={tuple(size)}"
        raise ShapeError(where, rule, tuple(size), remedy)


def check_latent(latent: int) -> int:
    """`latent` itself, the numbers in a code, if there is at least one.

    Raises:
        ConfigError: none.
    """
    if latent < 1:
        rule = "a code needs at least one number"
        raise ConfigError("net.latent", rule, latent, "Give such as 64")
    return latent
