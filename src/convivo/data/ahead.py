"""The next batch, read while the step before it runs."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Drawn = TypeVar("Drawn")
BATCHES = 1  # that wait


class Ahead(Generic[Drawn]):
    """`draw` by step number, one step ahead; what is drawn is the same in any order.

    Args:
        draw: step -> batch, a function of the step alone.
        depth: batches that may wait.
    """

    def __init__(self, draw: Callable[[int], Drawn], depth: int = BATCHES) -> None:
        self.draw, self.depth = draw, depth
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
        self._waiting: dict[int, Future[Drawn]] = {}

    def __call__(self, step: int) -> Drawn:
        """The batch of a step. Raises what drawing it raised."""
        ready = self._waiting.pop(step, None)
        coming = range(step + 1, step + 1 + self.depth)
        for other in [number for number in self._waiting if number not in coming]:
            self._waiting.pop(other).cancel()
        batch = self.draw(step) if ready is None else ready.result()
        for number in coming:
            if number not in self._waiting:
                self._waiting[number] = self._pool.submit(self.draw, number)
        return batch

    def close(self) -> None:
        """Let go of what waits."""
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)
