"""Results of convolutions and pooling from their known shapes: part of the `shortcuts`.

A rule answers for tensors in the usual order of axes alone; elsewhere torch must say.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convivo.geometry import Axes
from convivo.planning.makers import Maker, Rule, dense, in_order


def _axes(values: Sequence[int], dims: int) -> Sequence[int]:
    """One number may stand for all axes."""
    return list(values) * dims if len(values) == 1 else values


def _slid(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    *,
    ceil: bool = False,
) -> Axes | None:
    """Windows per axis; a last one that begins beyond the samples does not count."""
    found = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        windows = room // s + 1
        if ceil and room % s and windows * s < n + p:
            windows += 1
        found.append(windows)
    return tuple(found) if min(found) > 0 else None


def _convolution(
    make: Maker,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    alike = x.dtype == weight.dtype and (bias is None or bias.dtype == x.dtype)
    if not alike or x.dim() != weight.dim() or not dense(x, weight):
        return NotImplemented
    batch, channels, *size = x.shape
    first, second, *kernel = weight.shape
    dims = len(size)
    rows = [_axes(row, dims) for row in (stride, padding, dilation)]
    if channels != (first if transposed else second * groups) or first % groups or not batch:
        return NotImplemented
    if transposed:
        more = _axes(output_padding, dims)
        parts = zip(size, kernel, *rows, more, strict=True)
        made = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 + o for n, k, s, p, d, o in parts)
        sizes = (batch, second * groups, *made)
        return make.blank(sizes, x.dtype) if min(made) > 0 else NotImplemented
    made = _slid(size, kernel, *rows)
    return NotImplemented if made is None else make.blank((batch, first, *made), x.dtype)


def _convolution_by_onednn(
    make: Maker,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    return _convolution(make, x, weight, bias, stride, padding, dilation, False, (0,), groups)


def _convolution_backward(
    make: Maker, gradient: Tensor, x: Tensor, weight: Tensor, bias: Sequence[int] | None, *rest: Any
) -> Any:
    mask = rest[-1]
    usual = in_order(gradient) and dense(x, weight)
    if not usual or not gradient.dtype == x.dtype == weight.dtype:
        return NotImplemented
    shapes = (x.shape, weight.shape, tuple(bias or ()))
    pairs = zip(shapes, mask, strict=True)
    return tuple(make.blank(shape, x.dtype) if wanted else None for shape, wanted in pairs)


def _pool(make: Maker, x: Tensor, windows: tuple, formats: tuple[torch.dtype, ...]) -> Any:
    """windows: kernel, stride, padding, dilation, and whether the last may hang over."""
    kernel, stride, padding, dilation, ceil = windows
    dims = len(kernel)
    if not dense(x) or x.dim() != dims + 2 or not x.numel():
        return NotImplemented
    rows = [_axes(row, dims) for row in (stride or kernel, padding, dilation)]
    size = _slid(x.shape[2:], kernel, *rows, ceil=ceil)
    if size is None:
        return NotImplemented
    made = tuple(make.blank((*x.shape[:2], *size), dtype) for dtype in formats)
    return made if len(made) > 1 else made[0]


def _max_pool(
    make: Maker,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil: bool = False,
) -> Any:
    if len(kernel) == 1:
        return NotImplemented
    return _pool(make, x, (kernel, stride, padding, dilation, ceil), (x.dtype, torch.int64))


def _avg_pool(
    make: Maker,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil: bool = False,
    *rest: Any,
) -> Any:
    if len(kernel) == 1:
        return NotImplemented
    return _pool(make, x, (kernel, stride, padding, (1,), ceil), (x.dtype,))


def _adaptive(make: Maker, x: Tensor, size: Sequence[int]) -> Any:
    if not dense(x) or x.dim() != len(size) + 2:
        return NotImplemented
    return make.blank((*x.shape[:2], *size), x.dtype)


def _of_the_input(make: Maker, gradient: Tensor, x: Tensor, *rest: Any) -> Any:
    """The gradient of an input that a window has looked at."""
    fits = dense(gradient, x) and gradient.dtype == x.dtype
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def _unpool(make: Maker, x: Tensor, places: Tensor, size: Sequence[int], *rest: Any) -> Any:
    if not dense(x, places) or x.dim() != len(size) + 2:
        return NotImplemented
    return make.blank((*x.shape[:2], *size), x.dtype)


WINDOWS: dict[str, Rule] = {
    "aten::convolution": _convolution,
    "aten::convolution_backward": _convolution_backward,
    "aten::mkldnn_convolution": _convolution_by_onednn,
    **dict.fromkeys((f"aten::max_pool{d}d_with_indices" for d in (2, 3)), _max_pool),
    **dict.fromkeys((f"aten::max_pool{d}d_with_indices_backward" for d in (2, 3)), _of_the_input),
    **dict.fromkeys((f"aten::avg_pool{d}d" for d in (2, 3)), _avg_pool),
    **dict.fromkeys((f"aten::avg_pool{d}d_backward" for d in (2, 3)), _of_the_input),
    **dict.fromkeys((f"aten::_adaptive_avg_pool{d}d" for d in (2, 3)), _adaptive),
    **dict.fromkeys((f"aten::_adaptive_avg_pool{d}d_backward" for d in (2, 3)), _of_the_input),
    **dict.fromkeys((f"aten::max_unpool{d}d" for d in (2, 3)), _unpool),
}
