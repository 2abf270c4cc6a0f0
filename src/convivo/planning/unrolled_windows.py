"""What oneDNN takes where it unrolls windows into columns, for a product of matrices.

It does so where none of its blocked kernels serves: odd groups, dilation with strides, padding
beyond the image. The last one also for volumes, where it goes slice by slice. Read from allocator
events like everything here; a thread has columns of its own.
"""

import math

import torch

from convivo.planning.conv_layer import IMAGE, NARROW, SINGLE, WIDE, Layer, lane

CACHE = {NARROW: 2**19, WIDE: 2**20}  # of a core, where this was read; it holds columns for y
# The gradient of the weight is shared out to threads, with a copy each, if a thread has fewer
# samples than this of an image, or of a slice.
FEW_SAMPLES = 256
MOST = 2**30  # bytes that threads may take together for it; beyond that one does it all
COPIES = 4  # of the gradient that are asked for; one would do
PAIR = 2  # groups of a single image that are not shared out


def _columns(layer: Layer) -> int:
    """Of one thread: of an image, or of a slice."""
    if layer.taps == 1 and not layer.is_strided and max(layer.padding) == 0:
        return 0
    return layer.columns // (layer.coarse[0] if layer.is_volume else 1)


def _sums(layer: Layer, channels: int, samples: int) -> int:
    """Float32 sums of one image and group, where values are half of that."""
    return channels * samples * SINGLE if layer.is_half else 0


def forward(layer: Layer) -> int:
    """Most bytes at once for y, y itself among them; it is copied once when all is done."""
    samples = math.prod(layer.coarse[1:] if layer.is_volume else layer.coarse)
    scratch = _columns(layer) + _sums(layer, layer.own[1], samples)
    if not layer.is_volume:
        scratch = min(scratch, CACHE[lane()])
    return layer.y + max(torch.get_num_threads() * scratch, layer.y)


def backward_data(layer: Layer) -> int:
    """Likewise for the gradient of x, whose columns are float32."""
    columns = _columns(layer) * SINGLE // layer.bytes
    scratch = columns + _sums(layer, layer.own[0], math.prod(layer.fine))
    second = layer.x if layer.biased else 0
    return layer.x + max(torch.get_num_threads() * scratch + second, layer.x)


def backward_weight(layer: Layer) -> int:
    """Likewise for the gradient of w: four copies of it a thread, in half precision fewer."""
    return layer.w + max(_gradients(layer, _sharers(layer)), layer.w)


def unwritten(layer: Layer) -> int:
    """What of that is asked for and never written to: three of four copies are."""
    return 0 if layer.is_half else (COPIES - 1) * _sharers(layer) * layer.w


def _sharers(layer: Layer) -> int:
    """Threads among which the gradient of w is shared out."""
    threads, samples = torch.get_num_threads(), math.prod(layer.coarse[-IMAGE:])
    alone = layer.batch == 1 and layer.groups <= PAIR
    if alone or samples // threads >= FEW_SAMPLES or _gradients(layer, threads) > MOST:
        return 1
    return threads


def _gradients(layer: Layer, threads: int) -> int:
    """Of so many threads: columns, and copies of the gradient of the weight."""
    single = layer.w * SINGLE // layer.bytes
    copies = 2 * threads + 2 if layer.is_half else COPIES * threads
    return threads * _columns(layer) + copies * single
