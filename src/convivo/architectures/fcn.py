"""FCN: a classifier whose linear layers became convolutions, so that it answers at every place.

The coarse answer is brought back to the input's size by transposed convolutions; the 16s and 8s
forms add what shallower layers saw: "combining what and where".
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.architectures.blocks import check_least, check_network_input, initialise, scaled
from convivo.architectures.create import builder
from convivo.architectures.initialisation import INITIALISATIONS
from convivo.architectures.vgg import VGG
from convivo.geometry import Axes
from convivo.layers import Conv, Dropout, Pool, UpConv, activation
from convivo.layers.kernels import check_choice

ENCODERS = tuple(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn"))
STRIDE = 32  # of the last grid: five poolings
HIDDEN, WINDOW = 4096, 7  # channels and kernel of what were VGG's linear layers


def bilinear_kernel(factor: int, spatial_dims: int) -> Tensor:
    """The kernel with which a transposed convolution of stride `factor` interpolates linearly.

    Shape: (2 factor, ...), the outer product of one triangle per axis; factor even.

    Example:
        >>> bilinear_kernel(2, 1).tolist()
        [0.25, 0.75, 0.75, 0.25]
    """
    triangle = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    kernel = torch.ones(())
    for _ in range(spatial_dims):
        kernel = kernel.unsqueeze(-1) * triangle
    return kernel


def bilinear_up(channels: int, factor: int, spatial_dims: int) -> UpConv:
    """A transposed convolution, one kernel per channel, that starts as linear interpolation.

    Shape: (N, C, *S) -> (N, C, *T) with T_i = S_i factor. The grids are aligned by extent, as
    `Upsample` aligns them; only within factor / 2 of the border it fades instead of repeating.
    """
    up = UpConv(
        channels,
        channels,
        2 * factor,
        stride=factor,
        padding=factor // 2,
        groups=channels,
        bias=False,
        spatial_dims=spatial_dims,
    )
    with torch.no_grad():
        up.weight.copy_(bilinear_kernel(factor, spatial_dims))
    return up


class FCN(nn.Module):
    """VGG without its head, fc6 and fc7 as convolutions, scores at one to three resolutions.

    Shape: (N, C, *S) -> (N, num_classes, *S) for any S: inside, S is padded with zeros, evenly on
    both sides, to a multiple of 32, and the answer is cropped back, so that every answer stands
    exactly where its place is.
    """

    def __init__(
        self,
        backbone: VGG,
        *,
        finest: int,
        num_classes: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        dims = backbone.spatial_dims
        self.in_channels, self.spatial_dims = backbone.in_channels, dims
        self.backbone = backbone
        channels = backbone.feature_channels
        self.fc6 = Conv(channels[-1], hidden, WINDOW, padding="same", spatial_dims=dims)
        self.fc7 = Conv(hidden, hidden, 1, spatial_dims=dims)
        self.relu, self.dropout = activation("relu"), Dropout(dropout)
        self.score = Conv(hidden, num_classes, 1, spatial_dims=dims)
        # coarse to fine: pool4 (stride 16), pool3 (stride 8)
        count = int(math.log2(STRIDE // finest))
        self.pool = Pool(2, spatial_dims=dims)
        self.skips = nn.ModuleList(
            Conv(channels[3 - i], num_classes, 1, spatial_dims=dims) for i in range(count)
        )
        factors = [2] * count + [finest]
        self.ups = nn.ModuleList(bilinear_up(num_classes, f, dims) for f in factors)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis is empty; every other size is taken."""
        check_least(size, (1,) * self.spatial_dims, "fcn", "to see anything")

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A VGG's weights as this network's: linear layers become the kernels fc6 and fc7."""
        if any(key.startswith("backbone.") for key in state):
            return state
        result = {f"backbone.{k}": v for k, v in state.items() if k.startswith("features.")}
        first = state.get("classifier.0.weight")
        if first is None:
            return result
        ins = self.fc6.in_channels
        axes = round(math.log(max(1, first.shape[1] // ins), WINDOW))
        if first.shape[1] != ins * WINDOW**axes:  # of another width
            return result
        for name, old, window in (("fc6", "classifier.0", WINDOW), ("fc7", "classifier.3", 1)):
            weight = state[f"{old}.weight"]
            result[f"{name}.weight"] = weight.reshape(len(weight), -1, *[window] * axes)
            result[f"{name}.bias"] = state[f"{old}.bias"]
        return result

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, "fcn", self.check_size)
        size = x.shape[2:]
        before = [-n % STRIDE // 2 for n in size]
        grids = self.backbone.features(self._padded(x, before))[2:]
        x = self.dropout(self.relu(self.fc6(grids[-1])))
        x = self.score(self.dropout(self.relu(self.fc7(x))))
        for i, skip in enumerate(self.skips):
            # the grids are those before each pooling; the paper takes them after it
            x = self.ups[i](x) + skip(self.pool(grids[1 - i]))
        x = self.ups[-1](x)
        for axis, (start, n) in enumerate(zip(before, size, strict=True), 2):
            x = x.narrow(axis, start, n)
        return x

    def _padded(self, x: Tensor, before: list[int]) -> Tensor:
        amounts = [(b, -n % STRIDE - b) for n, b in zip(x.shape[2:], before, strict=True)]
        flat = [amount for pair in reversed(amounts) for amount in pair]  # F.pad: last axis first
        return F.pad(x, flat) if any(flat) else x


def _build(
    finest: int,
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    encoder: str = "vgg16",
    dropout: float = 0.5,
    zero_init: bool = False,
) -> FCN:
    """A fully convolutional network on a VGG; its finest scores have a stride of 32, 16 or 8.

    Mean IU on PASCAL VOC 2011 validation, in the paper (table 2): 59.4 (fcn32s), 62.4 (fcn16s),
    62.7 (fcn8s). Figure 3 of the paper is `forward`.

    Args:
        encoder: "vgg16" as published, or another VGG (`vgg11` ... `vgg19_bn`).
        dropout: share of fc6's and fc7's outputs that are dropped in training.
        zero_init: start the scores at zero, as the paper does behind a trained VGG. Before that
            nothing behind them learns in the first step, so by default they are drawn.
    Raises:
        ConfigError: an unknown encoder.
    Source: Long et al. 2015, arXiv:1411.4038. Differs: the paper pads by 100 and crops by offsets;
    here fc6 is padded too and the input to a multiple of 32, which aligns all grids by extent. The
    transposed convolutions work class by class and all learn; the paper keeps the last one fixed.
    The weights of fc6 and fc7 start as He et al. 2015, arXiv:1502.01852, unless a VGG's are given.
    """
    check_choice(encoder, ENCODERS, "net.encoder")
    backbone = builder(encoder)(
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
        width=width,
        head="none",
    )
    if not isinstance(backbone, VGG):
        raise TypeError(f"{encoder} is no VGG")
    net = FCN(
        backbone,
        finest=finest,
        num_classes=num_classes,
        hidden=scaled(HIDDEN, width),
        dropout=dropout,
    )
    for layer in (net.fc6, net.fc7):
        initialise(layer, INITIALISATIONS["he_normal"])
    for layer in (net.score, net.skips):
        initialise(layer, INITIALISATIONS["lecun_normal"])
    if zero_init:
        for layer in (net.score, *net.skips):
            nn.init.zeros_(layer.get_parameter("weight"))
    return net


fcn32s = partial(_build, 32)
fcn16s = partial(_build, 16)
fcn8s = partial(_build, 8)
