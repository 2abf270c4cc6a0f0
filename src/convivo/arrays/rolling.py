"""Answers that grow along the first axis: only the rows that later tiles still touch are kept.

Letters: K outputs per position, *S spatial sizes, *R those of all axes but the first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

Rows = Iterator[tuple[int, np.ndarray]]
"""Finished rows in order: index of the first one, and (K, rows, *R), valid until the next."""

Cuts = tuple[slice, ...]

LARGEST = partial(np.argmax, axis=0)
DECODED_AT_ONCE = 2**18  # positions whose strongest class is found together: it takes 8 bytes each


class RollingRows:
    """A ring of `height` rows (K, height, *R) that moves along the first axis.

    Row r lies at r modulo height, so that nothing is moved when the ring goes on.
    """

    def __init__(self, outputs: int, height: int, rest: Sequence[int]) -> None:
        self.ring = np.zeros((outputs, height, *rest), dtype=np.float32)
        self.height, self.first = height, 0

    def add(self, start: int, answer: np.ndarray, weight: np.ndarray, cuts: Cuts) -> None:
        """Add answer x weight, (K, height, *T) and (height, *T), to the rows from `start`."""
        for ours, theirs in self._pieces(start, answer.shape[1]):
            for total, values in zip(self.ring, answer, strict=True):  # one output's copy at a time
                total[(ours, *cuts)] += values[theirs] * weight[theirs]

    def put(self, start: int, answer: np.ndarray, cuts: Cuts) -> None:
        """Write (K, rows, *T), at most `height` rows, over whatever is there."""
        for ours, theirs in self._pieces(start, answer.shape[1]):
            self.ring[(slice(None), ours, *cuts)] = answer[:, theirs]

    def finish(self, stop: int) -> Rows:
        """Give away the rows before `stop`; they are zeros when it goes on."""
        first, self.first = self.first, max(self.first, stop)
        for ours, theirs in self._pieces(first, self.first - first):
            rows = self.ring[:, ours]
            yield first + theirs.start, rows
            rows[...] = 0

    def _pieces(self, start: int, count: int) -> Iterator[tuple[slice, slice]]:
        """Where `count` rows from `start` lie in the ring, and among themselves."""
        done = 0
        while done < count:
            place = (start + done) % self.height
            rows = min(count - done, self.height - place)
            yield slice(place, place + rows), slice(done, done + rows)
            done += rows


def stacked(tiles: Iterable[np.ndarray]) -> np.ndarray:
    """Tiles (C, *tile) of any real format as the batch that a network is shown, float32."""
    return np.stack(list(tiles), dtype=np.float32, casting="same_kind")


def gathered(rows: Iterable[tuple[int, np.ndarray]], shape: Sequence[int]) -> np.ndarray:
    """All of the answer: (K, *shape) float32."""
    result: np.ndarray | None = None
    for start, part in rows:
        if result is None:
            result = np.empty((len(part), *shape), dtype=np.float32)
        result[:, start : start + part.shape[1]] = part
    assert result is not None, "an answer has rows"
    return result


def strongest(
    rows: Iterable[tuple[int, np.ndarray]],
    shape: Sequence[int],
    outputs: int,
    decide: Callable[[np.ndarray], np.ndarray] = LARGEST,
) -> np.ndarray:
    """The output with the largest value at each position: (*shape) uint8, uint16 beyond 256.

    Args:
        outputs: how many labels there may be. decide: (K, n, *R) -> (n, *R) by another rule, which
            looks at one position at a time.
    """
    result = np.empty(tuple(shape), dtype=label_format(outputs))
    for start, part in rows:
        per_row = max(1, part[0, :1].size)
        step = max(1, DECODED_AT_ONCE // per_row)
        for first in range(0, part.shape[1], step):
            some = decide(part[:, first : first + step])
            result[start + first : start + first + len(some)] = some
            del some  # or it would live while the next tiles are predicted
    return result


def label_format(outputs: int) -> np.dtype:
    """The smallest format of class indices.

    Example:
        >>> label_format(3), label_format(300)
        (dtype('uint8'), dtype('uint16'))
    """
    return np.dtype(np.uint8 if outputs <= 256 else np.uint16)
