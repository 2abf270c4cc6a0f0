"""Images of any size through a network of fixed input size: cut, predict, blend, crop back.

Letters: C channels, K outputs per position, *S the image's spatial sizes, n tiles of a batch.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import product
from math import ceil

import numpy as np

from convivo.errors import ShapeError
from convivo.geometry import to_multiple

Predict = Callable[[np.ndarray], np.ndarray]
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
    return list(product(*_axis_starts(shape, tile, overlap)))


def blend_weights(tile: Sequence[int]) -> np.ndarray:
    """(*tile) float32 weights, 1 near the centre and small but positive at the borders.

    A network knows least at a tile's border, where its receptive field leaves the tile.

    Example:
        >>> blend_weights((3,)).round(2)
        array([0.03, 1.  , 0.03], dtype=float32)
    """
    return reduce(np.multiply.outer, [_bump(n) for n in tile]).astype(np.float32)


def predict_tiled(
    image: np.ndarray,
    predict: Predict,
    *,
    tile: Sequence[int],
    overlap: float = 0.5,
    batch: int = 1,
    multiple: Sequence[int] | None = None,
) -> np.ndarray:
    """Predict every position of an image from overlapping tiles.

    Args:
        image: (C, *S).
        predict: (n, C, *tile) -> (n, K, *tile), n at most `batch`.
        tile: sizes the network takes. Axes of the image that are shorter are padded evenly on
            both sides (mirrored; the edge repeated where the image is too short to mirror).
        overlap: share of a tile that its neighbour sees too, in [0, 1).
        batch: tiles per call.
        multiple: for networks that take any multiple of these sizes: where the image is shorter
            than the tile, the tile shrinks to the next multiple instead of padding all the way.
    Returns:
        (K, *S) float32, the mean of all tiles weighted by `blend_weights`.
    Raises:
        ShapeError: sizes that do not fit each other, `predict` changing the spatial sizes.
    """
    shape = image.shape[1:]
    if len(tile) != len(shape):
        rule = f"one tile size per spatial axis ({len(shape)})"
        raise ShapeError("predict_tiled", rule, tuple(tile), "Give a size per axis")
    sizes = tuple(int(n) for n in tile)
    if multiple is not None:
        rows = zip(sizes, to_multiple(shape, multiple), strict=True)
        sizes = tuple(min(pair) for pair in rows)
    padded, before = _pad(image, sizes)
    whole = _blend(padded, predict, sizes, overlap=overlap, batch=batch)
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    result = whole[(slice(None), *inside)]
    return np.ascontiguousarray(result)


def _blend(
    image: np.ndarray, predict: Predict, tile: Sizes, *, overlap: float, batch: int
) -> np.ndarray:
    """(C, *S) with no axis below the tile -> (K, *S)."""
    axis_starts = _axis_starts(image.shape[1:], tile, overlap)
    shares = _shares(image.shape[1:], tile, axis_starts)
    places = list(product(*(range(len(starts)) for starts in axis_starts)))
    result: np.ndarray | None = None
    for first in range(0, len(places), batch):
        group = places[first : first + batch]
        windows = [_window(place, axis_starts, tile) for place in group]
        answers = np.asarray(predict(np.stack([image[(slice(None), *w)] for w in windows])))
        _check(answers, len(group), tile)
        if result is None:
            result = np.zeros((answers.shape[1], *image.shape[1:]), dtype=np.float32)
        for place, window, answer in zip(group, windows, answers, strict=True):
            factors = [shares[axis][i] for axis, i in enumerate(place)]
            weight = reduce(np.multiply.outer, factors).astype(np.float32)
            result[(slice(None), *window)] += answer * weight
    if result is None:
        raise ShapeError("predict_tiled", "an image with at least one tile", image.shape, "Give it")
    return result


def _shares(shape: Sizes, tile: Sizes, axis_starts: list[list[int]]) -> list[list[np.ndarray]]:
    """Per axis and start, each position's weight as a share of all tiles that see it.

    The sum of the weights over a grid of tiles is the product of the sums along the axes, so the
    mean needs no second array of the image's size.
    """
    result = []
    for size, length, starts in zip(shape, tile, axis_starts, strict=True):
        bump, total = _bump(length), np.zeros(size)
        for start in starts:
            total[start : start + length] += bump
        result.append([bump / total[start : start + length] for start in starts])
    return result


def _axis_starts(shape: Sequence[int], tile: Sequence[int], overlap: float) -> list[list[int]]:
    if not 0 <= overlap < 1:
        raise ShapeError("tiling", "overlap lies in [0, 1)", overlap, "Use 0.5")
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


def _window(place: Sequence[int], axis_starts: list[list[int]], tile: Sizes) -> tuple[slice, ...]:
    rows = zip(place, axis_starts, tile, strict=True)
    return tuple(slice(starts[i], starts[i] + length) for i, starts, length in rows)


def _pad(image: np.ndarray, tile: Sizes) -> tuple[np.ndarray, Sizes]:
    """The image with every axis at least as long as the tile, and what was put before each."""
    before = []
    for axis, (size, length) in enumerate(zip(image.shape[1:], tile, strict=True), 1):
        missing = max(length - size, 0)
        first = missing // 2
        pads = [(0, 0)] * image.ndim
        pads[axis] = (first, missing - first)
        mirror = missing - first <= size - 1
        if missing:
            image = np.pad(image, pads, mode="reflect" if mirror else "edge")
        before.append(first)
    return image, tuple(before)


def _check(answers: np.ndarray, count: int, tile: Sizes) -> None:
    if answers.ndim != len(tile) + 2 or len(answers) != count or answers.shape[2:] != tile:
        rule = f"predict returns ({count}, K, {', '.join(map(str, tile))})"
        raise ShapeError("predict_tiled", rule, answers.shape, "Use a network that keeps sizes")
