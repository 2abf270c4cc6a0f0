"""What a trace keeps resident in the C library's heap, from the first step to the later ones."""

from collections.abc import Collection

import torch

from convivo.planning.events import Holding, Trace
from convivo.planning.heap import LAST_THRESHOLD, Block, Heap

TRAINING_STAYS = 8  # the middle of what trainings do
KEPT_STEPS = 2  # until the heap of a training is as large as it gets
MATRIX_PRODUCTS = (
    "aten::linear", "aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm",
    "mkldnn::_linear_pointwise",
)  # fmt: skip


def heap_peak(trace: Trace, *, keeps: bool, pins: int = 0, kernels: Collection[int] = ()) -> int:
    """Most bytes that the tensors of a trace keep resident at once, holes among them.

    Args:
        keeps: whether the process keeps what it frees (see `Heap`).
        pins: ends of blocks that the small objects of each new kernel take for good.
        kernels: the moments of new ones (`new_kernels`).
    """
    heap = Heap(keeps=keeps)
    _play(heap, trace, {}, pins=pins, kernels=kernels)
    return heap.peak


def settled_peak(trace: Trace, *, keeps: bool, stays: int = TRAINING_STAYS) -> int:
    """The same of a training, whose first steps give back what they free.

    In these, blocks have pages of their own, those of what lasts to the end too. So what their
    kernels leave behind makes no holes; what is kept later are blocks of steps alone, each like the
    last one traced.

    Args:
        keeps: whether it keeps what it frees from then on.
        stays: as in `Heap`; small objects of the backward pass live long.
    """
    apart = tensors_peak(trace)
    if not keeps:
        return apart
    first = next((n for n, m in enumerate(trace.moments) if m.step == trace.steps), 0)
    heap, blocks = Heap(keeps=True, stays=stays), {}
    for _ in range(KEPT_STEPS):
        for block in blocks.values():  # gradients: until the next step nobody needs them
            heap.give(block)
        blocks.clear()
        _play(heap, trace, blocks, first=first)
    end = len(trace.moments)
    lasting = sum(h.bytes for h in trace.holdings if h.born < first and h.died >= end)
    return max(apart, lasting + heap.peak)


def tensors_peak(trace: Trace) -> int:
    """Most bytes of tensors at once."""
    change = [0] * (len(trace.moments) + 2)
    for holding in trace.holdings:
        change[holding.born] += holding.bytes
        change[holding.died + 1] -= holding.bytes
    living = most = 0
    for moment, step in zip(trace.moments, change, strict=False):
        living += step
        most = max(most, living + moment.hidden)
    return most


def _play(
    heap: Heap,
    trace: Trace,
    blocks: dict[int, Block],
    *,
    first: int = 0,
    pins: int = 0,
    kernels: Collection[int] = (),
) -> None:
    """The moments from `first` on, with what is born in them; `blocks` are what lives, by place."""
    born: list[list[int]] = [[] for _ in range(len(trace.moments) + 1)]
    died: list[list[int]] = [[] for _ in range(len(trace.moments) + 1)]
    for place, holding in enumerate(trace.holdings):
        if holding.bytes and holding.born >= first:
            born[holding.born].append(place)
            died[holding.died].append(place)
    for number, moment in enumerate(trace.moments[first:], first):
        # a kernel's own copies come before its result
        hidden = heap.take(moment.hidden, moment.unwritten) if moment.hidden else None
        for place in born[number]:
            blocks[place] = heap.take(trace.holdings[place].bytes)
        if number in kernels:
            heap.pin(pins)
        if hidden is not None:
            heap.give(hidden)
        for place in died[number]:
            heap.give(blocks.pop(place))


def new_kernels(trace: Trace) -> set[int]:
    """The first moments of convolutions and matrix products that differ in shape.

    Each gets machine code and a description of its own, which stay; but for bfloat16 on processors
    without AVX-512, which torch's own kernels multiply.
    """
    own = () if torch.ops.mkldnn._is_mkldnn_bf16_supported() else (2,)
    weights = {h.layer: h.shape for h in trace.holdings if h.op == "weight"}
    results: dict[int, Holding] = {}
    for holding in trace.holdings:
        results.setdefault(holding.born, holding)
    found: dict[tuple, int] = {}
    for number, moment in enumerate(trace.moments):
        if "convolution" in moment.op or moment.op in MATRIX_PRODUCTS:
            made = results.get(number)
            if made is None or made.itemsize not in own:
                shape = None if made is None else made.shape
                key = moment.op, weights.get(moment.layer), shape, moment.hidden
                found.setdefault(key, number)
    return set(found.values())


def taken_again(trace: Trace, *, keeps: bool) -> int:
    """The largest block that is asked for again after one of its size was freed.

    Where a small object that stays has come to lie at the end of its hole, it needs another place.
    Which objects those are no trace tells: it is a matter of luck, and costs that many bytes.

    Args:
        keeps: as in `heap_peak`; else blocks of pages of their own leave no holes.
    """
    largest = None if keeps else LAST_THRESHOLD
    # what a kernel takes for itself comes before its result, and is freed after it is made
    asked = [(h.bytes, h.born, h.died) for h in trace.holdings]
    asked += [(m.hidden, n - 0.5, n - 0.5) for n, m in enumerate(trace.moments) if m.hidden]
    freed: dict[int, float] = {}
    for count, _, died in asked:
        freed[count] = min(died, freed.get(count, died))
    again = (count for count, born, _ in asked if born > freed[count])
    return max((count for count in again if largest is None or count <= largest), default=0)
