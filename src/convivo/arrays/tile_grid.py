"""Where tiles lie on an image, what each sees of it, and how much each counts where they overlap.

Letters: C channels, *S the image's spatial sizes.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import product
from math import ceil

import numpy as np

from convivo.errors import ShapeError

Sizes = tuple[int, ...]

FLOOR = 0.01
"""Smallest weight along one axis: a corner seen by a single tile still counts."""


def tile_starts(
    shape: Sequence[int], tile: Sequence[int], overlap: float = 0.5
) -> list[tuple[int, ...]]:
    """First index of every tile, evenly spread, neighbours sharing at least `overlap`.

    Raises:
        ShapeError: a tile larger than the image, or an overlap outside [0, 1).
    Example:
        >>> tile_starts((10,), (4,), 0.5)
        [(0,), (2,), (4,), (6,)]
    """
    return list(product(*axis_starts(shape, tile, overlap)))


def blend_weights(tile: Sequence[int]) -> np.ndarray:
    """(*tile) float32 weights, 1 near the centre and small but positive at the borders.

    A network knows least at a tile's border, where its receptive field leaves the tile.

    Example:
        >>> blend_weights((3,)).round(2)
        array([0.03, 1.  , 0.03], dtype=float32)
    """
    return reduce(np.multiply.outer, [_bump(n) for n in tile]).astype(np.float32)


def cut_out(image: np.ndarray, window: tuple[slice, ...]) -> np.ndarray:
    """What one tile sees: (C, *tile), a view where no axis of the image is shorter."""
    cuts, padded = [], {}
    for axis, cut in enumerate(window, 1):
        length, size = cut.stop - cut.start, image.shape[axis]
        if length <= size:
            cuts.append(cut)
        else:
            cuts.append(slice(0, size))
            padded[axis] = _padded(size, length)
    tile = image[(slice(None), *cuts)]  # once: it may have to be read
    for axis, places in padded.items():
        tile = tile.take(places, axis=axis)
    return tile


def _padded(size: int, length: int) -> np.ndarray:
    """Which sample stands at each of `length` places around an axis of `size`."""
    missing = length - size
    places = np.arange(length) - missing // 2
    if missing - missing // 2 > size - 1:  # too short to be mirrored
        return places.clip(0, size - 1)
    places = np.abs(places)
    return np.minimum(places, 2 * (size - 1) - places)


class Shares:
    """Each position's weight in a tile as a share of all tiles that see it.

    The sum of the weights over a grid of tiles is the product of the sums along the axes, so the
    mean needs no second array of the image's size.
    """

    def __init__(self, shape: Sizes, tile: Sizes, starts: Sequence[Sequence[int]]) -> None:
        self.bumps = [_bump(length) for length in tile]
        self.totals = [np.zeros(size) for size in shape]
        for bump, total, row in zip(self.bumps, self.totals, starts, strict=True):
            for start in row:
                total[start : start + len(bump)] += bump

    def __call__(self, window: Sequence[slice]) -> np.ndarray:
        """The product of one share per axis: (*tile) float32, rounded once."""
        rows = zip(self.bumps, self.totals, window, strict=True)
        *factors, last = (bump / total[cut] for bump, total, cut in rows)
        several = reduce(np.multiply.outer, factors, np.ones(()))[..., None]
        result = np.empty((*several.shape[:-1], len(last)), dtype=np.float32)
        return np.multiply(several, last, out=result, casting="same_kind")


def axis_starts(shape: Sequence[int], tile: Sequence[int], overlap: float) -> list[list[int]]:
    """`tile_starts` axis by axis.

    Raises:
        ShapeError: as there.
    """
    if not 0 <= overlap < 1:
        raise ShapeError("tiling", "overlap lies in [0, 1)", overlap, "Use 0.25")
    fits = len(tile) == len(shape) and all(1 <= t <= n for t, n in zip(tile, shape, strict=True))
    if not fits:
        rule = f"a tile fits into the image {tuple(shape)}, axis by axis"
        raise ShapeError("tiling", rule, tuple(tile), "Pad the image or use a smaller tile")
    result = []
    for size, length in zip(shape, tile, strict=True):
        step = max(1.0, length * (1 - overlap))
        count = 1 + ceil((size - length) / step)
        result.append([round(v) for v in np.linspace(0, size - length, count).tolist()])
    return result


def _bump(length: int) -> np.ndarray:
    """A Gaussian with a deviation of an eighth of the axis, never below FLOOR."""
    place = (np.arange(length) - (length - 1) / 2) / (length / 8)
    return np.maximum(np.exp(-0.5 * place**2), FLOOR)


def window_of(place: Sequence[int], starts: list[list[int]], tile: Sizes) -> tuple[slice, ...]:
    """The part of the image that a place on the grid sees; it may reach past a shorter axis."""
    rows = zip(place, starts, tile, strict=True)
    return tuple(slice(row[i], row[i] + length) for i, row, length in rows)
