"""Memory that oneDNN's bfloat16 convolutions need at once on processors with matrix tiles (AMX).

They compute channels last: what is given comes in another order first, and the result goes back in
two goes. Copies are exact; the scratch of each thread (a padded image, pairs of samples turned
round) is chosen by oneDNN's own search for block sizes, and told here as the share of an image that
is met at the median of some 1,500 drawn shapes, with torch 2.13 and 1, 2 and 4 threads. Everything
else is as on AVX-512: see `channel_blocks`.
"""

import math
import os
from functools import cache

import torch

from convivo.geometry import Axes
from convivo.planning import channel_blocks
from convivo.planning.conv_layer import IMAGE, SINGLE, WIDE, Layer, up

SMALL_KERNEL = 2**20  # bytes; a smaller one that reaches far beyond is unrolled as on AVX-512
SCRATCH = 2**14  # of each thread, whatever the shape
MOST_OF_IMAGE = 700 * 2**10  # an image's rows that a thread has at once
MOST_TURNED = 2**19
# Shares of an image by its axes: rows with their padding, of the input; samples turned round.
ROWS, TURNED = (1.1, 0.45, 0.5), (1.0, 0.3, 1.2)
STRIDED_ROWS, STRIDED_TURNED = (2.0, 0.75, 0.5), (1.0, 0.85, 1.85)
STRIDED_BACK = 1.2
POINTS_TURNED = (1.1, 0.26, 1.01)
GROUPS_TURNED = 1.2  # of images, by all threads together


@cache
def has_tiles() -> bool:
    """Whether this processor computes products of bfloat16 in tiles, and oneDNN is let."""
    known = getattr(torch.cpu, "_is_amx_tile_supported", None)
    most = os.environ.get("ONEDNN_MAX_CPU_ISA", "AMX").upper()
    return bool(known and known()) and any(word in most for word in ("AMX", "ALL", "DEFAULT"))


def _serves(layer: Layer) -> bool:
    """Whether the kernels are those of this file."""
    dilated = layer.is_dilated and (layer.is_strided or layer.is_volume)
    return layer.is_half and not (layer.is_depthwise or layer.plain or dilated)


def _last(channels: int, grid: Axes, layer: Layer) -> int:
    """Bytes of a copy in the other order; of a single channel both orders are one."""
    return channels * layer.batch * math.prod(grid) * layer.bytes if channels > 1 else 0


def _rows(layer: Layer, channels: int, grid: Axes, *, back: bool) -> int:
    """What threads copy of an image to have its border beside it."""
    threads, axes = torch.get_num_threads(), len(layer.kernel)
    if layer.taps == 1 and not layer.is_strided:
        return threads * SCRATCH
    padded = [n + 2 * p for n, p in zip(grid[1:], layer.padding[1:], strict=True)]
    image = up(channels, 2) * math.prod((grid[0], *padded)) * layer.bytes
    if layer.is_strided and back:
        return threads * (SCRATCH + int(STRIDED_BACK * image))
    share = (STRIDED_ROWS if layer.is_strided else ROWS)[axes - 1]
    part = min(image * share, MOST_OF_IMAGE) if axes == IMAGE else image * share
    return threads * (SCRATCH + int(part))


def forward(layer: Layer) -> int:
    """Most bytes at once for y, y itself among them."""
    beyond = layer.padding[-1] > layer.coarse[-1]
    if not _serves(layer) or (beyond and not layer.is_volume and layer.w < SMALL_KERNEL):
        return channel_blocks.forward(layer)
    x, y = _last(layer.ins, layer.fine, layer), _last(layer.outs, layer.coarse, layer)
    w = _kernel(layer)
    rows = _rows(layer, layer.ins, layer.fine, back=False)
    return max(rows + x + w + layer.y, 3 * y)


def backward_data(layer: Layer) -> int:
    """Likewise for the gradient of x."""
    beyond = layer.reach - layer.padding[-1] > layer.fine[-1]
    if not _serves(layer) or (beyond and layer.w < SMALL_KERNEL):
        return channel_blocks.backward_data(layer)
    x, y = _last(layer.ins, layer.fine, layer), _last(layer.outs, layer.coarse, layer)
    w = _kernel(layer)
    rows = _rows(layer, layer.outs, layer.coarse, back=True)
    return max(y + w + layer.x + rows + x * layer.biased, 3 * x)


def backward_weight(layer: Layer) -> int:
    """Likewise for the gradient of w."""
    if not _serves(layer) or channel_blocks.is_product(layer):
        return channel_blocks.backward_weight(layer)
    x, y = _last(layer.ins, layer.fine, layer), _last(layer.outs, layer.coarse, layer)
    w = _kernel(layer)
    threads = torch.get_num_threads()
    # where the kernel is larger than what it meets, threads share its channels, not the batch
    parts = 1 if w > layer.x + layer.y else min(threads, layer.batch)
    sums = parts * w * SINGLE // layer.bytes
    return max(x + y + w + sums + threads * _turned(layer), w + layer.w)


def _kernel(layer: Layer) -> int:
    """Bytes of the kernel in whole blocks of channels."""
    ins, outs = layer.own
    return layer.groups * up(ins, WIDE) * up(outs, WIDE) * layer.taps * layer.bytes


def _turned(layer: Layer) -> int:
    """What a thread turns round, so that pairs of samples lie side by side."""
    axes = len(layer.kernel)
    ins, outs = (layer.groups * up(channels, WIDE) for channels in layer.own)
    fine, coarse = ins * math.prod(layer.fine), outs * math.prod(layer.coarse)
    if layer.groups > 1 and axes == IMAGE:
        return int((fine + coarse) * layer.bytes * GROUPS_TURNED) // torch.get_num_threads()
    if layer.is_strided:
        share = STRIDED_TURNED[axes - 1]
    else:
        share = (TURNED if layer.taps > 1 else POINTS_TURNED)[axes - 1]
    image = int((fine + coarse) * layer.bytes * share)
    return min(image, MOST_TURNED) if axes == IMAGE and not layer.is_strided else image


def unwritten(layer: Layer) -> int:
    """Bytes of what `backward_weight` needs that no kernel writes to."""
    return 0 if layer.is_half else channel_blocks.unwritten(layer)
