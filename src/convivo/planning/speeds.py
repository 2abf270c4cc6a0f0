"""How fast this machine does each kind of operation: small measurements, for `timing`.

Everything is repeated and the fastest taken. With one thread the processor's time is counted, which
other programs hardly disturb; with more there is only the clock on the wall.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from convivo.architectures.create import create
from convivo.planning.step import cross_entropy, make_optimizer, training_step
from convivo.planning.timing import FORM, seconds_per_step
from convivo.planning.work import work_done

aten = torch.ops.aten
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
LEVELS = (1, 4, 16, 64, 256)
GROUPS, GROUP_LEVELS = 32, (1, 4, 8, 16, 32)
# batch, side, axes, kernel: some two thousand positions hide the call, sixteen items choose oneDNN
SHAPES = {"1": (16, 128, 1, 3), "2": (16, 12, 2, 3), "3": (16, 5, 3, 3), "point": (16, 12, 2, 1)}
LEAST = 0.2  # share of a measurement that is left when call and weight are taken off
BYTES = (2**17, 2**21, 2**24)  # in the second cache, in the third, in neither
REPEATS, SHORT_SECONDS = 3, 2e-3


def measure_speeds(*, tick: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """All that `timing.seconds_per_step` needs to know of this machine; takes about 20 seconds.

    Args:
        tick: called after each of the `MEASUREMENTS` parts.
    Returns:
        The form that `timing.default_speeds` explains; plain JSON values.
    """
    state = torch.random.get_rng_state()
    table: dict[str, Any] = {"form": FORM, "threads": torch.get_num_threads()}
    for name, part in MEASUREMENTS.items():
        table[name] = part(table)
        tick()
    torch.random.set_rng_state(state)
    return table


def shortest(task: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs, more of them where they are short."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    task()
    best, begun, runs = math.inf, time.perf_counter(), 0
    while runs < REPEATS or (runs < 10 * REPEATS and time.perf_counter() - begun < SHORT_SECONDS):
        start = clock()
        task()
        best, runs = min(best, clock() - start), runs + 1
    return best


def _conv_tasks(
    shape: tuple[int, ...],
    channels: tuple[int, int],
    kernel: int,
    *,
    dtype: torch.dtype,
    groups: int = 1,
) -> dict[str, Callable[[], object]]:
    """By kind, the three convolutions of a training step; `shape` (N, *S) is the output's."""
    batch, *axes = shape
    narrow, wide = (n * groups for n in channels)
    x = torch.randn(batch, narrow, *[n + kernel - 1 for n in axes], dtype=dtype)
    weight = torch.randn(wide, channels[0], *[kernel] * len(axes), dtype=dtype)
    gradient = torch.randn(batch, wide, *axes, dtype=dtype)
    ones, zeros = [1] * len(axes), [0] * len(axes)
    plain = (None, ones, zeros, ones, False, zeros, groups)

    def backward(wanted: list[bool]) -> object:
        return aten.convolution_backward(gradient, x, weight, *plain, wanted)

    return {
        "conv_forward": lambda: aten.convolution(x, weight, *plain),
        "conv_data": lambda: backward([True, False, False]),
        "conv_weight": lambda: backward([False, True, False]),
    }


def _fixed(_: dict[str, Any]) -> dict[str, float]:
    """Seconds of a convolution with next to no work."""
    found = {}
    for speed, dtype, batch in _kernels():
        tasks = _conv_tasks((batch, 1, 1), (16, 16), 3, dtype=dtype)
        found |= {f"{kind}.{speed}": shortest(task) for kind, task in tasks.items()}
    return found


def _kernels() -> Iterator[tuple[str, torch.dtype, int]]:
    """By name, number format and as few items as make torch choose them: oneDNN, then its own."""
    for precision, dtype in PRECISIONS.items():
        yield precision, dtype, 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about TF32, which is not touched
        with torch.backends.mkldnn.flags(enabled=False):
            yield "native", torch.float32, 1


def _weight(table: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Seconds for a byte of weight where that is nearly all there is, on grids of few positions."""
    found: dict[str, list[list[float]]] = {}
    for speed, dtype, batch in _kernels():
        size = 512 * 512 * 9 * dtype.itemsize
        for side in (1, 2, 4):  # one position is a product with a vector, which is fast
            tasks = _conv_tasks((batch, side, side), (512, 512), 3, dtype=dtype)
            for kind, task in tasks.items():
                key = f"{kind}.{speed}"
                share = max(0.0, shortest(task) - table["fixed"][key]) / size
                found.setdefault(key, []).append([side * side, max(share, 1e-15)])
    return found


def _conv(table: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Seconds for one position of the output."""
    found: dict[str, list[list[float]]] = {}
    for speed, dtype, _ in _kernels():
        for axes, (batch, side, dims, kernel) in SHAPES.items():
            first = (1, batch * side) if speed == "native" else (batch, side)
            shape = (*first, *[side] * (dims - 1))
            for channels in product(LEVELS, LEVELS):
                size = math.prod(channels) * kernel**dims * dtype.itemsize
                for kind, task in _conv_tasks(shape, channels, kernel, dtype=dtype).items():
                    key, whole = f"{kind}.{speed}", shortest(task)
                    known = table["fixed"][key] + size * table["weight"][key][-1][1]
                    share = max(whole - known, LEAST * whole) / math.prod(shape)
                    found.setdefault(f"{kind}.{axes}.{speed}", []).append([*channels, share])
        if speed != "native":
            _add_grouped(found, speed, dtype)
    return found


def _add_grouped(found: dict[str, list[list[float]]], precision: str, dtype: torch.dtype) -> None:
    for width in GROUP_LEVELS:
        tasks = _conv_tasks((4, 12, 12), (width, width), 3, dtype=dtype, groups=GROUPS)
        for kind, task in tasks.items():
            share = shortest(task) / (4 * 12 * 12 * 9 * GROUPS)
            found.setdefault(f"{kind}.grouped.{precision}", []).append([width, share])


def _matmul(_: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds for a flop of a large product, and for a byte of one with few rows."""
    found = {}
    for precision, dtype in PRECISIONS.items():
        a, b = (torch.randn(512, 512, dtype=dtype) for _ in range(2))
        thin, wide = torch.randn(4, 2048, dtype=dtype), torch.randn(2048, 2048, dtype=dtype)
        flop = shortest(lambda a=a, b=b: a @ b) / (2 * 512**3)
        byte = shortest(lambda a=thin, b=wide: a @ b) / (wide.numel() * dtype.itemsize)
        found[precision] = [flop, byte]
    return found


def _tasks(size: int, dtype: torch.dtype) -> Iterator[tuple[str, Callable[[], object]]]:
    """By kind, an operation on images (4, 16, S, S) of about `size` bytes."""
    side = max(2, 2 * round(math.sqrt(size / (64 * dtype.itemsize)) / 2))
    x = torch.randn(4, 16, side, side, dtype=dtype)
    half = torch.randn(4, 16, side // 2, side // 2, dtype=dtype)
    ones, zeros = torch.ones(16), torch.zeros(16)
    stats = [ones, zeros, ones, ones.clone()]  # weight, bias, running mean and variance
    yield "elementwise", lambda: aten.add(x, x)
    yield "copy", lambda: aten.cat([x, x], 1)
    yield "reduce", lambda: aten.linalg_vector_norm(x)
    yield "exponential", lambda: aten._log_softmax(x, 1, False)
    yield "norm", lambda: aten.native_batch_norm(x, *stats, True, 0.1, 1e-5)
    yield (
        "norm_backward",
        lambda: aten.native_batch_norm_backward(
            x, x, ones, zeros, ones, zeros, ones, True, 1e-5, [True, True, True]
        ),
    )
    pooling, halving = ([3, 3], [2, 2], [1, 1]), ([2, 2], [2, 2], [0, 0])
    yield "max_pool", lambda: aten.max_pool2d_with_indices(x, *pooling)
    _, places = aten.max_pool2d_with_indices(x, *pooling)
    yield (
        "max_pool_backward",
        lambda: aten.max_pool2d_with_indices_backward(half, x, *pooling, [1, 1], False, places),
    )
    yield "avg_pool", lambda: aten.avg_pool2d(x, *halving)
    yield (
        "avg_pool_backward",
        lambda: aten.avg_pool2d_backward(half, x, *halving, False, True, None),
    )
    yield "resize", lambda: aten.upsample_bilinear2d(half, [side, side], False)
    yield "gather", lambda: aten.max_unpool2d(half, places, [side, side])
    yield "random", lambda: x.bernoulli_(0.5)


def _bytes(_: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Seconds for a byte read or written, at three sizes."""
    found: dict[str, list[list[float]]] = {}
    for precision, dtype in PRECISIONS.items():
        for size in BYTES:
            for kind, task in _tasks(size, dtype):
                moved = sum(item.bytes for item in work_done(task).work)
                found.setdefault(f"{kind}.{precision}", []).append([moved, shortest(task) / moved])
    for size in BYTES:
        task = _update(size // 4)
        moved = sum(i.bytes for i in work_done(task).work if i.kind == "update")
        found.setdefault("update.fp32", []).append([moved, shortest(task) / moved])
    return found


def _update(numel: int) -> Callable[[], object]:
    holder = nn.Linear(numel, 1, bias=False)
    optimizer = make_optimizer("adamw")(holder)
    holder.weight.grad = torch.zeros_like(holder.weight)
    optimizer.step()
    return optimizer.step


def _call(table: dict[str, Any]) -> dict[str, float]:
    """What Python and torch take beside the work: a network so small that it has none."""
    net = create("resnet18", spatial_dims=1, in_channels=1, num_classes=2, width=0.125).train()
    images, targets = torch.randn(2, 1, 32), torch.zeros(2, dtype=torch.long)
    silent = table | {"call": dict.fromkeys(("called", "replayed", "handled"), 0.0)}

    def per_call(task: Callable[[], object], key: str) -> float:
        tally = work_done(task, learning=True)
        return max(0.0, shortest(task) - seconds_per_step(tally, silent)) / getattr(tally, key)

    def forward() -> Tensor:
        return cross_entropy(net, images, targets)

    optimizer = make_optimizer("momentum")(net)
    called = per_call(forward, "called")
    forward().backward()
    optimizer.step()
    handled = per_call(optimizer.step, "handled")
    known = silent | {"call": silent["call"] | {"called": called, "handled": handled}}
    step = training_step(cross_entropy)

    def whole() -> None:
        step(net, optimizer, (images, targets))

    tally = work_done(whole, learning=True)
    rest = max(0.0, shortest(whole) - seconds_per_step(tally, known))
    return {"called": called, "replayed": rest / tally.replayed, "handled": handled}


MEASUREMENTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "fixed": _fixed,
    "weight": _weight,
    "conv": _conv,
    "matmul": _matmul,
    "bytes": _bytes,
    "call": _call,
}
