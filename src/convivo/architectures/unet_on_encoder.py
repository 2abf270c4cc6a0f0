"""U-Net's decoder on a classifier: the classifier's features come down, ours go up again."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from convivo.architectures import ARCHITECTURES
from convivo.architectures.blocks import check_network_input, initialise, scaled
from convivo.architectures.create import builder, options
from convivo.architectures.initialisation import INITIALISATIONS
from convivo.architectures.unet import Recipe
from convivo.architectures.unet_plan import level_channels
from convivo.errors import ConfigError, ShapeError, nearest_name
from convivo.geometry import Axes, to_multiple
from convivo.layers import Conv
from convivo.layers.kernels import check_choice

# AlexNet is not among them: no whole factor leads back from the grids of its unpadded poolings
FAMILIES = ("vgg", "googlenet", "resnet", "resnext", "densenet")
ENCODERS = tuple(name for name in ARCHITECTURES if name.startswith(FAMILIES))
HEADS = ("fc", "classifier", "aux1", "aux2")


class UNetOnEncoder(nn.Module):
    """A classifier's features, and a decoder that joins them from coarse to fine.

    Shape: (N, C, *S) -> (N, num_classes, *S), S a multiple of `total_stride`. With deep
    supervision, in training mode only: a list of such logits, full resolution first, each next one
    a level coarser, the encoder's last grid without.
    """

    def __init__(
        self,
        backbone: nn.Module,
        recipe: Recipe,
        *,
        channels: Sequence[int],
        in_channels: int,
        num_classes: int,
        deep_supervision: bool,
    ) -> None:
        super().__init__()
        dims = recipe.spatial_dims
        self.in_channels, self.spatial_dims = in_channels, dims
        self.deep_supervision = deep_supervision
        self.backbone = backbone
        skips, strides = _features(backbone, dims)
        self.total_stride = strides[-1]
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        # decoder, ups and heads count from the finest level, like the features
        for level, (fine, coarse) in enumerate(pairwise(strides)):
            below = channels[level + 1] if level + 2 < len(strides) else skips[-1]
            factor = tuple(c // f for f, c in zip(fine, coarse, strict=True))
            outs = channels[level]
            self.ups.append(recipe.up(below, outs, factor))
            block = recipe.block(outs + skips[level], outs, (3,) * dims, (1,) * dims)
            self.decoder.append(block)
        heads = channels if deep_supervision else channels[:1]
        self.heads = nn.ModuleList(Conv(c, num_classes, 1, spatial_dims=dims) for c in heads)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless every axis is a multiple of `total_stride`."""
        need = to_multiple([max(1, n) for n in size], self.total_stride)
        if need != tuple(size):
            rule = f"every axis must be a multiple of {self.total_stride}"
            remedy = f"Pad to {need}, or give the encoder a smaller stem"
            raise ShapeError("unet", rule, f"size {tuple(size)}", remedy)

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A classifier's published weights as the backbone's, without its head's."""
        if any(key.startswith("backbone.") for key in state):
            return state
        translate = getattr(self.backbone, "published_state", dict)
        heads = tuple(f"{head}." for head in HEADS)
        rows = translate(state).items()
        return {f"backbone.{key}": value for key, value in rows if not key.startswith(heads)}

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_network_input(x, self.in_channels, self.spatial_dims, "unet", self.check_size)
        skips: list[Tensor | None] = list(self.backbone.features(x))  # type: ignore[operator]
        below = skips.pop()
        if len(skips) < len(self.decoder):  # the encoder has nothing at full resolution
            skips.insert(0, None)
        supervise = self.deep_supervision and self.training
        logits = []
        for level in reversed(range(len(self.decoder))):
            above, skip = self.ups[level](below), skips.pop()
            joined = above if skip is None else torch.cat([skip, above], dim=1)
            below = self.decoder[level](joined)
            if level == 0 or supervise:
                logits.append(self.heads[level](below))
        return logits[::-1] if supervise else logits[-1]


def _features(backbone: nn.Module, spatial_dims: int) -> tuple[list[int], list[Axes]]:
    """Channels and total strides of the features, from full resolution on, 0 channels if none."""
    channels = [int(c) for c in backbone.feature_channels]  # type: ignore[union-attr]
    strides = [tuple(map(int, s)) for s in backbone.feature_strides]  # type: ignore[union-attr]
    ones: Axes = (1,) * spatial_dims
    if strides[0] == ones:
        return channels, strides
    return [0, *channels], [ones, *strides]


def _encoder(
    name: str,
    settings: Mapping[str, object],
    *,
    spatial_dims: int,
    in_channels: int,
    width: float,
) -> nn.Module:
    """A classifier without its head: every parameter left is one that `features` uses."""
    check_choice(name, ENCODERS, "net.encoder")
    known = options(name)
    for key in settings:
        if key not in known:
            where = f"net.encoder_options.{key}"
            raise ConfigError(where, f"an option of {name}", repr(key), nearest_name(key, known))
    bare = {"head": "none"} if "head" in known else {}
    backbone = builder(name)(
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=1,
        width=width,
        **settings | bare,
    )
    for head in HEADS:
        if hasattr(backbone, head):
            delattr(backbone, head)
    return backbone


def unet_on_encoder(
    encoder: str,
    recipe: Recipe,
    *,
    settings: Mapping[str, object],
    channels: Sequence[int],
    in_channels: int,
    num_classes: int,
    width: float,
    deep_supervision: bool,
) -> UNetOnEncoder:
    """A U-Net whose way down is a classifier; starting weights: the classifier's own, and He's.

    Args:
        encoder: one of `ENCODERS`. settings: its own options.
        channels: of the decoder's levels, finest first, continued or cut to their number.
    Raises:
        ConfigError: no such encoder, or an option that it does not have.
    Source: Ronneberger et al. 2015, arXiv:1505.04597, for the decoder; the encoder's paper.
    """
    dims = recipe.spatial_dims
    backbone = _encoder(
        encoder, dict(settings), spatial_dims=dims, in_channels=in_channels, width=width
    )
    levels = len(_features(backbone, dims)[1]) - 1
    net = UNetOnEncoder(
        backbone,
        recipe,
        channels=[scaled(c, width) for c in level_channels(channels, levels)],
        in_channels=in_channels,
        num_classes=num_classes,
        deep_supervision=deep_supervision,
    )
    for part in (net.ups, net.decoder, net.heads):
        initialise(part, INITIALISATIONS["he_normal"])
    return net
