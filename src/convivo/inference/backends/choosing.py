"""`auto`: torch, unless another engine was measured to be done sooner with the same answers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from convivo.inference.backends.engine import Engine
from convivo.inference.backends.record import keep, remembered
from convivo.inference.backends.serving import Serving, called
from convivo.inference.backends.trial import Tried, fastest, key_of, try_out

SHORT = 5.0  # seconds of torch below which nothing is looked at
WORTH_A_TRIAL = 40.0  # seconds of torch from which engines are measured: that takes some itself
TRIAL_SHARE = 0.25  # of those seconds; no further engine is tried beyond


@dataclass(kw_only=True)
class Auto(Serving):
    """A serving that picks its engine at the first batch.

    torch answers the first batch; how long that takes says how long all of them would. A short work
    stays with it. For a longer one engines are taken from the record of an earlier trial, or tried
    out on that batch, and the one that is done first is used: making it ready counts.

    Args:
        candidates: the engines beside torch. items: how many are expected in all.
        key: shape (n, C, *S) of a batch -> its place in the record. short, worth: seconds of work
            in torch from which the record is looked at, and from which a trial is made.
    """

    engines: list[Engine] = field(default_factory=list)
    candidates: list[Engine]
    items: float
    key: Callable[[tuple[int, ...]], str]
    short: float = SHORT
    worth: float = WORTH_A_TRIAL

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if self.engines:
            return super().__call__(images)
        rows, took = self._timed(images)
        self.engines = [*self._preferred(images, took), self.torch]
        self.candidates = []  # what is not used is not kept
        if self.engines[0] is not self.torch:
            return super().__call__(images)
        self.used[self.torch.name, self.torch.precision] += len(images)
        return rows

    def _preferred(self, images: np.ndarray, took: float) -> list[Engine]:
        """The engine that is worth it, if there is one; `took`: seconds of torch for the batch."""
        passes = self.items / len(images)
        if passes * took < self.short or not self.candidates:
            return []
        _, took = self._timed(images)  # the first pass is slow, whatever the engine
        work = passes * took
        if work < self.short:
            return []
        key = self.key(images.shape)
        found = remembered(key)
        found = found if key_of(self.torch) in found else {}
        tried: dict[str, Tried] = {}
        untried = [one for one in self.candidates if key_of(one) not in found]
        if untried and work >= self.worth:
            tried = self._trial(untried, images, work)
            found = found | tried
            keep(key, found)
        best = fastest(found, passes) if found else key_of(self.torch)
        if best in tried:
            self._checked.add(images.shape[1:])
        self._tell(found, best)
        return [one for one in self.candidates if key_of(one) == best]

    def _timed(self, images: np.ndarray) -> tuple[np.ndarray, float]:
        """torch's answers, and how many seconds they took."""
        began = time.perf_counter()
        rows = self.torch(images)
        return rows, time.perf_counter() - began

    def _trial(self, engines: list[Engine], images: np.ndarray, work: float) -> dict[str, Tried]:
        self.say("trying out what computes fastest here")
        end = time.perf_counter() + TRIAL_SHARE * work

        def allowed() -> bool:
            return time.perf_counter() < end

        return try_out(engines, images, torch=self.torch, task=self.task, allowed=allowed)

    def _tell(self, found: Mapping[str, Tried], best: str) -> None:
        for engine in self.candidates:
            one = found.get(key_of(engine))
            if one is not None and one.failed:
                self.say(f"{called(engine)} is passed over: {one.failed}")
        if best in found:
            ratio = found[key_of(self.torch)].seconds / max(found[best].seconds, 1e-9)
            faster = f", {ratio:.1f} times as fast as torch" if best != key_of(self.torch) else ""
            self.say(f"{best.replace(' ', ' in ')} computes{faster}")
