"""Watches a real run beside its plan: its tensors, the process, the seconds of a step."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from convivo.planning.timing import REFINED_BY, WARM_UP, refine
from convivo.progress import duration
from convivo.training.allocator import keeps_memory, set_allocator
from convivo.training.process_memory import PeakWatch
from convivo.training.state import State
from convivo.training.tensor_watch import OBSERVED, Watch

WORTH_SAYING = 60.0  # seconds that a run still takes
Step = Callable[[nn.Module, Tensor, Tensor], Tensor]
Validate = Callable[[nn.Module], dict[str, Any]]


class Observation(Watch):
    """Beside `fit`: what the run really takes. Used as a context around it.

    Args:
        state: what is trained.
        steps: of the whole run. foretold: seconds of a step before the run, None where unknown.
        say: where a line for people goes.
        allocator: what the run asks of it (`training.allocator`). In the first steps memory goes
            back at once, so that neither the watching of tensors nor what kernels leave behind
            when they are first called makes holes in the heap.
        earlier: what an interrupted part of the run has measured; its tensors are not measured
            again.
    """

    def __init__(
        self,
        state: State,
        *,
        steps: int,
        foretold: float | None = None,
        say: Callable[[str], None] = lambda text: None,
        allocator: str | None = None,
        earlier: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(state.network, state.optimizer)
        self.earlier = dict(earlier or {})
        self.steps, self.foretold, self.say = steps, foretold, say
        self.allocator = allocator
        self.seconds: list[float] = []
        self.drawing: list[float] = []
        self.process = PeakWatch()
        self._began = 0.0
        self._left = OBSERVED

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.__exit__(kind, error, trace)

    @contextmanager
    def around(self, number: int) -> Iterator[None]:
        """What `fit` enters for each step."""
        first = self._left > 0
        observed = first and not self.earlier.get("tensors_peak")
        self._left -= 1
        if first:
            self._memory_is("return")
        if observed:
            self.begin()
        self._began = time.monotonic()
        drawn = len(self.drawing)
        try:
            yield
        finally:
            took = time.monotonic() - self._began
            if observed:
                self.end()
            if first:
                self._memory_is(self.allocator)
        if len(self.drawing) > drawn:  # else it ended before its batch was drawn
            del self.drawing[drawn + 1 :]
            self.seconds.append(took)
            self._refined(number + 1)

    def _memory_is(self, way: str | None) -> None:
        """What happens to freed memory, where the run has settled that at all."""
        if self.allocator is not None and way is not None:
            set_allocator(way)

    def validating(self, validate: Validate) -> Validate:
        """`validate`, of which the first call gives back what it frees, as the first steps do."""
        calls: list[None] = []

        def first_apart(network: nn.Module) -> dict[str, Any]:
            first, kept = not calls, keeps_memory()
            calls.append(None)
            if first:
                self._memory_is("return")
            try:
                return validate(network)
            finally:
                if first and kept:
                    self._memory_is(self.allocator)

        return first_apart

    def step(self, step: Step) -> Step:
        """The task's step, which tells when the batch is drawn and when its loss is known."""

        def watched(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
            self.drawing.append(time.monotonic() - self._began)
            self.given((images, targets))
            loss = step(network, images, targets)
            self.loss_known()
            return loss

        return watched

    def _refined(self, done: int) -> None:
        """After ten steps the time that is left is known better than before the run."""
        if len(self.seconds) != REFINED_BY:
            return
        step = refine(0.0, self.seconds)
        left = step * (self.steps - done)
        if left > WORTH_SAYING:
            more = f"{self.steps - done:,} more take {duration(left)}, validation not counted"
            self.say(f"{step:.3g} s a step{self._told()}; {more}")

    def _told(self) -> str:
        return f" (foretold {self.foretold:.3g})" if self.foretold else ""

    def document(self) -> dict[str, Any]:
        """What was measured, for plan.json; null where it could not be.

        seconds_per_step: median of a whole step past the first two, all steps where there are no
        more; seconds_drawing: what of it the batch took.
        """
        known = self.earlier
        mine = {
            "tensors_peak": self.peak,
            "memory": self.memory,
            "process_peak": self.process.peak,
            "seconds_per_step": _usual(self.seconds),
            "seconds_drawing": _usual(self.drawing),
        }
        found = known | {key: value for key, value in mine.items() if value is not None}
        peaks = [known.get("process_peak"), mine["process_peak"]]
        found["process_peak"] = max((peak for peak in peaks if peak), default=None)
        if self.reserved:
            found["reserved_peak"] = self.reserved
        return dict.fromkeys(mine) | found


def _usual(seconds: list[float]) -> float | None:
    later = seconds[WARM_UP:] or seconds
    return median(later) if later else None
