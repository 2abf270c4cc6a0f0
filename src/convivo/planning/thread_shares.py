"""How oneDNN shares out the gradient of a convolution's weight: each share has sums of its own."""

import math
from dataclasses import dataclass
from itertools import product

import torch

from convivo.planning.conv_layer import WIDE, Layer, up

WEIGHT_COST = 8  # of reading and writing a sum, against one read of an activation
SLACK = 1.1  # more traffic than that is not worth an even share
STEEP = 2  # between the channels of both sides, above which channels are shared out


def shares(layer: Layer) -> int:
    """Shares of the batch; the other threads take channels, of which nothing is held twice."""
    threads = torch.get_num_threads()
    if threads == 1 or layer.batch == 1:
        return 1
    if layer.is_half:
        return min(threads, layer.batch) if _is_light(layer) else 1
    return _cheapest(layer, threads)


def _is_light(layer: Layer) -> bool:
    """Whether sums are small beside activations; fitted, right for nine shapes of ten."""
    steep = max(layer.ins, layer.outs) > STEEP * min(layer.ins, layer.outs)
    return not steep and layer.w <= layer.y and layer.w <= 2 * layer.x // math.prod(layer.stride)


def _cheapest(layer: Layer, threads: int) -> int:
    """The least traffic, or a more even share at little more.

    Source: oneDNN, jit_avx512_common_conv_kernel.cpp (`balance`), with costs fitted to what torch
    2.13 did with two threads.
    """
    ins, outs = up(layer.ins, WIDE) // WIDE, up(layer.outs, WIDE) // WIDE
    fine, coarse = math.prod(layer.fine) / math.prod(layer.stride), math.prod(layer.coarse)
    options = [
        (images, out, min(threads // images // out, ins))
        for images, out in product(range(1, min(threads, layer.batch) + 1), range(1, outs + 1))
        if images * out <= threads
    ]

    def parts(option: tuple[int, int, int]) -> tuple[int, int, int]:
        whole = (layer.batch, outs, ins)
        images, out, into = (-(-n // share) for n, share in zip(whole, option, strict=True))
        return images, out, into

    def traffic(option: tuple[int, int, int]) -> float:
        images, out, into = parts(option)
        weights = WEIGHT_COST * out * into * layer.taps * WIDE
        return images * (into * fine + out * coarse) + weights

    least = min(options, key=traffic)
    close = [option for option in options if traffic(option) < SLACK * traffic(least)]
    return min(close, key=lambda option: (math.prod(parts(option)), traffic(option)))[0]


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """Sums of `terms` addends each, handed out as `jobs` of `job` values; most: apart at once."""

    job: int
    jobs: int
    terms: int
    most: int


def sums(work: Reduction, *, first_apart: bool = False) -> int:
    """Values that threads on AVX2 sum up apart from the result, which the first of a group uses.

    Threads form groups: each has some jobs, of which its threads take different addends.

    Args:
        first_apart: the first thread of a group does not use the result.
    """
    groups, members, held = _groups(work, torch.get_num_threads())
    if members == 1:
        return 0
    return groups * (members - 1 + first_apart) * held * work.job


def _groups(work: Reduction, threads: int) -> tuple[int, int, int]:
    """Groups of threads, threads in each, and jobs that a group holds.

    Source: oneDNN, cpu_reducer.cpp (`balance`); of the numbers of jobs that give the same groups
    only the first is looked at.
    """
    fewest = max(1, work.jobs // threads)
    most_held = max(1, work.most // (threads * work.job))
    groups = min(work.jobs // fewest, threads)
    chosen = groups, min(threads // groups, work.terms), -(-work.jobs // groups)
    least = work.jobs * work.job * work.terms
    for jobs in sorted({fewest, *(work.jobs // (n + 1) + 1 for n in range(1, threads + 1))}):
        if not fewest <= jobs < work.jobs:
            continue
        groups = min(work.jobs // jobs, threads)
        members, held = min(threads // groups, work.terms), -(-work.jobs // groups)
        cost = work.job * held * (-(-work.terms // members) + (members > 1))
        if (members == 1 or held <= most_held) and cost < least:
            chosen, least = (groups, members, held), cost
    return chosen
