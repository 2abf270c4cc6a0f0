"""How fast each engine is here, for one network and one size of batch, and whether it agrees."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from convivo.inference.backends.agreement import disagreement
from convivo.inference.backends.engine import Engine, Unavailable
from convivo.tasks.task import Task

QUICK = 0.5  # seconds: a pass so short is timed three times, others once


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One engine: seconds a pass, seconds until it was ready; `failed` says why it is out."""

    seconds: float = 0.0
    ready: float = 0.0
    failed: str = ""

    def total(self, passes: float) -> float:
        """Seconds for so many passes, from the start."""
        return self.ready + passes * self.seconds


def try_out(
    engines: Iterable[Engine],
    images: np.ndarray,
    *,
    torch: Engine,
    task: Task,
    allowed: Callable[[], bool] = lambda: True,
) -> dict[str, Tried]:
    """Time torch and the engines on a real batch (n, C, *S): name of engine -> what was found.

    An engine in fp32 is passed over where the same one in bf16 does. `allowed` is asked before
    each of them whether there is time for more.
    """
    theirs = torch(images)
    found = {key_of(torch): Tried(seconds=_pass(torch, images))}
    for engine in engines:
        twin = found.get(f"{engine.name} bf16")
        if (twin is not None and not twin.failed) or not allowed():
            continue
        found[key_of(engine)] = _tried(engine, images, theirs, task)
    return found


def _tried(engine: Engine, images: np.ndarray, theirs: np.ndarray, task: Task) -> Tried:
    began = time.perf_counter()
    try:
        rows = engine(images)
    except Unavailable as error:
        return Tried(failed=error.got)
    first = time.perf_counter() - began
    apart = disagreement(task, rows, theirs)
    if apart:
        return Tried(failed=f"{apart}, held against torch")
    seconds = _pass(engine, images)
    return Tried(seconds=seconds, ready=max(0.0, first - seconds))


def _pass(engine: Engine, images: np.ndarray) -> float:
    """Seconds of a pass: the shortest of three where that takes no time."""
    times: list[float] = []
    while not times or (len(times) < 3 and times[0] < QUICK):
        began = time.perf_counter()
        engine(images)
        times.append(time.perf_counter() - began)
    return min(times)


def key_of(engine: Engine) -> str:
    """An engine's name in a record."""
    return f"{engine.name} {engine.precision}"


def fastest(found: Mapping[str, Tried], passes: float) -> str:
    """The engine that is done first with so many passes, of those that agree with torch."""
    good = {name: one for name, one in found.items() if not one.failed}
    return min(good, key=lambda name: good[name].total(passes))
