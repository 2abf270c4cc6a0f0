"""What processes take on this machine beside their tensors, from a few real ones: for `doctor`."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from convivo.planning.machine import Memory
from convivo.planning.residence import heap_peak, new_kernels, settled_peak
from convivo.verbs.resident import Trial, can_measure, measured

TRAINING_THREADS = 6 * 2**20  # of the backward pass, which the smallest training hardly starts
SMALLEST = tuple(Trial(net="mlp", size=(16,), train=train, keeps=train) for train in (False, True))
CALIBRATION = (
    Trial(net="densenet121", size=(64, 64), channels=3, batch=4, train=False, keeps=False),
    Trial(net="resnet18", size=(1024,), batch=8, train=False, keeps=False, precision="bf16"),
    Trial(net="unet", size=(32, 32, 32), train=False, keeps=False),
    Trial(net="resnet18", size=(64, 64), channels=3, batch=8, optimizer="momentum"),
    Trial(net="resnet18", size=(64, 64), channels=3, batch=8, optimizer="momentum", keeps=False),
    Trial(net="unet", size=(24, 32, 32), precision="bf16"),
    Trial(net="googlenet", size=(512,), batch=8),
)


def calibrate_memory(*, threads: int, tick: Callable[[], object] = lambda: None) -> Memory:
    """What processes take here beside their tensors, from a few real ones.

    The library's bytes from two that do next to nothing; the machine code for a kernel from the
    rest, as the median of what is left over; the margin is raised where one of them exceeds it.
    The defaults where this system does not tell (`can_measure`).

    Args:
        threads: of each process. tick: called after each.
    """
    if not can_measure():
        return Memory()
    memory = library_bytes(Memory(), threads=threads, tick=tick)
    rows = []
    for trial, seen in zip(CALIBRATION, measured(CALIBRATION, threads=threads), strict=True):
        tick()
        if seen is not None:
            heap, kernels = _known(trial)
            rows.append((seen, _library(memory, trial) + heap, kernels))
    if not rows:
        return memory
    memory = replace(memory, kernel=_kernel_bytes(rows))
    excess = [seen / (known + kernels * memory.kernel) - 1 for seen, known, kernels in rows]
    return replace(memory, margin=round(max(memory.margin, *excess), 3))


def library_bytes(
    memory: Memory, *, threads: int, tick: Callable[[], object] = lambda: None
) -> Memory:
    """`memory` with the bytes of a prediction and a training of next to nothing."""
    found = []
    for trial, seen in zip(SMALLEST, measured(SMALLEST, threads=threads), strict=True):
        tick()
        if seen is None:
            return memory
        heap, kernels = _known(trial)
        found.append(max(0, seen - heap - kernels * memory.kernel))
    predicting, training = found
    more = max(0, training - predicting)
    return replace(memory, library=predicting, training=more + TRAINING_THREADS)


def _known(trial: Trial) -> tuple[int, int]:
    """Bytes of the heap, and the number of kernels."""
    traced = trial.trace()
    peak = settled_peak if trial.train else heap_peak
    return peak(traced, keeps=trial.keeps), len(new_kernels(traced))


def _library(memory: Memory, trial: Trial) -> int:
    return memory.library + (memory.training if trial.train else 0)


def _kernel_bytes(rows: Sequence[tuple[int, int, int]]) -> int:
    """The median, each row weighing as many kernels as it has."""
    shares = sorted((max(0.0, (seen - known) / n), n) for seen, known, n in rows if n)
    half, passed = sum(n for _, n in shares) / 2, 0
    for share, n in shares:
        passed += n
        if passed >= half:
            return round(share)
    return Memory().kernel
