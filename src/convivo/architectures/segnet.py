"""SegNet: a VGG-16 that remembers where its maxima were, and a mirror image that puts them back."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import check_least, check_network_input, initialise, scaled
from convivo.architectures.initialisation import INITIALISATIONS
from convivo.architectures.vgg import CHANNELS, DEPTHS
from convivo.errors import ConfigError
from convivo.geometry import Axes
from convivo.layers import Conv, Norm, Pool, Unpool, activation

DEPTH = DEPTHS["vgg16"]  # convolutions of each stage


def _stage(channels: Sequence[int], dims: int) -> nn.Sequential:
    """Convolution, normalisation, ReLU from each number of channels to the next."""
    layers: list[nn.Module] = []
    for ins, outs in pairwise(channels):
        # no bias: the normalisation would subtract it again
        conv = Conv(ins, outs, 3, padding=1, bias=False, spatial_dims=dims)
        layers += [conv, Norm(outs, "batch", spatial_dims=dims), activation("relu")]
    return nn.Sequential(*layers)


class SegNet(nn.Module):
    """Encoder and decoder of 13 convolutions each; only the places of the maxima are handed across.

    Shape: (N, C, *S) -> (N, num_classes, *S) for any S of at least `least_size`. A size that cannot
    be halved is remembered, and restored on the way up.
    """

    def __init__(
        self, channels: Sequence[int], *, spatial_dims: int, in_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.in_channels, self.spatial_dims = in_channels, spatial_dims
        self.least_size: Axes = (2 ** len(channels),) * spatial_dims
        self.pool = Pool(2, return_indices=True, spatial_dims=spatial_dims)
        self.unpool = Unpool(2, kind="max", spatial_dims=spatial_dims)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        # both count from the finest stage; the last convolution of all gives the scores
        ins = in_channels
        for depth, outs in zip(DEPTH, channels, strict=False):
            self.encoder.append(_stage([ins, *[outs] * depth], spatial_dims))
            finer = [ins] if len(self.encoder) > 1 else []
            self.decoder.append(_stage([outs] * depth + finer, spatial_dims))
            ins = outs
        self.head = Conv(channels[0], num_classes, 3, padding=1, spatial_dims=spatial_dims)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError where an axis would not survive the poolings."""
        check_least(size, self.least_size, "segnet", f"to survive {len(self.encoder)} poolings")

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A VGG-16's weights as the encoder's, from the form with batch norm or without."""
        if not any(key.startswith("features.") for key in state):
            return state
        normed = "features.1.running_mean" in state
        result, place = {}, 0
        for stage, depth in enumerate(DEPTH[: len(self.encoder)]):
            for unit in range(depth):
                name = f"encoder.{stage}.{3 * unit}"
                result[f"{name}.weight"] = state[f"features.{place}.weight"]
                if normed:
                    norm = f"encoder.{stage}.{3 * unit + 1}"
                    result |= _folded(state, place, norm)
                place += 3 if normed else 2
            place += 1  # the pooling
        return result

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, self.spatial_dims, "segnet", self.check_size)
        places: list[Tensor] = []
        sizes: list[torch.Size] = []
        for stage in self.encoder:
            x = stage(x)
            sizes.append(x.shape[2:])
            x, indices = self.pool(x)
            places.append(indices)
        for stage in reversed(self.decoder):
            x = stage(self.unpool(x, places.pop(), output_size=sizes.pop()))
        return self.head(x)


def _folded(state: dict[str, Tensor], place: int, norm: str) -> dict[str, Tensor]:
    """The normalisation behind `features.{place}`, whose bias its running mean takes over."""
    old = f"features.{place + 1}."
    result = {norm + "." + k[len(old) :]: v for k, v in state.items() if k.startswith(old)}
    bias = state.get(f"features.{place}.bias")
    if bias is not None:
        result[f"{norm}.running_mean"] = result[f"{norm}.running_mean"] - bias
    return result


def segnet(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes | None = None,
    width: float = 1.0,
    levels: int = 5,
) -> SegNet:
    """SegNet with He's starting weights, as in the paper.

    Mean IU on CamVid (11 classes), in the paper: 60.1, trained on 3,433 images.

    Args:
        levels: keep so many stages, 5 as published; the least size is 2 to this power per axis.
    Raises:
        ConfigError: levels below 1 or above 5.
    Source: Badrinarayanan et al. 2017, arXiv:1511.00561. Differs: no biases before batch
    normalisation. `pretrained` takes the weights of a VGG-16 for the encoder, as the paper does.
    """
    if not 1 <= levels <= len(DEPTH):
        raise ConfigError("net.levels", "one to five stages", levels, "Give 5, or less")
    net = SegNet(
        [scaled(c, width) for c in CHANNELS[:levels]],
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
    )
    initialise(net, INITIALISATIONS["he_normal"])
    return net
