"""Windows of a signal: cut around moments, or laid over all of it.

Letters: C channels, T samples, n windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LOOKED_AT = 256  # windows that tell what is usual, evenly spread
PACES = 2  # channels that tell the rhythm: how long before, how long after
STEEP = 4.0  # a pace that is half or twice the usual one stands at minus or plus this
FARTHEST = 4.0  # times the usual distance, or as small a part of it: beyond it all are alike


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


def paces(positions: np.ndarray) -> np.ndarray:
    """How early a moment comes and how long the next takes: n positions -> (n, 2) float32.

    The binary logarithm of the distance to either neighbour against the record's median distance,
    four times; 0 where there is no neighbour. A beat that comes a quarter early has -1.7 ahead.
    Source: the intervals that beats are told apart by, de Chazal et al. 2004,
        doi:10.1109/TBME.2004.827359; against the record's own: Llamedo & Martinez 2011,
        doi:10.1109/TBME.2010.2068048.

    Example:
        >>> paces(np.array([0, 100, 150, 300, 400])).tolist()
        [[0.0, 0.0], [0.0, -4.0], [-4.0, 2.3398499488830566], [2.3398499488830566, 0.0], [0.0, 0.0]]
    """
    order = np.argsort(positions, kind="stable")
    apart = np.diff(np.asarray(positions, np.float64)[order])
    if not len(apart):
        return np.zeros((len(positions), PACES), np.float32)
    usual_one = max(float(np.median(apart)), 1.0)
    found = STEEP * np.log2(np.clip(apart / usual_one, 1 / FARTHEST, FARTHEST))
    rows = np.empty((len(order), PACES), np.float32)
    rows[order] = np.stack([np.r_[0.0, found], np.r_[found, 0.0]], axis=1)
    return rows


@dataclass(frozen=True, kw_only=True)
class Around:
    """How a network is shown a moment of a record.

    length: samples of the window. before: the share of it that lies before the moment.
    reference: what differs from the record's median window, as further channels: nothing does in a
    usual beat, whoever's it is. rhythm: as two more, constant along the window, how early the
    moment comes and how long the next one takes (see `paces`).
    """

    length: int
    before: float = 0.5
    reference: bool = False
    rhythm: bool = False

    def channels(self, own: int) -> int:
        """Of what the network sees, of a record of `own` channels."""
        return own * (2 if self.reference else 1) + (PACES if self.rhythm else 0)

    def of(self, image: np.ndarray, positions: Sequence[int] | np.ndarray) -> "Moments":
        """The n moments of a record (C, T)."""
        places = np.asarray(positions, np.int64)
        ahead = round(self.before * self.length)
        starts = [int(place) - ahead for place in places]
        return Moments(
            positions=places,
            starts=starts,
            reference=usual(image, starts, self.length) if self.reference else None,
            paces=paces(places) if self.rhythm else None,
            length=self.length,
            channels=self.channels(len(image)),
        )


@dataclass(frozen=True, kw_only=True)
class Moments:
    """The n moments of one record, and what each is shown beside; the record itself is not held.

    starts: of the windows. reference: the record's median window (C, length). paces: its rhythm
    (n, 2). channels: of what the network sees.
    """

    positions: np.ndarray
    starts: Sequence[int]
    reference: np.ndarray | None
    paces: np.ndarray | None
    length: int
    channels: int

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, image: np.ndarray, place: int) -> np.ndarray:
        """One of them as a network sees it: (channels, length)."""
        seen = window(image, self.starts[place], self.length)
        more = [] if self.reference is None else [seen - self.reference]
        if self.paces is not None:
            more.append(self.paces[place, :, None].repeat(self.length, axis=1))
        return np.concatenate([seen, *more]) if more else seen

    def stacked(self, image: np.ndarray, first: int = 0, last: int | None = None) -> np.ndarray:
        """Some of them: (n, channels, length), zero of them as well."""
        rows = [self.cut(image, place) for place in range(len(self))[first:last]]
        return np.stack(rows) if rows else np.zeros((0, self.channels, self.length), np.float32)
