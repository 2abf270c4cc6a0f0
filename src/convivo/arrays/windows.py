"""Windows of a signal: cut around moments, or laid over all of it.

Letters: C channels, T samples.
"""

import numpy as np


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
