"""What oneDNN's convolutions with groups take: which of its kernels serves, and its layout.

Read from its own report (`ONEDNN_VERBOSE=1`) for some thousand shapes on an AVX-512 machine; the
order in which it tries its kernels is that of cpu_convolution_list.cpp.
"""

import math

from convivo.planning import unrolled_windows
from convivo.planning.conv_layer import NARROW, SINGLE, WIDE, Layer, up

SMALLEST = 4  # channels that a blocked kernel takes as one block
AT_ONCE = 6  # samples of a row that a depthwise kernel computes together
LONG = 14  # taps along the last axis
DEPTHWISE_TAPS = 3  # along an axis, for the gradient of the weight


def _in_blocks(layer: Layer, step: int) -> bool:
    return all(channels % step == 0 for channels in layer.own)


def _padded(layer: Layer) -> tuple[int, int]:
    """Bytes of x and y of a depthwise kernel, whose channels lie in whole blocks."""
    channels = up(layer.ins, WIDE) * layer.batch * layer.bytes
    return channels * math.prod(layer.fine), channels * math.prod(layer.coarse)


def channels_last(layer: Layer, *, forward: bool) -> int:
    """A kernel that computes channels last: its result comes back in two goes."""
    result = layer.y if forward else layer.x
    channels = layer.ins if not forward else layer.outs
    # of a single channel both orders are one
    return max(layer.x + layer.w + layer.y, (3 if channels > 1 else 2) * result)


def _fits(layer: Layer) -> bool:
    """Whether padding is less than what a depthwise kernel computes at once, in a row."""
    stride, pad, length = layer.stride[-1], layer.padding[-1], layer.coarse[-1]
    once = min(AT_ONCE, length)
    beyond = (length - length % once - 1) * stride + layer.reach + 1 - layer.fine[-1] - pad
    return max(pad, beyond) <= once


def forward(layer: Layer) -> int:
    """Most bytes at once for y, y itself among them."""
    if layer.is_depthwise and layer.is_volume:
        return channels_last(layer, forward=True)
    if layer.is_depthwise and _fits(layer):
        x, y = _padded(layer)
        return max(x + layer.w, layer.y) + y
    if not layer.is_depthwise and _in_blocks(layer, SMALLEST):
        return max(layer.x + layer.w + layer.y, 2 * layer.y)
    return unrolled_windows.forward(layer)


def backward_data(layer: Layer) -> int:
    """Likewise for the gradient of x."""
    strided = layer.is_strided
    if layer.is_dilated and strided:
        return unrolled_windows.backward_data(layer)
    if layer.is_depthwise and not layer.is_volume and not (layer.is_half and strided):
        x, y = _padded(layer)
        return max(y + layer.w + x * layer.biased, layer.x) + x
    few = layer.own[1] <= (NARROW if layer.transposed and not layer.is_half else WIDE)
    if not layer.is_depthwise and _in_blocks(layer, SMALLEST) and (few or not strided):
        return max(layer.x * (1 + layer.biased) + layer.w + layer.y, 2 * layer.x)
    if strided and (layer.is_half or not few):
        return channels_last(layer, forward=False)
    return unrolled_windows.backward_data(layer)


def is_small(layer: Layer) -> bool:
    """Whether a depthwise kernel serves for the gradient of the weight."""
    axes = zip(layer.kernel, layer.stride, layer.padding, strict=True)
    fits = all(k <= DEPTHWISE_TAPS and s <= k and p <= k // 2 for k, s, p in axes)
    return fits and not layer.is_volume and not layer.is_dilated


def backward_weight(layer: Layer) -> int:
    """Likewise for the gradient of w."""
    if layer.is_depthwise:
        if not is_small(layer):
            return unrolled_windows.backward_weight(layer)
        return sum(_padded(layer)) + layer.w
    odd = layer.kernel[-1] > LONG or (layer.is_dilated and (layer.is_strided or layer.is_volume))
    flat = layer.is_volume and max(layer.padding) > 0
    narrow = not (layer.is_half or flat or layer.is_dilated)
    if odd or not (_in_blocks(layer, WIDE) or (narrow and _in_blocks(layer, NARROW))):
        return unrolled_windows.backward_weight(layer)
    sums = 0
    if layer.is_half:
        sums = layer.w * SINGLE // layer.bytes
        if layer.taps > 1:
            sums += (layer.x + layer.y) // layer.batch
    return max(layer.x + layer.w + layer.y + sums, 2 * layer.w)
