"""Finds pictures that are there twice in another form: candidates by index, then one by one.

Letters: n thumbnails, k candidates of each.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from convivo.arrays.likeness import Alignment, align, coarse, residual
from convivo.arrays.nearest import compressed, nearest
from convivo.arrays.orientations import orientations, words
from convivo.arrays.spectra import spectrum

CANDIDATES = 10  # nearest by spectrum that are laid on each thumbnail
FITTED = 4  # of them, the best, that are fitted
GATE = 0.7  # score from which a fit is worth its time: a shift by a sixteenth leaves more
CLOSE = 0.95  # of the best score: another orientation that near is fitted as well
LEAST = 0.02  # residual: below it lie only roundings
MOST = 0.12  # residual: above it, recoding at quality 50 or another size no longer explains it
SHARE = 0.3  # of the look-alike level: who is this much nearer than the farthest is worth a look
SPECTRA = 512  # thumbnails whose spectra are taken at once
ROWS = 64  # thumbnails whose candidates are laid on them at once
PAIRS = 256  # pairs that are fitted at once

Done = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Near:
    """Two places in the list of thumbnails that show one picture.

    similarity: correlation once laid on each other, 0 to 1. how: "mirrored", "turned" or "".
    residual: what the fit leaves, sqrt(1 - similarity^2); share: of the pair's look-alike level.
    """

    first: int
    second: int
    similarity: float
    residual: float
    share: float
    how: str = ""


def near_pairs(thumbnails: Sequence[np.ndarray], done: Done = lambda count: None) -> list[Near]:
    """Pairs that are the same picture, by place; of each thumbnail its best few.

    A pair counts when what a fit leaves (`likeness.residual`) is at most `MOST`, and at most
    `SHARE` of the pair's look-alike level: what laying the farthest of its candidates on the
    picture leaves. Simple pictures (a written 1) have near look-alikes and so a low level; in
    a small set the level is unknown, but so are chances for two to be alike by accident.

    Args:
        thumbnails: of one shape (m, ...). done: called with the number of thumbnails finished.
    """
    if len(thumbnails) < 2:
        return []
    # Every thread here does a part of its own (see `nearest`).
    with threadpool_limits(1, user_api="blas"):
        return _near_pairs(np.stack(thumbnails), done)


def _near_pairs(table: np.ndarray, done: Done) -> list[Near]:
    count = len(table)
    pieces = [table[i : i + SPECTRA] for i in range(0, count, SPECTRA)]
    points = compressed(np.concatenate(list(_parallel(spectrum, pieces))))
    k = min(CANDIDATES, count - 1)
    others = nearest(points, k, lambda ready: done(ready // 2))
    rows = [np.arange(i, min(i + ROWS, count)) for i in range(0, count, ROWS)]
    laid = []
    for part in _parallel(lambda chosen: _laid(table, chosen, others[chosen]), rows):
        laid.append(part)
        done((count + ROWS * len(laid)) // 2 if len(laid) < len(rows) else count)
    return _fitted(table, others, laid)


def _parallel(work: Callable, items: Sequence) -> Iterator:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, items)


Laid = tuple[Alignment, Alignment]  # the best orientation, and the next


def _laid(table: np.ndarray, rows: np.ndarray, others: np.ndarray) -> Laid:
    """Every row's candidates laid on it."""
    own = np.repeat(coarse(table[rows]), others.shape[1], axis=0)
    return align(coarse(table[others.ravel()]), own, table.shape[1])


def _joined(parts: Sequence[Alignment]) -> Alignment:
    return Alignment(
        score=np.concatenate([part.score for part in parts]),
        orientation=np.concatenate([part.orientation for part in parts]),
        shift=np.concatenate([part.shift for part in parts]),
    )


def _fitted(table: np.ndarray, others: np.ndarray, laid: Sequence[Laid]) -> list[Near]:
    """The pairs whose fit leaves little enough."""
    count, k = others.shape
    best, next_best = (_joined(parts) for parts in zip(*laid, strict=True))
    score = best.score.reshape(count, k)
    level = _left(score.min(axis=1)) if k == CANDIDATES else np.ones(count)
    kept = _worth_fitting(others, score)
    second, first = kept // k, others.ravel()[kept]
    level = np.minimum(level[first], level[second])
    allowed = np.clip(SHARE * level, LEAST, MOST)
    best, next_best = best.chosen(kept), next_best.chosen(kept)
    left = _residuals(table, first, second, best)
    again = np.flatnonzero((left > allowed) & (next_best.score >= CLOSE * best.score))
    other = _residuals(table, first[again], second[again], next_best.chosen(again))
    better = other < left[again]
    orientation = best.orientation.copy()
    left[again] = np.minimum(left[again], other)
    orientation[again[better]] = next_best.orientation[again[better]]
    return [
        Near(
            first=int(min(first[i], second[i])),
            second=int(max(first[i], second[i])),
            similarity=float(_left(left[i])),
            residual=float(left[i]),
            share=float(left[i] / max(level[i], LEAST)),
            how=words(orientations(table.ndim - 1)[orientation[i]]),
        )
        for i in np.flatnonzero(left <= allowed)
    ]


def _residuals(
    table: np.ndarray, first: np.ndarray, second: np.ndarray, found: Alignment
) -> np.ndarray:
    """`residual` of many pairs, some at a time."""
    parts = [np.arange(i, min(i + PAIRS, len(first))) for i in range(0, len(first), PAIRS)]

    def fit(part: np.ndarray) -> np.ndarray:
        return residual(table[first[part]], table[second[part]], found.chosen(part))

    return np.concatenate([np.zeros(0, np.float32), *_parallel(fit, parts)])


def _left(correlation: np.ndarray) -> np.ndarray:
    """What a correlation leaves, and back: sqrt(1 - r^2)."""
    return np.sqrt(np.clip(1.0 - np.square(correlation), 0.0, 1.0))


def _worth_fitting(others: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Flat places of pairs to fit: of each row's best four those past the gate, no pair twice."""
    count, k = others.shape
    rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1)
    places = np.flatnonzero(((rank < FITTED) & (score >= GATE)).ravel())
    one, two = places // k, others.ravel()[places]
    key = np.minimum(one, two).astype(np.int64) * count + np.maximum(one, two)
    _, once = np.unique(key, return_index=True)
    return places[np.sort(once)]
