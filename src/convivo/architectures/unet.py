"""U-Net, padded and normalised: down by levels, up again, each level's detail handed across.

Letters: L levels, finest first; *S spatial axes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import check_network_input, initialise, scaled
from convivo.architectures.initialisation import INITIALISATIONS
from convivo.architectures.unet_plan import level_channels, unet_plan
from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes, per_axis, to_multiple
from convivo.layers import Conv, Norm, Pool, UpConv, Upsample, activation
from convivo.layers.kernels import check_choice

__all__ = ["UNet", "unet", "unet_plan"]

LEAST_RESTORED = 8  # channels at the input's grid of a network that works on a coarser one

PerLevel = int | Sequence[int | Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all levels of one network have alike."""

    spatial_dims: int
    norm: str
    downsampling: str
    upsampling: str

    def block(self, ins: int, outs: int, kernel: Axes, stride: Axes) -> nn.Sequential:
        """Convolution, normalisation, leaky ReLU, twice; the first one may stride."""
        layers: list[nn.Module] = []
        steps = max(stride) > 1
        if steps and self.downsampling == "pool":
            layers.append(Pool(stride, spatial_dims=self.spatial_dims))
            stride = (1,) * self.spatial_dims
        for i in range(2):
            layers += self.unit(ins if i == 0 else outs, outs, kernel, stride if i == 0 else 1)
        return nn.Sequential(*layers)

    def unit(self, ins: int, outs: int, kernel: Axes, stride: Axes | int) -> list[nn.Module]:
        """One convolution with what follows it; no bias, the normalisation would remove it."""
        conv = Conv(
            ins,
            outs,
            kernel,
            stride=stride,
            padding="same",
            bias=self.norm == "none",
            spatial_dims=self.spatial_dims,
        )
        norm = Norm(outs, self.norm, spatial_dims=self.spatial_dims)
        return [conv, norm, activation("leaky_relu")]

    def up(self, ins: int, outs: int, stride: Axes) -> nn.Module:
        """From one level to the finer one above it."""
        if self.upsampling == "transposed":
            return UpConv(ins, outs, stride, spatial_dims=self.spatial_dims)
        # the 1 x 1 convolution commutes with interpolation and is cheaper before it
        return nn.Sequential(
            Conv(ins, outs, 1, spatial_dims=self.spatial_dims),
            Upsample(stride, kind="linear", spatial_dims=self.spatial_dims),
        )


class Restore(nn.Module):
    """Back to the input's grid: few channels of a coarser level, joined with the input.

    Shape: (N, C, *S), (N, coarse_channels, *S / stride) -> (N, channels, *S).
    """

    def __init__(self, recipe: Recipe, ins: int, coarse: int, kernel: Axes, stride: Axes) -> None:
        super().__init__()
        self.channels = max(LEAST_RESTORED, coarse // 4)
        self.up = recipe.up(coarse, self.channels, stride)
        joined = ins + self.channels
        self.unit = nn.Sequential(*recipe.unit(joined, self.channels, kernel, 1))

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        joined: Tensor = self.unit(torch.cat([fine, self.up(coarse)], dim=1))
        return joined


class UNet(nn.Module):
    """Encoder and decoder with skip connections; every level pads, so that output and input agree.

    Shape: (N, C, *S) -> (N, num_classes, *S), S a multiple of `total_stride`. With deep
    supervision, in training mode only: a list of such logits, full resolution first, each next one
    a level coarser, the bottleneck without. If coarse, every level works on the grid of the next
    one, the last two on the same, and `restore` brings the answer back beside the input: as many
    parameters at a fraction of the cost.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[Axes],
        strides: Sequence[Axes],
        recipe: Recipe,
        *,
        in_channels: int,
        num_classes: int,
        deep_supervision: bool,
        coarse: bool = False,
    ) -> None:
        super().__init__()
        ones = (1,) * recipe.spatial_dims
        finest = kernels[0]
        if coarse:
            kernels, strides = [*kernels[1:], kernels[-1]], [*strides[1:], ones]
        self.in_channels, self.spatial_dims = in_channels, recipe.spatial_dims
        self.deep_supervision = deep_supervision
        self.total_stride: Axes = tuple(math.prod(s) for s in zip(*strides, strict=True))
        # an instance of one sample has no variance
        self.least_grid = 2 if recipe.norm == "instance" else 1
        self.encoder, self.ups, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        ins = in_channels
        for outs, kernel, stride in zip(channels, kernels, strides, strict=True):
            self.encoder.append(recipe.block(ins, outs, kernel, stride))
            ins = outs
        # decoder, ups and heads count from the finest level, like the encoder
        for level, outs in enumerate(channels[:-1]):
            self.ups.append(recipe.up(channels[level + 1], outs, strides[level + 1]))
            self.decoder.append(recipe.block(2 * outs, outs, kernels[level], ones))
        heads = list(channels[:-1] if deep_supervision else channels[:1])
        self.restore: Restore | None = None
        if coarse:
            self.restore = Restore(recipe, in_channels, channels[0], finest, strides[0])
            heads[0] = self.restore.channels
        dims = recipe.spatial_dims
        self.heads = nn.ModuleList(Conv(c, num_classes, 1, spatial_dims=dims) for c in heads)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless every axis is a multiple of `total_stride`."""
        need = list(to_multiple([max(1, n) for n in size], self.total_stride))
        bottom = math.prod(n // s for n, s in zip(need, self.total_stride, strict=True))
        if bottom < self.least_grid:
            need[need.index(min(need))] *= 2
        if tuple(need) == tuple(size):
            return
        rule = f"every axis must be a multiple of {self.total_stride}"
        rule += ", with two samples at the bottom" if self.least_grid > 1 else ""
        remedy = f"Pad to {tuple(need)}, or use fewer levels"
        raise ShapeError("unet", rule, f"size {tuple(size)}", remedy)

    def features(self, x: Tensor) -> list[Tensor]:
        """The output of each level of the encoder, finest first."""
        outputs = []
        for block in self.encoder:
            x = block(x)
            outputs.append(x)
        return outputs

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_network_input(x, self.in_channels, self.spatial_dims, "unet", self.check_size)
        given, skips = x, self.features(x)
        x = skips.pop()
        supervise = self.deep_supervision and self.training
        logits = []
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([skips.pop(), self.ups[level](x)], dim=1))
            if level == 0 and self.restore is not None:
                x = self.restore(given, x)
            if level == 0 or supervise:
                logits.append(self.heads[level](x))
        return logits[::-1] if supervise else logits[-1]


def unet(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    channels: Sequence[int] = (32, 64, 128, 256),
    levels: int | None = None,
    kernels: PerLevel = 3,
    strides: PerLevel = 2,
    norm: str = "instance",
    downsampling: str = "conv",
    upsampling: str = "transposed",
    deep_supervision: bool = False,
    coarse: bool = False,
    encoder: str | None = None,
    encoder_options: Mapping[str, object] | None = None,
) -> nn.Module:
    """A U-Net with He's starting weights, a `UNet` or, on an encoder, a `UNetOnEncoder`.

    Args:
        channels: of each level, finest first; on an encoder, of the decoder's.
        levels: keep so many of `channels`, or go on doubling the last, up to 320.
        kernels: of each level: one int for all, or per level an int or one int per axis.
        strides: into each level, the same way; the first level's is 1, one int means all others.
        norm: "instance", "batch", "group" or "none".
        downsampling: "conv" (the level's first convolution strides) or "pool" (maximum).
        upsampling: "transposed" (convolution) or "linear" (interpolation).
        deep_supervision: return a list of logits in training, see `UNet`.
        coarse: begin on the second level's grid, and come back to the input's at the end.
        encoder: a classifier to go down by, such as "resnet34"; it then decides the levels.
        encoder_options: the classifier's own, such as {"stem": "small"}.
    Raises:
        ConfigError: lists of other lengths than the levels, a value an option cannot take, or an
            option that has no effect beside an encoder.
    Source: Ronneberger et al. 2015, arXiv:1505.04597; Isensee et al. 2021, arXiv:1809.10486.
    """
    recipe = Recipe(
        spatial_dims=spatial_dims,
        norm=norm,
        downsampling=check_choice(downsampling, ("conv", "pool"), "net.downsampling"),
        upsampling=check_choice(upsampling, ("transposed", "linear"), "net.upsampling"),
    )
    if encoder is not None:
        # imported here, since it stands on this file
        from convivo.architectures.unet_on_encoder import unet_on_encoder

        _check_free(
            levels=levels, kernels=kernels, strides=strides, downsampling=downsampling,
            coarse=coarse,
        )  # fmt: skip
        return unet_on_encoder(
            encoder,
            recipe,
            settings=encoder_options or {},
            channels=channels,
            in_channels=in_channels,
            num_classes=num_classes,
            width=width,
            deep_supervision=deep_supervision,
        )
    if encoder_options:
        rule = "they need an encoder"
        raise ConfigError("net.encoder_options", rule, encoder_options, "Give net.encoder too")
    widths = [scaled(c, width) for c in level_channels(channels, levels)]
    net = UNet(
        widths,
        _per_level(kernels, len(widths), spatial_dims, "kernels"),
        _steps(strides, len(widths), spatial_dims),
        recipe,
        in_channels=in_channels,
        num_classes=num_classes,
        deep_supervision=deep_supervision,
        coarse=coarse,
    )
    initialise(net, INITIALISATIONS["he_normal"])
    return net


def _check_free(**given: object) -> None:
    defaults = {"levels": None, "kernels": 3, "strides": 2, "downsampling": "conv", "coarse": False}
    for option, value in given.items():
        if value != defaults[option]:
            rule = "the encoder decides this"
            raise ConfigError(f"net.{option}", rule, repr(value), "Leave out one of the two")


def _steps(strides: PerLevel, count: int, spatial_dims: int) -> list[Axes]:
    given = [1] + [strides] * (count - 1) if isinstance(strides, int) else strides
    steps, ones = _per_level(given, count, spatial_dims, "strides"), (1,) * spatial_dims
    if steps[0] != ones:
        rule = "the first level works at full resolution, its stride is 1"
        raise ConfigError("net.strides", rule, steps[0], f"Put {ones} first, or set net.coarse")
    return steps


def _per_level(values: PerLevel, count: int, spatial_dims: int, option: str) -> list[Axes]:
    rows = [values] * count if isinstance(values, int) else list(values)
    if len(rows) != count:
        rule = f"one entry for each of the {count} levels"
        raise ConfigError(f"net.{option}", rule, values, "Add or remove entries")
    result = [per_axis(row, spatial_dims, option) for row in rows]
    if any(n < 1 for row in result for n in row):
        raise ConfigError(f"net.{option}", "positive integers", values, "Give 1 or more")
    return result
