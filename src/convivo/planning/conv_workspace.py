"""What torch's CPU convolutions take beside their results: columns, or blocks of channels."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from convivo.planning import avx2_kernels, channel_blocks, tile_kernels
from convivo.planning.conv_backend import conv_backend
from convivo.planning.conv_layer import IMAGE, VOLUME, WIDE, Layer, lane

# torch has given the transposed one no name in Python
ONEDNN = ("Mkldnn", "MkldnnTranspose", "???")


def _layer(x: Tensor, weight: Tensor, y_size: Any, settings: tuple, *, bias: bool) -> Layer:
    stride, padding, dilation, transposed, _, groups = settings
    fine, coarse = (y_size, x.shape) if transposed else (x.shape, y_size)
    dims = x.dim() - 2
    return Layer(
        batch=x.shape[0],
        ins=fine[1],
        outs=coarse[1],
        kernel=tuple(weight.shape[2:]),
        stride=tuple(stride) * (dims if len(stride) == 1 else 1),
        padding=tuple(padding) * (dims if len(padding) == 1 else 1),
        dilation=tuple(dilation) * (dims if len(dilation) == 1 else 1),
        groups=groups,
        fine=tuple(fine[2:]),
        coarse=tuple(coarse[2:]),
        bytes=x.itemsize,
        plain=_suggests_last(x) or _suggests_last(weight),
        transposed=transposed,
        biased=transposed and bias,
    )


def _suggests_last(x: Tensor) -> bool:
    """Whether torch takes a tensor of two or three axes for channels last; one sample tells."""
    if x.dim() not in (IMAGE + 2, VOLUME + 2):
        return False
    sizes, strides, least = x.shape, x.stride(), 0
    for axis in (1, *range(x.dim() - 1, 1, -1), 0):
        if not sizes[axis] or strides[axis] < least or (axis == 0 and least == strides[1]):
            return False
        least = strides[axis] * max(sizes[axis], 1)
    return True


def _is_channels_last(x: Tensor) -> bool:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.dim() in formats and x.is_contiguous(memory_format=formats[x.dim()])


def _by_torch(backend: str, layer: Layer, mask: Any = None) -> int:
    """Torch's own kernels; groups they take one after the other, and join the results."""
    columns = _columns(backend, layer, mask)
    if layer.groups == 1 or backend == "Slow3d":
        return columns
    given, result = (layer.y, layer.x) if layer.transposed else (layer.x, layer.y)
    if mask is not None:
        result = given * bool(mask[0]) + layer.w * bool(mask[1])
        given = layer.x + layer.y
    # the channels of a group lie in one piece in a single image only
    parts = given // layer.groups if layer.batch > 1 else 0
    return max(parts + columns, result)


def _columns(backend: str, layer: Layer, mask: Any) -> int:
    """Windows of one group unrolled, of all images or of one; of volumes those of all groups."""
    as_it_is = layer.taps == 1 and not layer.is_strided
    if backend == "Slow2d":
        needless = as_it_is or (mask and not mask[1])
        return 0 if needless else layer.batch * layer.columns
    if backend == "Slow3d":
        needless = as_it_is and layer.groups == 1 and not (mask and mask[0])
        return 0 if needless else layer.batch * layer.groups * layer.columns
    if backend == "SlowTranspose2d" and mask is None:
        return layer.batch * layer.columns
    if "Transpose" in backend or "Dilated" in backend:
        return layer.columns
    return 0


def _copy(tensor: Tensor, *, last: bool) -> int:
    """A copy in the order that the kernel is given, channels `last` or the usual one."""
    dense = _is_channels_last(tensor) if last else tensor.is_contiguous()
    return 0 if dense else tensor.numel() * tensor.itemsize


def _kernels() -> ModuleType:
    """oneDNN's for this processor."""
    if lane() != WIDE:
        return avx2_kernels
    return tile_kernels if tile_kernels.has_tiles() else channel_blocks


def _data(layer: Layer, *, forward: bool) -> int:
    return _kernels().forward(layer) if forward else _kernels().backward_data(layer)


def convolution(args: tuple, out: Any) -> int:
    """Hidden bytes of aten::convolution."""
    x, weight, bias, *settings = args
    layer = _layer(x, weight, out.shape, tuple(settings), bias=bias is not None)
    backend = conv_backend(x, weight, bias, tuple(settings))
    if backend not in ONEDNN:
        return _by_torch(backend, layer) + _copy(x, last=layer.plain)
    transposed = settings[3]
    result = layer.x if transposed else layer.y
    return _data(layer, forward=not transposed) - result + _copy(x, last=layer.plain)


def convolution_by_onednn(args: tuple, out: Any) -> int:
    """Hidden bytes of aten::mkldnn_convolution, whose settings stand in another order."""
    x, weight, bias, padding, stride, dilation, groups = args
    none = [0] * len(stride)
    settings = (stride, padding, dilation, False, none, groups)
    layer = _layer(x, weight, out.shape, settings, bias=bias is not None)
    return _data(layer, forward=True) - layer.y + _copy(x, last=layer.plain)


def convolution_backward(args: tuple, out: Any) -> int:
    """Hidden bytes of aten::convolution_backward."""
    gradient, x, weight, _, *rest = args
    settings, mask = tuple(rest[:-1]), rest[-1]
    layer = _layer(x, weight, gradient.shape, settings, bias=False)
    backend = conv_backend(x, weight, None, settings)
    copies = _copy(x, last=layer.plain) + _copy(gradient, last=layer.plain)
    if backend not in ONEDNN:
        return _by_torch(backend, layer, mask) + copies
    data = _data(layer, forward=settings[3]) if mask[0] else 0
    own = x.numel() * x.itemsize if mask[0] else 0
    weights = own + _kernels().backward_weight(layer) if mask[1] else 0
    results = own + (layer.w if mask[1] else 0)
    return max(data, weights, results) - results + copies


def unwritten(args: tuple) -> int:
    """What of the hidden bytes of aten::convolution_backward no kernel writes to."""
    gradient, x, weight, _, *rest = args
    settings, mask = tuple(rest[:-1]), rest[-1]
    if not mask[1] or conv_backend(x, weight, None, settings) not in ONEDNN:
        return 0
    return _kernels().unwritten(_layer(x, weight, gradient.shape, settings, bias=False))
