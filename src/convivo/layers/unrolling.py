"""Convolution of volumes piece by piece, where torch would unroll all windows of one at once.

For a single volume with few channels torch 2.13 takes a kernel of its own on CPUs (`slow_conv3d`):
it copies every window into columns, 27 times the volume for kernels of 3, and multiplies them with
the weights. Of a tile of 64 that is more than all the rest of a small network holds. The same
kernel on a few rows after the other gives the same numbers from columns that stay in the cache,
in half the time where there are many (`tests/layers/test_unrolled_volumes.py`).
"""

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from convivo.geometry import Axes
from convivo.layers.precision import conv3d

PIECE = 4 * 2**20  # bytes of columns at once
# N C S1 S2 up to which torch takes its own kernel (ATen/native/Convolution.cpp, `use_mkldnn`)
FEW = 20_480
LARGE = 3  # kernels beyond it, on both of the last axes, are never its own
# With fewer output channels the product has other kernels, which round otherwise where it ends.
LEAST_OUTPUTS = 4


def conv3d_in_pieces(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    groups: int,
) -> Tensor:
    """`precision.conv3d`, in pieces along the first spatial axis where that takes less memory.

    Only in inference mode: the gradient would need all columns again, and who follows a network's
    layers one by one, as for its receptive field, is shown the layer and not its pieces.
    """
    size = _output(x.shape, weight.shape, padding)
    rows = size[0]
    if torch.is_inference_mode_enabled() and is_unrolled(x, weight, stride, dilation, groups):
        rows = max(1, PIECE // max(1, 4 * prod(weight.shape[1:]) * prod(size[1:])))
    if rows >= size[0]:
        return conv3d(x, weight, bias, stride, padding, dilation, groups)
    # before the pieces: what they leave behind is then one hole of the heap
    result = x.new_empty((1, len(weight), *size))
    for start in range(0, size[0], rows):
        stop = min(start + rows, size[0])
        seen = _rows(x, start - padding[0], stop - 1 + weight.shape[2] - padding[0])
        result[:, :, start:stop] = F.conv3d(seen, weight, bias, 1, (0, *padding[1:]))
    return result


def is_unrolled(x: Tensor, weight: Tensor, stride: Axes, dilation: Axes, groups: int) -> bool:
    """Whether torch unrolls the windows of x (N, C, *S), and pieces give the same numbers.

    A trace on shapes alone is told what the real pass does; a program that is exported stays whole.
    """
    if torch.compiler.is_compiling() or x.device.type not in ("cpu", "meta"):
        return False
    if x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    kernel = weight.shape[2:]
    return (
        x.shape[0] == groups == max(stride) == max(dilation) == 1
        and prod(kernel[-2:]) > 1
        and min(kernel[-2:]) <= LARGE
        and prod(x.shape[:4]) <= FEW
        and weight.shape[0] >= LEAST_OUTPUTS
    )


def _rows(x: Tensor, start: int, stop: int) -> Tensor:
    """Rows of the first spatial axis, zeros beyond its ends."""
    count = x.shape[2]
    rows = x[:, :, max(start, 0) : min(stop, count)]
    missing = max(-start, 0), max(stop - count, 0)
    return F.pad(rows, (0, 0, 0, 0, *missing)) if any(missing) else rows


def _output(size: Sequence[int], weight: Sequence[int], padding: Axes) -> Axes:
    """Spatial sizes of the output, of kernels that move by one."""
    rows = zip(size[2:], weight[2:], padding, strict=True)
    return tuple(n + 2 * p - k + 1 for n, k, p in rows)
