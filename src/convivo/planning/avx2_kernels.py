"""Memory that oneDNN's convolutions need at once on AVX2, results among it.

They know float32 alone and compute in blocks of 8 channels. Which kernel serves follows oneDNN
3.12: the order of cpu_convolution_list.cpp, the conditions of jit_avx2_conv_kernel_f32.cpp,
jit_avx2_1x1_conv_kernel_f32.cpp and jit_uni_dw_conv_kernel_utils.cpp; checked against allocator
events of torch 2.13 for a thousand shapes. What none of them takes is unrolled into windows.
"""

import math

import torch

from convivo.planning import grouped_kernels, unrolled_windows
from convivo.planning.conv_layer import IMAGE, NARROW, SINGLE, Layer, up
from convivo.planning.thread_shares import Reduction, sums

AT_ONCE, DEPTHWISE_AT_ONCE, MOST_AT_ONCE = 3, 4, 7  # samples of a row computed together
LARGE = 7  # taps along the last axis; more of them do not go with padding and strides
LONG = 13  # likewise, for the gradient of the weight
FLAT = 3  # channels of an image that the gradient of the weight reads as they are
MOST = 2**31 - 1  # bytes of a tensor of which the gradient of the weight is taken in blocks
JOBS = 2**21  # values that threads may sum up apart from each other
IN_JOBS, OUT_JOBS = 9, 32  # blocks of channels that one job of a product of points takes at most


def forward(layer: Layer) -> int:
    """Most bytes at once for y, y itself among them."""
    if layer.plain:
        return layer.y + layer.w
    if layer.is_depthwise and layer.is_volume:
        return grouped_kernels.channels_last(layer, forward=True)
    if _is_depthwise(layer) and _covers(layer, min(DEPTHWISE_AT_ONCE, layer.coarse[-1])):
        x, w, y = _blocks(layer, flat=False)
        return max(x + w + y, layer.y + y)
    if not _runs_in_blocks(layer):
        return unrolled_windows.forward(layer)
    x, w, y = _blocks(layer, flat=layer.own[0] < NARROW and layer.taps > 1)
    return max(x + w + y + _gathered(layer, layer.ins), y + layer.y)


def backward_data(layer: Layer) -> int:
    """Likewise for the gradient of x."""
    if layer.plain:
        return layer.x + layer.w
    if _is_outside(layer) or (layer.is_strided and layer.is_dilated):
        return unrolled_windows.backward_data(layer)
    depthwise = _is_depthwise(layer)
    if layer.is_strided and not depthwise and (layer.groups == 1 or layer.own[1] > NARROW):
        return _channels_last(layer)
    if not (depthwise or _goes_back_in_blocks(layer)):
        return unrolled_windows.backward_data(layer)
    x, w, y = _blocks(layer, flat=False)
    return max(x * (1 + layer.biased) + w + y, x + layer.x)


def backward_weight(layer: Layer) -> int:
    """Likewise for the gradient of w."""
    if layer.plain:
        return 2 * layer.w
    if _is_depthwise(layer) and grouped_kernels.is_small(layer):
        x, w, y = _blocks(layer, flat=False)
        return x + w * torch.get_num_threads() + y
    if _is_of_points(layer):
        x, w, y = _blocks(layer, flat=False)
        apart = _sums_of_points(layer) + _gathered(layer, NARROW * _jobs(layer)[0])
        return max(x + w + y + apart, w + layer.w)
    if not _sums_in_blocks(layer):
        return unrolled_windows.backward_weight(layer)
    flat = layer.own[0] == FLAT
    x, w, y = _blocks(layer, flat=flat)
    return max(x + w + y + _sums(layer, flat=flat), w + layer.w)


def unwritten(layer: Layer) -> int:
    """Bytes of what `backward_weight` needs that no kernel writes to."""
    blocked = layer.plain or _is_of_points(layer) or _sums_in_blocks(layer)
    if blocked or (_is_depthwise(layer) and grouped_kernels.is_small(layer)):
        return 0
    return unrolled_windows.unwritten(layer)


def _blocks(layer: Layer, *, flat: bool) -> tuple[int, int, int]:
    """Bytes of the copies of x, w and y; flat: x is read as it is."""
    ins, outs = up(layer.ins, NARROW), up(layer.outs, NARROW)
    x = 0 if flat else layer.batch * ins * math.prod(layer.fine)
    y = layer.batch * outs * math.prod(layer.coarse)
    if layer.is_depthwise:
        w = ins * layer.taps
    elif layer.groups > 1:
        w = layer.w // layer.bytes
    else:
        w = (layer.ins if flat else ins) * outs * layer.taps
    return x * layer.bytes, w * layer.bytes, y * layer.bytes


def _is_whole(layer: Layer, *channels: int) -> bool:
    return layer.groups == 1 or all(n % NARROW == 0 for n in channels)


def _is_depthwise(layer: Layer) -> bool:
    return layer.is_depthwise and not layer.is_volume and not _is_outside(layer)


def _spans(layer: Layer) -> list[int]:
    """Samples from the first tap to behind the last, by axis."""
    return [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel, strict=True)]


def _beyond(layer: Layer, axis: int, length: int, span: int) -> int:
    """Samples that windows need behind the end, of a result so long."""
    end = (length - 1) * layer.stride[axis] + span
    return end - layer.fine[axis] - layer.padding[axis]


def _is_outside(layer: Layer) -> bool:
    """Whether windows lie in the padding as a whole."""
    return any(
        span <= max(layer.padding[axis], _beyond(layer, axis, layer.coarse[axis], span))
        for axis, span in enumerate(_spans(layer))
    )


def _covers(layer: Layer, once: int) -> bool:
    """Whether samples computed at once reach over all padding of a row."""
    length = layer.coarse[-1]
    beyond = _beyond(layer, -1, length - length % once, _spans(layer)[-1])
    return max(layer.padding[-1], beyond) <= once


def _runs_in_blocks(layer: Layer) -> bool:
    ins, outs = layer.own
    whole = _is_whole(layer, outs) and (ins < NARROW or _is_whole(layer, ins))
    if _is_outside(layer) or not whole:
        return False
    slow = max(layer.padding[-IMAGE:]) > 0 and max(layer.stride[-IMAGE:]) > 1
    if layer.kernel[-1] > LARGE and slow:
        return False
    once = min(AT_ONCE, layer.coarse[-1])
    return layer.padding[-1] <= once and _row_fits(layer, once)


def _goes_back_in_blocks(layer: Layer) -> bool:
    over = layer.reach - layer.padding[-1] > min(layer.fine[-1], MOST_AT_ONCE)
    return _is_whole(layer, *layer.own) and not over and not (layer.is_volume and layer.is_strided)


def _row_fits(layer: Layer, once: int) -> bool:
    """Whether more samples at once reach over the padding, where the usual number does not."""
    length, span, step = layer.coarse[-1], _spans(layer)[-1], layer.stride[-1]
    beyond = max(0, _beyond(layer, -1, length - length % once, span))
    if beyond <= once * step or length // once <= 1:
        return True
    return _covers(layer, min(beyond // step + length % once, length, MOST_AT_ONCE))


def _is_of_points(layer: Layer) -> bool:
    """Whether a kernel for products of points serves; strides, but of volumes, are taken first."""
    if layer.taps > 1 or max(layer.padding) > 0 or layer.groups > 1:
        return False
    steps = zip(layer.fine, layer.coarse, layer.stride, strict=True)
    even = all(n == m * step for n, m, step in steps)
    return not layer.is_strided or (even and not layer.is_volume)


def _gathered(layer: Layer, channels: int) -> int:
    """The samples that strides meet, of so many channels of one image, for each thread."""
    if not (layer.is_strided and _is_of_points(layer)):
        return 0
    return torch.get_num_threads() * channels * math.prod(layer.coarse) * layer.bytes


def _sums_in_blocks(layer: Layer) -> bool:
    """Whether blocks serve for the gradient of the weight."""
    if max(layer.dilation) > 1 or layer.kernel[-1] > LONG or not _is_whole(layer, *layer.own):
        return False
    if _is_outside(layer) or any(
        k > n for k, n in zip(layer.kernel[:-1], layer.fine, strict=False)
    ):
        return False
    span = _spans(layer)[0]
    deep = layer.is_volume and max(layer.padding[0], _beyond(layer, 0, layer.coarse[0], span)) > 0
    channels = max(up(layer.ins, NARROW), up(layer.outs, NARROW))
    return not deep and layer.batch * channels * math.prod(layer.fine) * SINGLE <= MOST


def _sums(layer: Layer, *, flat: bool) -> int:
    ins, outs = layer.own
    into = 1 if flat else -(-ins // NARROW)
    return SINGLE * sums(
        Reduction(
            job=layer.taps * (ins if flat else NARROW) * NARROW,
            jobs=layer.groups * into * -(-outs // NARROW),
            terms=layer.batch * (layer.coarse[0] if layer.is_volume else 1),
            most=JOBS,
        )
    )


def _jobs(layer: Layer) -> tuple[int, int]:
    """Blocks of channels of one job of a product of points, into it and out of it."""
    return (
        _shared(up(layer.ins, NARROW) // NARROW, IN_JOBS),
        _shared(up(layer.outs, NARROW) // NARROW, OUT_JOBS),
    )


def _shared(blocks: int, most: int) -> int:
    """Halves or thirds until there are few enough, as long as they come out even."""
    while blocks > most and (blocks % 2 == 0 or blocks % 3 == 0):
        blocks //= 2 if blocks % 2 == 0 else 3
    return blocks


def _sums_of_points(layer: Layer) -> int:
    into, out = _jobs(layer)
    jobs = up(layer.ins, NARROW) // NARROW // into * (up(layer.outs, NARROW) // NARROW // out)
    job, threads = into * out * NARROW**2, torch.get_num_threads()
    terms = layer.batch * math.prod(layer.coarse)
    shared = Reduction(job=job, jobs=jobs, terms=terms, most=8 * threads * job)
    return SINGLE * sums(shared, first_apart=True)


def _channels_last(layer: Layer) -> int:
    """With strides: channels last inside, a padded image for each thread, then back in two goes."""
    ins, _ = layer.own
    w = layer.w // ins * up(ins, NARROW)
    over = [2 * (k > s) for k, s in zip(layer.kernel, layer.stride, strict=True)]
    grid = math.prod(n + more for n, more in zip(layer.coarse, over, strict=True))
    scratch = torch.get_num_threads() * layer.own[1] * grid * layer.bytes
    # of a single channel both orders are one
    return max(layer.y + w + layer.x + scratch, (3 if layer.ins > 1 else 2) * layer.x)
