"""Memory that oneDNN's convolutions need at once on AVX-512, results among it.

It computes in blocks of channels, 16 float32 values in a register, so input, weight and result
are first copied into padded blocks, then the result back. Which of its kernels does so, and in
which order it lets go, was read from torch 2.13's allocator events for thousands of shapes;
scratch of a few ten KiB is left out. For AVX2 see `avx2_kernels`.
"""

import math

import torch

from convivo.geometry import Axes
from convivo.planning import grouped_kernels, unrolled_windows
from convivo.planning.conv_layer import IMAGE, NARROW, SINGLE, WIDE, Layer, up
from convivo.planning.thread_shares import shares

FLAT_BACKWARD = 3  # channels of an image; more are blocked for the gradient of the weight
PANEL = 2**16  # values that a thread packs for a matrix product
CACHE = 2**20  # of a core; 1 MiB where this was read
LONG = 14  # taps along the last axis
PANEL_IN, PANEL_OUT = 13, 16  # blocks of channels that products of points turn round at once


def _blocks(layer: Layer, *, flat_below: int, step: int) -> tuple[int, int, int]:
    """Bytes of the copies of x, w and y."""
    ins, outs = up(layer.ins, step), up(layer.outs, step)
    x, y = layer.batch * ins * math.prod(layer.fine), layer.batch * outs * math.prod(layer.coarse)
    spread = layer.taps > 1 or (layer.is_volume and layer.is_strided)
    if layer.ins < flat_below and spread:
        x, ins = 0, layer.ins
    return x * layer.bytes, ins * outs * layer.taps * layer.bytes, y * layer.bytes


def _has_few(layer: Layer) -> bool:
    """Too few channels for a block, and too many for an image: of no use to AVX-512."""
    return FLAT_BACKWARD < layer.ins < WIDE and layer.taps > 1


def _is_odd(layer: Layer) -> bool:
    """Kernels that have no blocked gradient: long ones, dilated ones but for plain images."""
    blocked = WIDE if layer.is_half else FLAT_BACKWARD + 1
    long = layer.kernel[-1] > LONG and (layer.ins >= blocked or layer.outs < WIDE)
    strided = layer.is_strided and (layer.is_half or len(layer.kernel) >= IMAGE)
    return long or (layer.is_dilated and (strided or layer.is_volume))


def _by_matrix(layer: Layer) -> bool:
    """Whether the gradient of the kernel is a matrix product, of a volume's slice by slice."""
    if _is_odd(layer):
        return True
    if layer.is_dilated and _has_few(layer):
        return True
    narrow = any(0 < p >= n - 1 for p, n in zip(layer.padding, layer.fine, strict=True))
    few = _has_few(layer) and max(layer.padding) > 0
    return layer.is_volume and (narrow or few)


def _sums(layer: Layer, channels: int, grid: Axes) -> int:
    """The float32 sums of one image that bfloat16 kernels of one tap keep, in each thread."""
    if layer.taps > 1 or not layer.is_half:
        return 0
    return torch.get_num_threads() * up(channels, WIDE) * math.prod(grid) * SINGLE


def forward(layer: Layer) -> int:
    """Most bytes at once for y, y itself among them."""
    if layer.padding[-1] > layer.coarse[-1]:  # more than is computed together
        return unrolled_windows.forward(layer)
    if layer.plain:
        return layer.y + layer.w
    if layer.groups > 1:
        return grouped_kernels.forward(layer)
    if is_product(layer):
        panels = torch.get_num_threads() * PANEL * layer.bytes
        return layer.x + layer.w + layer.y + panels
    x, w, y = _blocks(layer, flat_below=WIDE, step=WIDE)
    return max(x + w + y + _sums(layer, layer.outs, layer.coarse), y + layer.y)


def backward_data(layer: Layer) -> int:
    """Likewise for the gradient of x."""
    if layer.reach - layer.padding[-1] > layer.fine[-1]:
        return unrolled_windows.backward_data(layer)
    if layer.plain:
        return layer.x + layer.w + (_padded_images(layer) if layer.is_strided else 0)
    if layer.groups > 1:
        return grouped_kernels.backward_data(layer)
    if is_product(layer):
        return max(layer.x + layer.w, 3 * layer.x)
    if layer.is_strided and layer.is_dilated:
        return unrolled_windows.backward_data(layer)
    if layer.is_strided:
        return _channels_last(layer)
    x, w, y = _blocks(layer, flat_below=0, step=WIDE)
    y += x * layer.biased
    return max(x + w + y + _sums(layer, layer.ins, layer.fine), x + layer.x)


def _channels_last(layer: Layer) -> int:
    """With strides: channels last inside, a padded image for each thread, then back in two goes."""
    w = layer.w // layer.ins * up(layer.ins, WIDE)
    # of a single channel both orders are one
    copies = 3 if layer.ins > 1 else 2
    return max(layer.y + w + layer.x + _padded_images(layer), copies * layer.x)


def _padded_images(layer: Layer) -> int:
    """An image for each thread, with what the kernel meets beyond it."""
    over = [2 * (k > s) for k, s in zip(layer.kernel, layer.stride, strict=True)]
    grid = math.prod(n + more for n, more in zip(layer.coarse, over, strict=True))
    return torch.get_num_threads() * layer.outs * grid * layer.bytes


def backward_weight(layer: Layer) -> int:
    """Likewise for the gradient of w."""
    if layer.groups > 1 and not layer.plain:
        return grouped_kernels.backward_weight(layer)
    if is_product(layer):
        return max(layer.x + layer.w, 3 * layer.w)
    if layer.is_half:
        return _backward_weight_half(layer)
    if _by_matrix(layer):
        return unrolled_windows.backward_weight(layer)
    if layer.plain:
        return (2 + max(1, shares(layer) - 1)) * layer.w
    step = NARROW if _has_few(layer) else WIDE
    x, w, y = _blocks(layer, flat_below=FLAT_BACKWARD + 1, step=step)
    return max(shares(layer) * w + x + y, w + layer.w)


def unwritten(layer: Layer) -> int:
    """Bytes of what `backward_weight` needs that no kernel writes to."""
    plain = layer.groups > 1 or layer.is_half or is_product(layer)
    return 0 if plain or not _by_matrix(layer) else unrolled_windows.unwritten(layer)


def _backward_weight_half(layer: Layer) -> int:
    """In bfloat16: sums in float32, and transposed images but for points of images."""
    few = layer.ins < WIDE and layer.taps > 1
    uneven = layer.outs % WIDE > 0 if layer.ins > FLAT_BACKWARD else layer.outs < WIDE
    if _is_odd(layer) or (few and uneven):
        return unrolled_windows.backward_weight(layer)
    if layer.plain:
        return _plain_half(layer)
    x, w, y = _blocks(layer, flat_below=WIDE, step=WIDE)
    # a single image of points is shared out, too
    count = torch.get_num_threads() if layer.taps == 1 and layer.batch == 1 else shares(layer)
    sums = w * SINGLE // layer.bytes + _turned(layer, x, y)
    return max(x + w + y + count * sums, w + layer.w)


def _turned(layer: Layer, x: int, y: int) -> int:
    """What each thread turns round, so that pairs of samples lie side by side."""
    if layer.taps > 1:
        image = (x + y) // layer.batch
        first = layer.ins <= FLAT_BACKWARD and not layer.is_volume and image > CACHE
        # one block after the other
        return WIDE * math.prod(layer.coarse) * layer.bytes if first else image
    return 0 if len(layer.kernel) == IMAGE else _panels(layer)


def _panels(layer: Layer) -> int:
    """Of points, as many blocks of channels as are turned at once."""
    blocks = _divisor(layer.ins, PANEL_IN) + _divisor(layer.outs, PANEL_OUT)
    return blocks * WIDE * math.prod(layer.coarse) * layer.bytes


def _plain_half(layer: Layer) -> int:
    """Channels last nothing is copied, but each thread turns round what it takes."""
    sums = shares(layer) * layer.w * SINGLE // layer.bytes
    if layer.taps > 1:
        ins, outs = (up(channels, WIDE) for channels in (layer.ins, layer.outs))
        image = ins * math.prod(layer.fine) + outs * math.prod(layer.coarse)
        return layer.w + sums + shares(layer) * image * layer.bytes
    seen = layer.ins * math.prod(layer.coarse) * layer.bytes if layer.is_strided else 0
    return layer.w + sums + torch.get_num_threads() * (_panels(layer) + seen)


def _divisor(channels: int, most: int) -> int:
    """As many blocks at once as divide them all."""
    blocks = up(channels, WIDE) // WIDE
    return max(n for n in range(1, most + 1) if blocks % n == 0)


def is_product(layer: Layer) -> bool:
    """A kernel as large as the grid is a fully connected layer, computed channels last."""
    alone = layer.groups == 1 and max(layer.padding) == 0 and layer.taps > 1
    return alone and layer.kernel == layer.fine and not layer.plain
