"""Images of any size through a network that answers less than it sees: the overlap-tile strategy.

Tiles of answers lie side by side; what the network sees beyond the image is the image mirrored.
Letters: C channels, K outputs per position, *S spatial sizes, n tiles of a batch.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from convivo.arrays.rolling import RollingRows, Rows, gathered, stacked
from convivo.errors import ShapeError

Predict = Callable[[np.ndarray], np.ndarray]


def mirrored(array: np.ndarray, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """A piece of an array that may reach beyond its ends, where the array is mirrored.

    The edge sample is not repeated (NumPy's "reflect"), and an array shorter than what is missing
    is mirrored again and again.

    Args:
        array: (..., *S); a view of it is returned where nothing is missing.
        start: first index per spatial axis, negative before the array.
        size: samples per spatial axis.
    Example:
        >>> mirrored(np.array([1, 2, 3, 4]), (-3,), (9,))
        array([4, 3, 2, 1, 2, 3, 4, 3, 2])
    """
    first = array.ndim - len(size)
    cuts, turned = [], {}
    for axis, (begin, count) in enumerate(zip(start, size, strict=True), first):
        have = array.shape[axis]
        if begin >= 0 and begin + count <= have:
            cuts.append(slice(begin, begin + count))
            continue
        turn = max(1, 2 * (have - 1))
        places = np.arange(begin, begin + count) % turn
        places = np.minimum(places, turn - places)
        cuts.append(slice(int(places.min()), int(places.max()) + 1))
        turned[axis] = places - places.min()
    piece = array[(*[slice(None)] * first, *cuts)]  # once: it may have to be read
    for axis, places in turned.items():
        piece = piece.take(places, axis=axis)
    return piece


def covering_tile(
    shape: Sequence[int], tile: Sequence[int], margin: Sequence[int], step: Sequence[int]
) -> tuple[int, ...]:
    """The smallest input, a whole number of steps from `tile`, whose answer covers `shape`.

    Example:
        >>> covering_tile((512, 100), (572, 572), (92, 92), (16, 16))
        (700, 284)
    """
    rows = zip(shape, tile, margin, step, strict=True)
    return tuple(t + -(-(n - (t - 2 * m)) // s) * s for n, t, m, s in rows)


def predict_mirrored(
    image: np.ndarray,
    predict: Predict,
    *,
    tile: Sequence[int],
    margin: Sequence[int],
    step: Sequence[int] | None = None,
    batch: int = 1,
) -> np.ndarray:
    """Predict every position of an image from tiles whose answers lie side by side.

    Tiles start a whole number of steps apart. So they share a few positions where the answer's
    size is no such number, and each position gets the answer that one pass over the whole image
    would give it: there are no seams, and nothing is blended.

    Args:
        image: (C, *S).
        predict: (n, C, *tile) -> (n, K, *answer), answer = tile - 2 margin, n at most `batch`.
        tile: what the network sees. It must also take tiles that are whole steps larger, where
            the answer is shorter than a step, and smaller, where the image is.
        margin: samples per side and axis that have no answer.
        step: shifts of the input that the network follows exactly, its total pooling. Default: 1.
        batch: tiles per call.
    Returns:
        (K, *S) float32.
    Raises:
        ShapeError: sizes that do not fit each other, `predict` answering with another size.
    Source: Ronneberger et al. 2015, arXiv:1505.04597, figure 2.
    """
    rows = mirrored_rows(image, predict, tile=tile, margin=margin, step=step, batch=batch)
    return gathered(rows, image.shape[1:])


def mirrored_rows(
    image: np.ndarray,
    predict: Predict,
    *,
    tile: Sequence[int],
    margin: Sequence[int],
    step: Sequence[int] | None = None,
    batch: int = 1,
) -> Rows:
    """`predict_mirrored` row by row: no more of the answer is kept than one tile answers.

    Args: as there.
    Returns:
        Rows in order, (K, rows, *S without the first axis) float32.
    Raises:
        ShapeError: as there.
    """
    shape = image.shape[1:]
    steps = (1,) * len(shape) if step is None else tuple(step)
    sizes = mirrored_tile(shape, tile, margin, steps)
    inner = tuple(t - 2 * m for t, m in zip(sizes, margin, strict=True))
    places = list(product(*map(_starts, shape, inner, steps)))
    ring: RollingRows | None = None
    for first in range(0, len(places), batch):
        group = places[first : first + batch]
        corners = [[a - m for a, m in zip(place, margin, strict=True)] for place in group]
        answers = np.asarray(predict(stacked(mirrored(image, c, sizes) for c in corners)))
        _check(answers, len(group), inner)
        if len(places) == 1:
            yield 0, answers[(0, slice(None), *(slice(n) for n in shape))]
            return
        ring = ring or RollingRows(answers.shape[1], min(inner[0], shape[0]), shape[1:])
        for (row, *others), answer in zip(group, answers, strict=True):
            yield from ring.finish(row)
            kept, cuts = _inside((row, *others), inner, shape)
            ring.put(row, answer[(slice(None), *kept)], cuts[1:])
        del answers, answer  # or they would live while the next tiles are predicted
    if ring is None:
        raise ShapeError("predict_mirrored", "an image with samples", image.shape, "Give one")
    yield from ring.finish(shape[0])


def _inside(
    place: Sequence[int], inner: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What of an answer lies in the image, and where."""
    rows = zip(place, inner, shape, strict=True)
    cuts = tuple(slice(a, min(a + n, have)) for a, n, have in rows)
    return tuple(slice(cut.stop - cut.start) for cut in cuts), cuts


def mirrored_tile(
    shape: Sequence[int], tile: Sequence[int], margin: Sequence[int], step: Sequence[int]
) -> tuple[int, ...]:
    """The tile, a step larger where its answer is shorter than one, no larger than needed."""
    count = len(shape)
    if not len(tile) == len(margin) == len(step) == count or min(step) < 1 or min(margin) < 0:
        rule = f"tile, margin and step have a number per spatial axis ({count})"
        got = f"{tuple(tile)}, {tuple(margin)}, {tuple(step)}"
        raise ShapeError("predict_mirrored", rule, got, "Give one per axis")
    if any(t <= 2 * m for t, m in zip(tile, margin, strict=True)):
        rule = f"a tile is larger than its two margins of {tuple(margin)}"
        raise ShapeError("predict_mirrored", rule, tuple(tile), "Use a larger tile")
    least = covering_tile(step, tile, margin, step)
    whole = covering_tile(shape, tile, margin, step)
    rows = zip(tile, least, whole, strict=True)
    return tuple(min(max(t, few), all_of_it) for t, few, all_of_it in rows)


def _starts(size: int, inner: int, step: int) -> range:
    """Of the answers along one axis; the last may hang over the end."""
    return range(0, size, inner // step * step) if inner < size else range(min(size, 1))


def _check(answers: np.ndarray, count: int, inner: tuple[int, ...]) -> None:
    if answers.ndim != len(inner) + 2 or len(answers) != count or answers.shape[2:] != inner:
        rule = f"predict returns ({count}, K, {', '.join(map(str, inner))})"
        remedy = "Give the network's own margin"
        raise ShapeError("predict_mirrored", rule, answers.shape, remedy)
