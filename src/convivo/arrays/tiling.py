"""Images of any size through a network of fixed input size: cut, predict, blend, crop back.

Letters: C channels, K outputs per position, *S the image's spatial sizes, n tiles of a batch.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import ceil, prod

import numpy as np

from convivo.arrays.rolling import RollingRows, Rows, gathered, stacked
from convivo.arrays.tile_grid import Shares, Sizes, axis_starts, cut_out, window_of
from convivo.errors import ShapeError
from convivo.geometry import to_multiple

Predict = Callable[[np.ndarray], np.ndarray]
OVERLAP = 0.25  # share of a tile that its neighbour sees too


def predict_tiled(
    image: np.ndarray,
    predict: Predict,
    *,
    tile: Sequence[int],
    overlap: float = OVERLAP,
    batch: int = 1,
    multiple: Sequence[int] | None = None,
) -> np.ndarray:
    """Predict every position of an image from overlapping tiles.

    Args: as `tiled_rows`.
    Returns:
        (K, *S) float32, the mean of all tiles weighted by `blend_weights`.
    Raises:
        ShapeError: sizes that do not fit each other, `predict` changing the spatial sizes.
    """
    rows = tiled_rows(
        image, predict, tile=tile, overlap=overlap, batch=batch, multiple=multiple
    )  # fmt: skip
    return gathered(rows, image.shape[1:])


def tiled_rows(
    image: np.ndarray,
    predict: Predict,
    *,
    tile: Sequence[int],
    overlap: float = OVERLAP,
    batch: int = 1,
    multiple: Sequence[int] | None = None,
) -> Rows:
    """`predict_tiled` row by row: no more of the answer is kept than one tile is high.

    Args:
        image: (C, *S), of any real format; what a tile sees is cut from it as it is.
        predict: (n, C, *tile) -> (n, K, *tile), n at most `batch`.
        tile: sizes the network takes. Axes of the image that are shorter are padded evenly on
            both sides (mirrored; the edge repeated where the image is too short to mirror).
        overlap: share of a tile that its neighbour sees too, in [0, 1).
        batch: tiles per call.
        multiple: for networks that take any multiple of these sizes: where the image is shorter
            than the tile, the tile shrinks to the next multiple instead of padding all the way.
    Returns:
        Rows in order, (K, rows, *S without the first axis) float32.
    Raises:
        ShapeError: as `predict_tiled`.
    """
    shape = image.shape[1:]
    sizes = tile_of(shape, tile, multiple)
    grid = tuple(max(pair) for pair in zip(shape, sizes, strict=True))
    starts = axis_starts(grid, sizes, overlap)
    shares = Shares(grid, sizes, starts)
    before, *others = ((t - n) // 2 if n < t else 0 for n, t in zip(shape, sizes, strict=True))
    inside = tuple(slice(b, b + n) for b, n in zip(others, shape[1:], strict=True))
    ring: RollingRows | None = None
    for place, answer in _answers(image, predict, sizes, starts, batch):
        window = window_of(place, starts, sizes)
        if prod(map(len, starts)) == 1:  # a single tile has nothing to blend with
            yield 0, answer[(slice(None), slice(before, before + shape[0]), *inside)]
            return
        if ring is None:
            ring = RollingRows(len(answer), sizes[0], grid[1:])
        row = window[0].start
        yield from _inside(ring.finish(row), before, shape[0], inside)
        ring.add(row, answer, shares(window), window[1:])
        del answer  # or it would live while the next tiles are predicted
    if ring is None:
        raise ShapeError("predict_tiled", "an image with at least one tile", image.shape, "Give it")
    yield from _inside(ring.finish(grid[0]), before, shape[0], inside)


def tile_of(
    shape: Sequence[int], tile: Sequence[int], multiple: Sequence[int] | None = None
) -> Sizes:
    """The tile that an image is cut into, no larger than needed where the network allows it.

    Raises:
        ShapeError: not one size per axis.
    Example:
        >>> tile_of((35, 51, 36), (64, 48, 64), (8, 8, 8))
        (40, 48, 40)
    """
    if len(tile) != len(shape):
        rule = f"one tile size per spatial axis ({len(shape)})"
        raise ShapeError("predict_tiled", rule, tuple(tile), "Give a size per axis")
    sizes = tuple(int(n) for n in tile)
    if multiple is None:
        return sizes
    return tuple(min(pair) for pair in zip(sizes, to_multiple(shape, multiple), strict=True))


def even_tile(
    shape: Sequence[int], tile: Sequence[int], multiple: Sequence[int], overlap: float
) -> Sizes:
    """The smallest tile of which it takes no more than of `tile`: the last ones are no mere rests.

    Raises:
        ShapeError: not one size per axis.
    Example:
        >>> even_tile((160, 160, 128), (96, 96, 96), (16, 16, 16), 0.25)
        (96, 96, 80)
        >>> even_tile((100, 40), (96, 96), (16, 16), 0.25)
        (64, 48)
    """
    sizes = []
    for n, t, step in zip(shape, tile_of(shape, tile, multiple), multiple, strict=True):
        further = ceil(max(0, n - t) / (t * (1 - overlap)))
        least = ceil(n / (1 + further * (1 - overlap)))
        sizes.append(min(t, -(-least // step) * step))
    return tuple(sizes)


def _answers(
    image: np.ndarray, predict: Predict, tile: Sizes, starts: list[list[int]], batch: int
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Tiles in order, the first axis slowest: place on the grid, and its answer (K, *tile)."""
    places = list(product(*(range(len(row)) for row in starts)))
    for first in range(0, len(places), batch):
        group = places[first : first + batch]
        windows = [window_of(place, starts, tile) for place in group]
        answers = np.asarray(predict(stacked(cut_out(image, window) for window in windows)))
        _check(answers, len(group), tile)
        yield from zip(group, answers, strict=True)
        del answers


def _inside(rows: Rows, before: int, size: int, inside: tuple[slice, ...]) -> Rows:
    """Rows of the padded grid without the padding."""
    for start, part in rows:
        low, high = max(before - start, 0), min(before + size - start, part.shape[1])
        if low < high:
            yield start + low - before, part[(slice(None), slice(low, high), *inside)]


def _check(answers: np.ndarray, count: int, tile: Sizes) -> None:
    if answers.ndim != len(tile) + 2 or len(answers) != count or answers.shape[2:] != tile:
        rule = f"predict returns ({count}, K, {', '.join(map(str, tile))})"
        raise ShapeError("predict_tiled", rule, answers.shape, "Use a network that keeps sizes")
