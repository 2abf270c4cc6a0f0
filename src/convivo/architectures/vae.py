"""Variational autoencoder: the code is a distribution, so that codes drawn at random make sense."""

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
from convivo.geometry import Axes


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """How far each item's code is from the standard normal distribution, in nats.

    KL(N(mean, variance) || N(0, 1)) = 1/2 sum (mean^2 + variance - 1 - log variance), summed over
    all numbers of a code. Shape: twice (N, ...) -> (N,); in float32 at least.

    Example:
        >>> kl_divergence(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2)).tolist()
        [2.0]

    Source: Kingma & Welling 2014, arXiv:1312.6114, appendix B.
    """
    mean, log_variance = (t.flatten(1).to(_wide(t)) for t in (mean, log_variance))
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def _wide(x: Tensor) -> torch.dtype:
    """Variances and sums over a code are too much for half precision."""
    return torch.promote_types(x.dtype, torch.float32)


class VAE(nn.Module):
    """Encoder to the mean and log variance of a code, decoder from a code drawn from them.

    Shape: (N, C, *input_size) -> the same. In training mode the code is drawn anew each time, from
    torch's global generator; in evaluation mode it is the mean. What training maximises is the
    evidence lower bound per item, in nats: the log likelihood of the input given the code, minus
    `kl_divergence` of its distribution.
    """

    def __init__(
        self, *, in_channels: int, levels: Levels, recipe: Recipe, latent: int, output: str
    ) -> None:
        super().__init__()
        self.in_channels, self.spatial_dims = in_channels, recipe.spatial_dims
        self.input_size, self.latent = levels.sizes[0], latent
        self.encoder = Encoder(in_channels, levels, recipe)
        self.mean = nn.Linear(levels.features, latent)
        self.log_variance = nn.Linear(levels.features, latent)
        self.from_code = dense_start(levels, latent, recipe)
        self.decoder = Decoder(in_channels, levels, recipe, output)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        check_made_for(size, self.input_size, "vae")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, *S) -> mean and log variance of the codes, each (N, latent)."""
        check_network_input(x, self.in_channels, self.spatial_dims, "vae", self.check_size)
        features = self.encoder(x).flatten(1)
        return self.mean(features), self.log_variance(features)

    def draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """A code by reparameterisation, mean + deviation * noise, which gradients pass through."""
        deviation = (0.5 * log_variance.to(_wide(log_variance))).exp()
        return mean + deviation * torch.randn_like(deviation)

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, latent) -> (N, C, *S)."""
        return self.decoder(self.from_code(z))

    def forward(self, x: Tensor) -> Tensor:
        mean, log_variance = self.encode(x)
        return self.decode(self.draw(mean, log_variance) if self.training else mean)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """New images (count, C, *S) from codes drawn from the standard normal distribution.

        Args:
            count: how many.
            generator: on any device; None for torch's global one.
        """
        place = self.mean.weight
        device = place.device if generator is None else generator.device
        z = torch.randn(count, self.latent, generator=generator, device=device)
        return self.decode(z.to(place))


def vae(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes,
    width: float = 1.0,
    channels: Sequence[int] = (32, 64, 128),
    latent: int = 32,
    norm: str = "batch",
    activation: str = "relu",
    downsampling: str = "conv",
    upsampling: str = "transposed",
    output: str = "linear",
) -> VAE:
    """A convolutional variational autoencoder; `num_classes` has no meaning here.

    Differs from the paper: convolutions where it has one hidden layer of 500 (MNIST) or 200 units;
    He's starting weights where it draws from N(0, 0.01); the head of the log variance starts at
    zero, so that every code begins with variance 1.

    Args:
        channels: behind each halving of the grid, finest first.
        latent: numbers in the code.
        norm: "batch", "instance", "group", "layer" or "none"; the last level has none.
        activation: between the layers.
        downsampling: "conv" (stride 2) or "pool" (maximum).
        upsampling: "transposed" (convolution) or "resize" (and convolve: no checkerboard).
        output: "linear" (the mean of Gaussian pixels) or "sigmoid" (the probability of Bernoulli
            pixels, or the mean of pixels within [0, 1]).
    Raises:
        ConfigError: a value that an option cannot take.
    Source: Kingma & Welling 2014, arXiv:1312.6114 (figure of merit: the bound, figure 2).
    """
    recipe = Recipe(
        spatial_dims=spatial_dims,
        norm=norm,
        activation=activation,
        downsampling=downsampling,
        upsampling=upsampling,
    )
    levels = plan_levels(channels, width, input_size)
    net = VAE(
        in_channels=in_channels,
        levels=levels,
        recipe=recipe,
        latent=check_latent(latent),
        output=output,
    )
    start_he(net)
    nn.init.zeros_(net.log_variance.weight)
    return net
