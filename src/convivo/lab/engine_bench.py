"""What view 1 is held against: the layers of convivo on the page's own region and kernel.

Runs in the worker. Arrays come as the path of a .npy file (C, *S) and go back as (*T).
"""

import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from convivo.geometry import Axes, Sides
from convivo.layers import Conv, Pool, TrueConv, Unpool, UpConv


@dataclass(frozen=True)
class Wish:
    """One operation on a region of one channel; sizes are one integer an axis.

    op: conv, pool, unpool, transposed. kernel: window of pooling, taps of a convolution, factor of
    unpooling. weights: float32 values of the kernel, row by row. kind: of pooling or unpooling.
    extra: output_padding. middle: "same", or "count": pooled values are replaced by 1, 2, 3 ...
    before they are put back, so that it shows which goes where. places: answer with the places of
    the maxima instead of their values.
    """

    op: str
    channel: int
    region: Sides
    kernel: Axes
    weights: tuple[float, ...]
    bias: float
    flip: bool
    stride: Axes
    dilation: Axes
    padding: Sides
    mode: str
    kind: str
    count_padding: bool
    extra: Axes
    middle: str
    places: bool


@dataclass(frozen=True)
class Answer:
    """The array, the layer in its own words, and milliseconds of its forward pass."""

    values: np.ndarray
    layer: str
    milliseconds: float


def carry_out(path: Path, wish: Wish) -> Answer:
    """The operation, done by the layer.

    Raises:
        ConfigError, ShapeError: it cannot be done on this region.
    """
    stored = np.load(path, mmap_mode="r", allow_pickle=False)
    part = stored[(wish.channel, *(slice(a, b) for a, b in wish.region))]
    x = torch.from_numpy(np.array(part, dtype=np.float32))[None, None]
    work = {"conv": _convolve, "pool": _pool, "unpool": _unpool, "transposed": _transpose}
    started = time.perf_counter()
    with torch.no_grad():
        out, layer = work[wish.op](x, wish)
    spent = 1000 * (time.perf_counter() - started)
    values = out[0, 0].numpy()
    kept = np.int32 if wish.places else np.float32
    return Answer(values.astype(kept), f"{type(layer).__name__}({layer.extra_repr()})", spent)


def _dims(wish: Wish) -> int:
    return len(wish.region)


def _filled(layer: Conv | UpConv, wish: Wish) -> None:
    values = torch.tensor(wish.weights, dtype=torch.float32).view(1, 1, *wish.kernel)
    layer.weight.data = values
    if layer.bias is not None:
        layer.bias.data = torch.tensor([wish.bias], dtype=torch.float32)


def _convolve(x: Tensor, wish: Wish) -> tuple[Tensor, nn.Module]:
    kind = TrueConv if wish.flip else Conv
    layer = kind(
        1, 1, wish.kernel, spatial_dims=_dims(wish), stride=wish.stride, padding=wish.padding,
        dilation=wish.dilation, bias=wish.bias != 0, padding_mode=wish.mode,
    )  # fmt: skip
    _filled(layer, wish)
    return layer(x), layer


def _transpose(x: Tensor, wish: Wish) -> tuple[Tensor, nn.Module]:
    layer = UpConv(
        1, 1, wish.kernel, spatial_dims=_dims(wish), stride=wish.stride, padding=wish.padding,
        output_padding=wish.extra, dilation=wish.dilation, bias=wish.bias != 0,
        padding_mode=wish.mode,
    )  # fmt: skip
    _filled(layer, wish)
    return layer(x), layer


def _pooling(wish: Wish, kind: str, *, indices: bool) -> Pool:
    return Pool(
        wish.kernel, kind=kind, spatial_dims=_dims(wish), stride=wish.stride,
        padding=wish.padding, dilation=wish.dilation if kind == "max" else 1,
        count_padding=wish.count_padding if kind == "avg" else True, return_indices=indices,
    )  # fmt: skip


def _pool(x: Tensor, wish: Wish) -> tuple[Tensor, nn.Module]:
    layer = _pooling(wish, wish.kind, indices=wish.places)
    out = layer(x)
    return (out[1], layer) if isinstance(out, tuple) else (out, layer)


def _unpool(x: Tensor, wish: Wish) -> tuple[Tensor, nn.Module]:
    if wish.kind != "max":
        layer = Unpool(wish.kernel, kind=wish.kind, spatial_dims=_dims(wish))
        return layer(x), layer
    pool = _pooling(wish, "max", indices=True)
    values, places = pool(x)
    if wish.middle == "count":
        values = torch.arange(1, prod(values.shape) + 1, dtype=x.dtype).view(values.shape)
    layer = Unpool(pool=pool)
    return layer(values, places, tuple(x.shape[2:])), layer
