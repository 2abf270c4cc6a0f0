"""Starting weights by name, for whoever wants others than a network's paper has."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convivo.architectures.blocks import WEIGHTED
from convivo.layers import Conv, UpConv
from convivo.layers.kernels import check_choice

# fills a weight, given the fan in of its layer and, as `restart` does, its fan out and groups
Draw = Callable[..., object]

POWER_STEPS = 15  # as many as torch takes when it sets up a spectral norm


def fans(layer: nn.Module) -> tuple[float, float]:
    """How many inputs one output sums up, and how many outputs one input goes into, on average.

    A stride leaves out outputs of a convolution, and inputs between those of a transposed one; a
    group sees its own channels only.

    Example:
        >>> fans(Conv(4, 8, 3)), fans(UpConv(8, 4, 2)), fans(nn.Linear(5, 7))
        ((36.0, 72.0), (8.0, 16.0), (5.0, 7.0))
    """
    if isinstance(layer, nn.Linear):
        return float(layer.in_features), float(layer.out_features)
    if not isinstance(layer, Conv | UpConv):
        raise TypeError(type(layer).__name__)
    taps, step = math.prod(layer.kernel_size), math.prod(layer.stride)
    ins, outs = (c / layer.groups * taps for c in (layer.in_channels, layer.out_channels))
    return (ins / step, outs) if isinstance(layer, UpConv) else (ins, outs / step)


def _normal(weight: Tensor, variance: float) -> None:
    nn.init.normal_(weight, std=math.sqrt(variance))


def _uniform(weight: Tensor, variance: float) -> None:
    bound = math.sqrt(3 * variance)
    nn.init.uniform_(weight, -bound, bound)


def _mean(weight: Tensor, ins: float, outs: float | None) -> float:
    """The mean of both fans; the fan out is that of a plain layer where it is not given."""
    return (ins + (weight[:, 0].numel() if outs is None else outs)) / 2


def _orthogonal(weight: Tensor, ins: float, outs: float | None = None, groups: int = 1) -> None:
    with torch.no_grad():
        for group in weight.chunk(groups):
            nn.init.orthogonal_(group, gain=math.sqrt(2))


INITIALISATIONS: dict[str, Draw] = {
    "he_normal": lambda w, ins, *_: _normal(w, 2 / ins),
    "he_uniform": lambda w, ins, *_: _uniform(w, 2 / ins),
    "glorot_normal": lambda w, ins, outs=None, *_: _normal(w, 1 / _mean(w, ins, outs)),
    "glorot_uniform": lambda w, ins, outs=None, *_: _uniform(w, 1 / _mean(w, ins, outs)),
    "lecun_normal": lambda w, ins, *_: _normal(w, 1 / ins),
    "lecun_uniform": lambda w, ins, *_: _uniform(w, 1 / ins),
    "orthogonal": _orthogonal,
}


def restart(net: nn.Module, init: str) -> None:
    """Draw the weights of all convolutions and linear layers anew, biases zero; or leave "paper".

    Normalisations, embeddings and a paper's own layers (LeNet-5's subsampling) keep theirs.

    Args:
        init: "paper" or a key of `INITIALISATIONS`. "he": variance 2 / fan in, for ReLU (He et al.
            2015, arXiv:1502.01852); "glorot": 2 / (fan in + fan out), for tanh (Glorot & Bengio
            2010); "lecun": 1 / fan in (LeCun et al. 1998, Efficient BackProp, eq. 16);
            "orthogonal": each group's matrix keeps lengths, times sqrt(2) for ReLU (Saxe et al.
            2014, arXiv:1312.6120). Differs: fans of strided layers, see `fans`.
    Raises:
        ConfigError: an unknown name; the message gives the nearest one.
    """
    check_choice(init, ("paper", *INITIALISATIONS), "net.init")
    if init == "paper":
        return
    for layer in net.modules():
        if isinstance(layer, WEIGHTED):
            groups = 1 if isinstance(layer, nn.Linear) else layer.groups
            INITIALISATIONS[init](_learnt(layer), *fans(layer), groups)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            _settle(layer)


def _learnt(layer: nn.Module) -> Tensor:
    """The weight that is stored: where it is parametrised (spectral norm), the original."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.get_parameter("parametrizations.weight.original")
    return layer.get_parameter("weight")


def _settle(layer: nn.Module) -> None:
    """Let a spectral norm find the largest singular value of its new weight."""
    if not parametrize.is_parametrized(layer, "weight"):
        return
    training = layer.training
    layer.train()
    with torch.no_grad():
        for _ in range(POWER_STEPS):  # each look at the weight is a step of the power iteration
            layer.weight  # noqa: B018
    layer.train(training)
