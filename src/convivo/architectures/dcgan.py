"""DCGAN: a generator from random vectors to images, and a discriminator that tells them from real.

The state dict has the published layout, one sequence per half (generator.main.0.weight, ...).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from convivo.architectures.blocks import check_network_input
from convivo.architectures.dcgan_plan import (
    START,
    Plan,
    check_labels,
    check_powers_of_two,
    kernel,
)
from convivo.architectures.encoder_decoder import check_latent, check_made_for
from convivo.errors import ShapeError
from convivo.geometry import Axes
from convivo.layers import Conv, Norm, UpConv
from convivo.layers.kernels import check_choice
from convivo.layers.resize import ResizeConv

SLOPE, DEVIATION = 0.2, 0.02
OUTPUTS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}


class Generator(nn.Module):
    """Latent vectors (N, latent) -> images (N, C, *input_size).

    Each level doubles the axes that it must; kernel 4, stride 2, padding 1, normalisation, ReLU.
    """

    def __init__(self, plan: Plan, norm: str, upsampling: str, output: str) -> None:
        super().__init__()
        check_choice(upsampling, ("transposed", "resize"), "net.upsampling")
        check_choice(output, tuple(OUTPUTS), "net.output")
        self.plan = plan
        dims, channels = plan.spatial_dims, plan.channels[::-1]
        # a class is given as a vector beside the latent one
        self.classes = nn.Embedding(plan.classes, plan.latent) if plan.classes else None
        ins, bias = plan.latent * (2 if plan.classes else 1), norm == "none"
        layers: list[nn.Module] = [
            UpConv(ins, channels[0], START, stride=1, bias=bias, spatial_dims=dims)
        ]
        outs = [*channels[1:], plan.in_channels]
        for i, stride in enumerate(reversed(plan.strides)):
            layers += [Norm(channels[i], norm, spatial_dims=dims), nn.ReLU(inplace=True)]
            last = i == len(outs) - 1
            step = (channels[i], outs[i], stride)
            layers.append(self._up(*step, bias=bias and not last, way=upsampling))
        self.main = nn.Sequential(*layers, OUTPUTS[output]())
        start_normal(self)

    def _up(self, ins: int, outs: int, stride: Axes, *, bias: bool, way: str) -> nn.Module:
        dims = self.plan.spatial_dims
        if way == "resize":
            return ResizeConv(ins, outs, 3, stride, bias=bias, spatial_dims=dims)
        return UpConv(
            ins, outs, kernel(stride), stride=stride, padding=1, bias=bias, spatial_dims=dims
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if not torch.compiler.is_compiling() and (z.dim() != 2 or z.shape[1] != self.plan.latent):
            rule = f"latent vectors must have shape (N, {self.plan.latent})"
            remedy = f"Draw torch.randn(N, {self.plan.latent})"
            raise ShapeError("dcgan generator", rule, f"shape {tuple(z.shape)}", remedy)
        check_labels(labels, self.plan.classes, "dcgan generator")
        if self.classes is not None and labels is not None:
            z = torch.cat([z, self.classes(labels)], dim=1)
        return self.main(z[(..., *[None] * self.plan.spatial_dims)])


class Discriminator(nn.Module):
    """Images (N, C, *input_size) -> logits (N, 1), positive where they look real.

    Each level halves the axes that it can; kernel 4, stride 2, padding 1, normalisation from the
    second level on, leaky ReLU of slope 0.2. Given classes, a projection is added to the logit.
    """

    def __init__(self, plan: Plan, norm: str, *, spectral: bool) -> None:
        super().__init__()
        self.plan = plan
        dims, channels = plan.spatial_dims, plan.channels
        layers: list[nn.Module] = []
        for i, stride in enumerate(plan.strides):
            conv = Conv(
                channels[i - 1] if i else plan.in_channels,
                channels[i],
                kernel(stride),
                stride=stride,
                padding=1,
                bias=norm == "none" and i > 0,
                spatial_dims=dims,
            )
            layers.append(conv)
            layers += [Norm(channels[i], norm, spatial_dims=dims)] if i else []
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
        layers.append(Conv(channels[-1], 1, START, bias=False, spatial_dims=dims))
        self.main = nn.Sequential(*layers)
        self.classes = nn.Embedding(plan.classes, channels[-1]) if plan.classes else None
        start_normal(self)
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=DEVIATION)
        if spectral:  # after the weights are drawn: it begins with their largest singular values
            for layer in [m for m in self.modules() if isinstance(m, Conv | nn.Embedding)]:
                parametrizations.spectral_norm(layer)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        check_made_for(size, self.plan.input_size, "dcgan")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        plan = self.plan
        check_network_input(x, plan.in_channels, plan.spatial_dims, "dcgan", self.check_size)
        check_labels(labels, plan.classes, "dcgan discriminator")
        if self.classes is None or labels is None:
            return self.main(x).flatten(1)
        *levels, last = self.main
        for layer in levels:
            x = layer(x)
        likeness = (self.classes(labels) * x.flatten(2).sum(2)).sum(1, keepdim=True)
        return last(x).flatten(1) + likeness


def start_normal(half: nn.Module) -> None:
    """N(0, 0.02) for weights, N(1, 0.02) for the scales of normalisations, zero for shifts."""
    for layer in half.modules():
        if isinstance(layer, Conv | UpConv):
            nn.init.normal_(layer.weight, std=DEVIATION)
        elif isinstance(layer, Norm) and layer.weight is not None:
            nn.init.normal_(layer.weight, 1.0, DEVIATION)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, Tensor):
            nn.init.zeros_(bias)


class DCGAN(nn.Module):
    """Both halves in one module: what it does follows from what it is given.

    Shape: latent vectors (N, latent) -> images (N, C, *input_size); images -> logits (N, 1). So
    `net(net(z))` passes through every parameter. A conditional network takes labels (N,) as well.
    """

    def __init__(self, plan: Plan, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.in_channels, self.spatial_dims = plan.in_channels, plan.spatial_dims
        self.input_size, self.latent, self.classes = plan.input_size, plan.latent, plan.classes
        self.generator, self.discriminator = generator, discriminator

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        self.discriminator.check_size(size)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator(x, labels) if x.dim() == 2 else self.discriminator(x, labels)

    @torch.no_grad()
    def sample(
        self,
        count: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """New images (count, C, *S) from random vectors; `generator` None is torch's global one."""
        place = next(self.generator.parameters())
        device = place.device if generator is None else generator.device
        z = torch.randn(count, self.latent, generator=generator, device=device)
        return self.generator(z.to(place), labels)


def dcgan(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes,
    width: float = 1.0,
    latent: int = 100,
    upsampling: str = "transposed",
    norm: str = "batch",
    discriminator_norm: str = "batch",
    spectral_norm: bool = False,
    output: str = "tanh",
    conditional: bool = False,
) -> DCGAN:
    """A generator and a discriminator with the paper's starting weights, N(0, 0.02).

    Every axis is a power of two, 16 or more; where they differ, the shorter ones stop at 4 samples
    and the others go on. Levels have 64, 128, 256, ... channels, up to 1024, finest first.

    Args:
        latent: numbers in a random vector.
        upsampling: "transposed" as in the paper, or "resize" (and convolve: no checkerboard).
        norm: of the generator: "batch", "instance", "group", "layer" or "none".
        discriminator_norm: likewise; "layer" for a gradient penalty, which needs each item's own.
        spectral_norm: divide the discriminator's weights by their largest singular values.
        output: of the generator: "tanh", "sigmoid" or "linear"; scale real images alike.
        conditional: both halves take labels of `num_classes` classes, which has no meaning
            otherwise: the generator beside its vector, the discriminator by a projection.
    Raises:
        ConfigError: a value that an option cannot take.
        ShapeError: an axis that is no power of two.
    Source: Radford et al. 2016, arXiv:1511.06434 (its discriminator's features classify CIFAR-10
        with 82.8 % accuracy); Odena et al. 2016, doi:10.23915/distill.00003 (resize); Miyato et al.
        2018, arXiv:1802.05957 (spectral norm); Miyato & Koyama 2018, arXiv:1802.05637 (projection).
    """
    check_powers_of_two(input_size)
    plan = Plan(
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        input_size=input_size,
        latent=check_latent(latent),
        classes=num_classes if conditional else 0,
        width=width,
    )
    generator = Generator(plan, norm, upsampling, output)
    return DCGAN(plan, generator, Discriminator(plan, discriminator_norm, spectral=spectral_norm))
