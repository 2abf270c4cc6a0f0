"""Windows of a signal: cut around moments, or laid over all of it.

Letters: C channels, T samples, n windows.
"""

from collections.abc import Sequence

import numpy as np

LOOKED_AT = 256  # windows that tell what is usual, evenly spread


def window(image: np.ndarray, start: int, length: int) -> np.ndarray:
    """(C, T) -> (C, length) from `start`, zeros past either end."""
    stop = start + length
    inside = image[:, max(start, 0) : max(min(stop, image.shape[1]), 0)]
    if inside.shape[1] == length:
        return inside
    before = max(-start, 0)
    out = np.zeros((image.shape[0], length), image.dtype)
    out[:, before : before + inside.shape[1]] = inside
    return out


def half_overlapping(samples: int, length: int) -> list[int]:
    """Where windows start that cover a signal, overlapping by half; of a short one in the middle.

    Example:
        >>> half_overlapping(10, 4), half_overlapping(3, 5)
        ([0, 2, 4, 6], [-1])
    """
    spare = samples - length
    if spare <= 0:
        return [spare // 2]
    count = max(1, -(-2 * spare // length) + 1)
    return [int(start) for start in np.linspace(0, spare, count).round()]


def around(positions: np.ndarray, length: int, before: float) -> list[int]:
    """Where the windows of moments (n,) start; `before`: share of a window before its moment."""
    ahead = round(before * length)
    return [int(position) - ahead for position in positions]


def usual(image: np.ndarray, starts: Sequence[int], length: int) -> np.ndarray:
    """The median window of a record: (C, T) and where n windows start -> (C, length) float32.

    What a beat is held against: its record's usual shape, and when its neighbours usually come.

    Example:
        >>> usual(np.array([[0.0, 1, 5, 0, 1, 9, 0, 1, 7]]), [0, 3, 6], 3)
        array([[0., 1., 7.]], dtype=float32)
    """
    if not len(starts):
        return np.zeros((len(image), length), np.float32)
    places = np.linspace(0, len(starts) - 1, min(LOOKED_AT, len(starts))).round().astype(int)
    some = np.stack([window(image, starts[place], length) for place in places])
    return np.median(some, axis=0).astype(np.float32)


def beside(cut: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
    """A window (C, length), with the reference, if there is one, as further channels."""
    return cut if reference is None else np.concatenate([cut, reference])
