"""From tensors to the process: what the operating system sees, expected and at most.

The process holds the libraries, the heap in which the tensors of a step come and go (`heap` plays
the C library's part), the machine code of the kernels, and what data and answers keep beside it.
Planning knows no data: those who allocate say what it costs (`cost` in `data.store`,
`data.batches`, `data.augment`, `inference.predictor`), and their numbers are given here.
"""

from dataclasses import dataclass

from convivo.planning.events import Trace
from convivo.planning.machine import Machine, this_machine
from convivo.planning.residence import (
    heap_peak,
    new_kernels,
    settled_peak,
    taken_again,
    tensors_peak,
)

# Of predictions: in one process of ten a large block does not find its old place again; in a
# quarter small objects that each new kernel leaves behind take the ends of some blocks, so that
# holes do not fit again, which costs much where there are many blocks of one size, as with large
# batches.
# The bound is for those with more of them, and what is left of the error then. Trainings keep
# memory only once all kernels have been called; in unlucky ones the ends of blocks stay in use for
# longer (`Heap.stays`).
BAD_LUCK, STUCK, LEFT = 0.1, 0.25, 0.02
UNLUCKY_STAYS = 48
# Where a training gives back what it frees there is no luck in its heap: of 36 none took more than
# 1.3 % beyond the expected.
RETURNED = 0.03
PINS, MOST_PINS = 2, 4


@dataclass(frozen=True, kw_only=True)
class Process:
    """Bytes of a process: private pages and shared memory, files that are mapped left out.

    tensors: their peak by the trace. library: the interpreter with torch, once it has run.
    allocator: holes and pages that the C library keeps, on average over the luck there is in it.
    kernels: machine code. data: what was given as `lasting`, and what `between` needs beyond the
    step's peak. peak: the sum, expected. bound: exceeded in at most one run of a hundred.
    """

    tensors: int
    library: int
    allocator: int
    kernels: int
    data: int
    peak: int
    bound: int

    @property
    def overhead(self) -> int:
        """All but the tensors."""
        return self.peak - self.tensors


def process(
    trace: Trace,
    *,
    train: bool,
    keeps: bool | None = None,
    lasting: int = 0,
    between: int = 0,
    limit: int | None = None,
    machine: Machine | None = None,
) -> Process:
    """What the process of a traced step takes.

    Args:
        trace: of the step, with the weights' and inputs' formats of the real one.
        train: a training; else a prediction.
        keeps: whether freed memory is kept (`training.allocator.keep_memory`); trainings do.
        lasting: bytes there throughout: prepared data, buffers of answers.
        between: bytes needed between two steps, when activations are gone: the batch being drawn
            and altered. They count only as far as the step itself needs less.
        limit: bytes past which a training is refused memory and gives back what is free from then
            on (`training.refusal`, `training.easing`): then bad luck costs time, not memory.
        machine: default what `convivo doctor` measured, else defaults.
    """
    memory = (machine or this_machine()).memory
    tensors, static = tensors_peak(trace), _left(trace)
    keeps, kernels = train if keeps is None else keeps, new_kernels(trace)
    heap, most = (_training_heap if train else _prediction_heap)(trace, keeps, kernels)
    library = memory.library + (memory.training if train else 0)
    code = memory.kernel * len(kernels)
    data = lasting + max(0, static + between - tensors)
    peak = library + heap + code + data
    at_most, unlucky = bound(peak, machine), round((peak - heap + most) * (1 + LEFT))
    if train and not keeps:
        at_most = bound(library + code, machine) + round((heap + data) * (1 + RETURNED))
    if train and limit is not None:
        unlucky = min(unlucky, limit)
    return Process(
        tensors=tensors,
        library=library,
        allocator=heap - tensors,
        kernels=code,
        data=data,
        peak=peak,
        bound=max(at_most, unlucky),
    )


def _training_heap(trace: Trace, keeps: bool, kernels: set[int]) -> tuple[int, int]:
    """Bytes of the heap, expected and with bad luck."""
    regular = settled_peak(trace, keeps=keeps)
    return regular, max(regular, settled_peak(trace, keeps=keeps, stays=UNLUCKY_STAYS))


def _prediction_heap(trace: Trace, keeps: bool, kernels: set[int]) -> tuple[int, int]:
    """The same."""
    regular, again = heap_peak(trace, keeps=keeps), taken_again(trace, keeps=keeps)
    stuck, most = (
        heap_peak(trace, keeps=keeps, pins=pins, kernels=kernels) for pins in (PINS, MOST_PINS)
    )
    luck = BAD_LUCK * again + STUCK * max(0, stuck - regular)
    return regular + round(luck), max(regular + again, most)


def approximate(
    tensors: int,
    *,
    train: bool,
    kernels: int = 50,
    lasting: int = 0,
    machine: Machine | None = None,
) -> tuple[int, int]:
    """Expected and largest bytes of a process of whose step only the tensors' peak is known."""
    memory = (machine or this_machine()).memory
    library = memory.library + (memory.training if train else 0)
    peak = library + round(tensors * (1 + HOLES)) + kernels * memory.kernel + lasting
    return peak, bound(peak, machine)


HOLES = 0.02  # median share of the tensors' peak that the heap holds beyond it


def bound(peak: int, machine: Machine | None = None) -> int:
    """What at most one process in a hundred exceeds: the expected peak and a share of it.

    The share is the largest excess among the drawn runs of `bench/ledger_process.py`, or among
    this machine's calibration runs, whichever is larger.
    """
    return round(peak * (1 + (machine or this_machine()).memory.margin))


def _left(trace: Trace) -> int:
    """Bytes that live on behind the last step: weights, gradients, the optimizer's state."""
    return sum(h.bytes for h in trace.holdings if h.died >= len(trace.moments))
