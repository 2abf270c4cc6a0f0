"""The U-Net as published: nothing is padded, so the answer is smaller than the input by a margin.

Letters: L levels, finest first; *S spatial axes. `unet.py` has the padded form that `train` picks.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import check_network_input, initialise, scaled
from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes
from convivo.layers import Conv, Dropout, Pool, UpConv, activation


def lattice(levels: int) -> tuple[int, int, int]:
    """The sizes of `levels` levels along an axis: (step, margin, least).

    Inputs are of least + k step samples, for k = 0, 1, ...; the answer lacks `margin` on each side.
    A grid of b samples at the bottom takes step b + 4 (step - 1) samples at the top, since each
    level's two convolutions take 4, and answers step (b - 4) - 4 (step - 1).

    Example:
        >>> lattice(5), (572 - 188) % 16
        ((16, 92, 188), 0)
    """
    step = 2 ** (levels - 1)
    margin = 6 * step - 4
    return step, margin, 2 * margin + (4 - 1) % step + 1


def nearest_length(length: int, levels: int) -> int:
    """The length closest to `length` that every pooling halves; the longer one of two.

    Example:
        >>> nearest_length(512, 5), nearest_length(1, 5)
        (508, 188)
    """
    step, _, least = lattice(levels)
    return least + step * max(0, (length - least + step // 2) // step)


class UNet2015(nn.Module):
    """Contracting path, expanding path, and crops of the one handed across to the other.

    Shape: (N, C, *S) -> (N, num_classes, *T), T_i = S_i - 2 margin_i. Each S_i is such that every
    pooling halves an even grid: 572 -> 388 with five levels.

    margin: input samples per side and axis that have no answer. grid_step: shifting the input by so
    many samples shifts the answer as much and changes nothing else, so tiles a multiple of it
    apart fit without a seam. features(x) are the last tensors of each level of the contracting
    path; feature_channels and feature_strides tell of them.
    """

    def __init__(
        self,
        channels: list[int],
        *,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.in_channels, self.spatial_dims, self.levels = in_channels, spatial_dims, len(channels)
        step, margin, _ = lattice(self.levels)
        self.margin: Axes = (margin,) * spatial_dims
        self.grid_step: Axes = (step,) * spatial_dims
        self.feature_channels = tuple(channels)
        self.feature_strides = tuple((2**i,) * spatial_dims for i in range(self.levels))
        self.encoder, self.ups, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.pool = Pool(2, spatial_dims=spatial_dims)
        ins = in_channels
        for level, outs in enumerate(channels):
            dropped = dropout if level >= self.levels - 2 else 0.0
            self.encoder.append(self._block(ins, outs, dropped))
            ins = outs
        # like the encoder, ups and decoder count from the finest level
        for fine, coarse in pairwise(channels):
            self.ups.append(UpConv(coarse, fine, 2, spatial_dims=spatial_dims))
            self.decoder.append(self._block(2 * fine, fine, 0.0))
        self.head = Conv(channels[0], num_classes, 1, spatial_dims=spatial_dims)

    def _block(self, ins: int, outs: int, dropout: float) -> nn.Sequential:
        """Two valid convolutions of 3 per axis, each with a ReLU: four samples fewer."""
        layers: list[nn.Module] = []
        for channels in (ins, outs):
            layers += [Conv(channels, outs, 3, spatial_dims=self.spatial_dims), activation("relu")]
        return nn.Sequential(*layers, *([Dropout(dropout)] if dropout else []))

    def nearest_size(self, size: Axes) -> Axes:
        """The size closest to this one that the network takes."""
        return tuple(nearest_length(n, self.levels) for n in size)

    def output_size(self, size: Axes) -> Axes:
        """Size of the answer to an input of this size.

        Raises:
            ShapeError: the network does not take such an input.
        """
        self.check_size(size)
        return tuple(n - 2 * m for n, m in zip(size, self.margin, strict=True))

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless every pooling halves an even grid and something is left."""
        need = self.nearest_size(size)
        if need == tuple(size):
            return
        step, _, least = lattice(self.levels)
        rule = f"every pooling must halve its grid: axes of {least} + {step} k samples"
        remedy = f"Mirror, crop or resample to {need}, or use fewer levels"
        raise ShapeError("unet_2015", rule, f"size {tuple(size)}", remedy)

    def features(self, x: Tensor) -> list[Tensor]:
        """The output of each level of the contracting path, finest first."""
        outputs = [self.encoder[0](x)]
        for block in self.encoder[1:]:
            outputs.append(block(self.pool(outputs[-1])))
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, "unet_2015", self.check_size)
        skips = self.features(x)
        x = skips.pop()
        for level in reversed(range(len(self.decoder))):
            across = self._crop(skips.pop(), level)
            x = self.decoder[level](torch.cat([across, self.ups[level](x)], dim=1))
        return self.head(x)

    def _crop(self, skip: Tensor, level: int) -> Tensor:
        """The middle of a level's output, where those below have an answer too.

        Of the margin that this level and those below it take together, its own two blocks take 4.
        """
        cut = lattice(self.levels - level)[1] - 4
        return skip[(..., *[slice(cut, -cut)] * self.spatial_dims)]


def unet_2015(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    levels: int = 5,
    channels: int = 64,
    dropout: float = 0.5,
) -> UNet2015:
    """The U-Net of the paper, with He's starting weights.

    Valid convolutions of 3 per axis, maximum pooling of 2, up-convolutions of 2 that halve the
    channels, crop and concatenation. No answer depends on padding: the image is continued by
    mirroring instead, and a large one is answered tile by tile (`arrays.tiling`).

    The paper reports an IoU of 92.03 % on PhC-U373 and 77.56 % on DIC-HeLa (ISBI cell tracking
    2015), and a warping error of 0.000353 on the EM segmentation challenge.
    Differs: the paper names neither place nor share of its dropout, here half of the values behind
    the last two levels of the contracting path. Batch normalisation came later, and is not used.

    Args:
        levels: resolutions, two or more; each one doubles the channels and halves the grid.
        channels: of the first level.
        dropout: share dropped at the end of the contracting path, from 0 up to but not including 1.
    Raises:
        ConfigError: fewer than two levels, no channels, or a dropout that is no share.
    Source: Ronneberger et al. 2015, arXiv:1505.04597, figure 1; any dimension: Cicek et al. 2016,
        arXiv:1606.06650. Starting weights He et al. 2015, arXiv:1502.01852.
    """
    whole = isinstance(levels, int) and isinstance(channels, int)
    if not whole or levels < 2 or channels < 1:
        rule, got = "two levels or more, a channel or more", f"levels={levels}, channels={channels}"
        raise ConfigError("net.levels", rule, got, "Use levels=5 and channels=64 as published")
    net = UNet2015(
        [scaled(channels * 2**level, width) for level in range(levels)],
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
    )
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=math.sqrt(2 / fan)))
    return net
