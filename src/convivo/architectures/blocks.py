"""What the networks share: channels scaled by a width, checks of their input, starting weights."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes, per_axis
from convivo.layers import Conv, Pool, UpConv
from convivo.layers.kernels import check_choice, check_input

WEIGHTED = (Conv, UpConv, nn.Linear)
# stem -> kernel of its convolution, stride where none is given, max pooling behind it
STEMS = {"published": (7, 2, True), "medium": (3, 2, False), "small": (3, 1, False)}


@dataclass(frozen=True)
class Stem:
    """How a network begins: a convolution, and maximum pooling of 3 by the same stride."""

    kernel: int
    stride: Axes
    pooled: bool

    @property
    def total_stride(self) -> Axes:
        return tuple(s * s if self.pooled else s for s in self.stride)

    @property
    def is_level(self) -> bool:
        """The convolution's output has a resolution of its own, finer than what follows."""
        return self.total_stride != self.stride

    def strides(self, factors: Sequence[int]) -> tuple[Axes, ...]:
        """Total stride at each resolution, finest first, if the grids behind step by `factors`."""
        behind = [tuple(f * s for s in self.total_stride) for f in factors]
        return (self.stride, *behind) if self.is_level else tuple(behind)


def plan_stem(stem: str, stem_stride: int | Sequence[int] | None, spatial_dims: int) -> Stem:
    """A stem by its word, see `STEMS`; `stem_stride` replaces its stride.

    Raises:
        ConfigError: an unknown word, or a stride below 1.
        ShapeError: strides for another number of axes.
    Example:
        >>> plan_stem("published", (1, 2, 2), 3).total_stride
        (1, 4, 4)
    """
    kernel, default, pooled = STEMS[check_choice(stem, tuple(STEMS), "net.stem")]
    stride = per_axis(default if stem_stride is None else stem_stride, spatial_dims, "stem_stride")
    if min(stride) < 1:
        raise ConfigError("net.stem_stride", "every stride is at least 1", stride, "Give 1 or 2")
    return Stem(kernel, stride, pooled)


def scaled(channels: int, width: float) -> int:
    """Channels times width, rounded, at least one.

    Example:
        >>> scaled(64, 1.0), scaled(64, 0.25), scaled(6, 0.1)
        (64, 16, 1)
    """
    return max(1, round(channels * width))


def check_network_input(
    x: Tensor, channels: int, spatial_dims: int, where: str, check_size: Callable[[Axes], None]
) -> None:
    """Refuse an input that a network cannot take, before its layers speak of themselves.

    Skipped while torch traces the network: what is exported has no use for it.

    Raises:
        ShapeError: wrong rank or channels, or whatever `check_size` says.
    """
    if torch.compiler.is_compiling():
        return
    check_input(x, spatial_dims, channels, where)
    check_size(tuple(x.shape[2:]))


def check_least(size: Axes, least: Axes, where: str, reason: str) -> None:
    """Refuse axes below `least`, naming the nearest size that works.

    Raises:
        ShapeError: an axis is too short.
    """
    if all(n >= m for n, m in zip(size, least, strict=True)):
        return
    need = tuple(max(n, m) for n, m in zip(size, least, strict=True))
    remedy = f"Pad or resample to {need}"
    raise ShapeError(where, f"every axis needs at least {least} samples {reason}", size, remedy)


def fan_in(layer: nn.Module) -> float:
    """How many inputs one output of a convolution or linear layer sums up.

    A transposed convolution's kernels overlap prod(kernel / stride) times.

    Example:
        >>> fan_in(Conv(4, 8, 3)), fan_in(UpConv(8, 4, 2))
        (36.0, 8.0)
    """
    if isinstance(layer, UpConv):
        taps = math.prod(layer.kernel_size) / math.prod(layer.stride)
        return layer.in_channels / layer.groups * taps
    return float(layer.get_parameter("weight")[0].numel())


def initialise(net: nn.Module, draw: Callable[[Tensor, float], object]) -> None:
    """Draw every weight of convolutions and linear layers anew, set their biases to zero.

    `draw` gets a weight to fill and the fan-in of its layer.
    """
    for layer in net.modules():
        if isinstance(layer, WEIGHTED):
            draw(layer.weight, fan_in(layer))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Features(nn.Sequential):
    """Layers in a row that answer with the last tensor at each resolution, finest first.

    Shape: (N, C, *S) -> [(N, C_i, *S_i)]: the input of every `Pool`, then the last output.
    """

    def forward(self, input: Tensor) -> list[Tensor]:
        x, outputs = input, []
        for layer in self:
            if isinstance(layer, Pool):
                outputs.append(x)
            x = layer(x)
        return [*outputs, x]

    def last(self, x: Tensor) -> Tensor:
        """The last output alone: the tensors before it are not kept alive."""
        for layer in self:
            x = layer(x)
        return x
