"""What the networks share: channels scaled by a width, checks of their input, starting weights."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from convivo.errors import ShapeError
from convivo.geometry import Axes
from convivo.layers import Conv, UpConv
from convivo.layers.kernels import check_input

WEIGHTED = (Conv, UpConv, nn.Linear)


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
