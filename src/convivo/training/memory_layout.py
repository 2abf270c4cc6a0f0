"""Where a network's images lie channels last in memory: the values of a pixel side by side.

oneDNN's kernels for AVX-512 take them as they are; in the usual order they are first copied into
blocks of channels. `Module.to` lays out the weights, and what is computed with them follows.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from convivo.layers.convolution import Convolution
from convivo.layers.normalization import Norm
from convivo.planning.conv_layer import WIDE, lane
from convivo.planning.counting import count
from convivo.planning.tile_kernels import has_tiles

LEAST_CHANNELS = 16  # of the first convolution's answer: a block
NORMS = ("batch", "none")  # others look at one channel after the other


def memory_layout(network: nn.Module, shape: Sequence[int], batch: int) -> str:
    """The order, "channels_last" where images are computed faster so by rule, or "contiguous".

    Weights are put into blocks again at each step, from this order at more cost: it pays where the
    values that convolutions answer outnumber their weights. See `docs/decisions`, 26.

    Args:
        shape: (C, *S) of one input. batch: items of a step.
    """
    if len(shape) != 3 or torch.cuda.is_available() or lane() != WIDE or has_tiles():
        return "contiguous"
    layers = {n: m for n, m in network.named_modules() if isinstance(m, Convolution)}
    norms = {m.kind for m in network.modules() if isinstance(m, Norm)}
    if not layers or not norms <= set(NORMS):
        return "contiguous"
    if next(iter(layers.values())).out_channels < LEAST_CHANNELS:
        return "contiguous"
    weights = sum(layer.weight.numel() for layer in layers.values())
    rows = count(network, shape, batch).layers
    answered = batch * sum(prod(row.output) for row in rows if row.name in layers)
    return "channels_last" if answered >= weights else "contiguous"


def laid_out(network: nn.Module, layout: str) -> nn.Module:
    """The network with its weights in that order; the numbers stay."""
    more: dict[str, Any] = {"memory_format": torch.channels_last}  # torch's types do not know it
    return network if layout == "contiguous" else network.to(**more)
