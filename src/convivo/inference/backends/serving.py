"""Engines at work: the preferred one, held against torch, until it fails; then the next."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from convivo.geometry import Axes
from convivo.inference.backends.agreement import disagreement
from convivo.inference.backends.engine import Engine, Unavailable, unavailable
from convivo.tasks.task import Task

CHECKED = 3  # sizes of items whose first batch is held against torch's answer


def _unheard(text: str) -> None:
    """Nobody listens."""


@dataclass(kw_only=True)
class Serving:
    """A predictor's engine that is several.

    Args:
        engines: in the order of preference. One that cannot take the network, or answers otherwise
            than torch, is left for the next, told in a line.
        torch: what answers are held against.
        say: told each change.
        checks: sizes of items whose first batch is held against torch's answer; 0 where the engine
            was held against more than that before.
    Raises:
        Unavailable: no engine is left (on being called).
    """

    engines: list[Engine]
    torch: Engine
    task: Task
    say: Callable[[str], None] = _unheard
    checks: int = CHECKED
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    _checked: set[Axes] = field(default_factory=set)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(n, C, *S) -> answers (n, K, ...)."""
        while True:
            engine = self.engines[0]
            try:
                rows = self._held(engine, images)
            except Unavailable as error:
                self._drop(error)
                continue
            self.used[engine.name, engine.precision] += len(images)
            return rows

    def _held(self, engine: Engine, images: np.ndarray) -> np.ndarray:
        """The engine's answers; of the first sizes only if they are torch's."""
        rows, size = engine(images), images.shape[1:]
        if engine is self.torch or size in self._checked or len(self._checked) >= self.checks:
            return rows
        apart = disagreement(self.task, rows, self.torch(images))
        if apart:
            raise unavailable(called(engine), f"{apart}, held against torch")
        self._checked.add(size)
        return rows

    def _drop(self, error: Unavailable) -> None:
        gone = self.engines.pop(0)
        self._checked.clear()
        if not self.engines:
            self.engines.append(gone)  # asked again, it says the same
            raise error
        self.say(f"{called(gone)}: {error.got}; going on with {called(self.engines[0])}")

    @property
    def ran(self) -> dict[str, str]:
        """What computed so far: {"backend", "precision"}, the most used first, joined by "+"."""
        rows = [name for name, _ in self.used.most_common()] or [("torch", "fp32")]
        columns = zip(("backend", "precision"), zip(*rows, strict=True), strict=True)
        return {key: "+".join(dict.fromkeys(values)) for key, values in columns}


def called(engine: Engine) -> str:
    """What people read."""
    return f"{engine.name} in {engine.precision}"
