"""Convolutional autoencoder: down to a code level by level, and the same way back."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import check_network_input
from convivo.architectures.encoder_decoder import (
    Decoder,
    Encoder,
    Levels,
    Recipe,
    check_latent,
    check_made_for,
    dense_start,
    plan_levels,
    start_he,
)
from convivo.errors import ConfigError
from convivo.geometry import Axes
from convivo.layers.kernels import check_choice

NOISES = ("gaussian", "masking")


class Autoencoder(nn.Module):
    """Squeeze the input through a code and rebuild it.

    Shape: (N, C, *input_size) -> the same. In training mode noise may be added to what the encoder
    sees; the target of the loss stays the clean input, which is the caller's.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        levels: Levels,
        recipe: Recipe,
        latent: int | None,
        noise: float,
        noise_kind: str,
        output: str,
    ) -> None:
        super().__init__()
        self.in_channels, self.spatial_dims = in_channels, recipe.spatial_dims
        self.input_size, self.noise, self.noise_kind = levels.sizes[0], noise, noise_kind
        self.encoder = Encoder(in_channels, levels, recipe)
        self.to_code: nn.Module = nn.Identity()
        self.from_code: nn.Module = nn.Identity()
        if latent is not None:
            self.to_code = nn.Sequential(nn.Flatten(), nn.Linear(levels.features, latent))
            self.from_code = dense_start(levels, latent, recipe)
        self.decoder = Decoder(in_channels, levels, recipe, output)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        check_made_for(size, self.input_size, "autoencoder")

    def encode(self, x: Tensor) -> Tensor:
        """(N, C, *S) -> codes (N, latent), or (N, channels[-1], *grid) of a spatial code."""
        check_network_input(x, self.in_channels, self.spatial_dims, "autoencoder", self.check_size)
        return self.to_code(self.encoder(x))

    def decode(self, code: Tensor) -> Tensor:
        """Codes -> (N, C, *S)."""
        return self.decoder(self.from_code(code))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(self._disturbed(x)))

    def _disturbed(self, x: Tensor) -> Tensor:
        if not self.training or self.noise == 0:
            return x
        if self.noise_kind == "masking":
            return x * (torch.rand_like(x) >= self.noise)
        return x + self.noise * torch.randn_like(x)


def autoencoder(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes,
    width: float = 1.0,
    channels: Sequence[int] = (32, 64, 128),
    latent: int | None = 64,
    norm: str = "batch",
    activation: str = "relu",
    downsampling: str = "conv",
    upsampling: str = "transposed",
    noise: float = 0.0,
    noise_kind: str = "gaussian",
    output: str = "linear",
) -> Autoencoder:
    """A convolutional autoencoder with He's starting weights; `num_classes` has no meaning here.

    Args:
        channels: behind each halving of the grid, finest first.
        latent: numbers in the code; 0 or None leaves the coarsest grid as a spatial code.
        norm: "batch", "instance", "group", "layer" or "none"; the last level has none.
        downsampling: "conv" (stride 2) or "pool" (maximum, as Masci et al.).
        upsampling: "transposed" (convolution) or "resize" (and convolve: no checkerboard).
        noise: 0, or how much noise the input gets in training, from torch's global generator.
        noise_kind: "gaussian" (`noise` is its standard deviation) or "masking" (`noise` is the
            share of values set to zero).
        output: "linear", or "sigmoid" for targets within [0, 1].
    Raises:
        ConfigError: a value that an option cannot take.
    Source: Hinton & Salakhutdinov 2006, Science 313:504; noise: Vincent et al. 2008, ICML;
        convolutions: Masci et al. 2011, ICANN (CIFAR-10 error 21.8 % from pretrained features).
        Differs: trained in one go, no layer-wise pretraining, weights of both ways not tied.
    """
    check_choice(noise_kind, NOISES, "net.noise_kind")
    if not 0 <= noise < (1 if noise_kind == "masking" else math.inf):
        rule = "a share in [0, 1) of masking noise, or a standard deviation of 0 or more"
        raise ConfigError("net.noise", rule, f"{noise} ({noise_kind})", "Give a number such as 0.1")
    recipe = Recipe(
        spatial_dims=spatial_dims,
        norm=norm,
        activation=activation,
        downsampling=downsampling,
        upsampling=upsampling,
    )
    net = Autoencoder(
        in_channels=in_channels,
        levels=plan_levels(channels, width, input_size),
        recipe=recipe,
        latent=check_latent(latent) if latent else None,
        noise=noise,
        noise_kind=noise_kind,
        output=output,
    )
    start_he(net)
    return net
