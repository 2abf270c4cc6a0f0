"""A second, closer look at images that seem to be the same: does their finer detail agree too?

Outlines alone (a round cell, a blank disc) have look-alikes; on the small thumbnails that all
images are compared by they can hardly be told from one picture that was recoded.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np

from convivo.arrays.likeness import align, coarse, residual
from convivo.arrays.thumbnails import SIDES, thumbnail
from convivo.data.readers import read
from convivo.data.sample import Case
from convivo.errors import ConvivoError

FINER = 2  # times as many samples a side
ENOUGH = 1.5  # times the samples of a thumbnail: what is smaller has no finer detail
# What a fit may leave. Of cells at twice the resolution JPEG at quality 50 or half the size leave
# 0.13 at most, blank ones of other people 0.22 and more; of written digits, too small for a closer
# look, recoding leaves 0.064 in 19 of 20.
MOST, MOST_SMALL = 0.2, 0.064
KEPT = 64  # images whose thumbnails stay: one is often in several pairs


def hold_closer(pairs: Sequence[tuple[Case, Case, float]], spatial_dims: int) -> list[bool]:
    """Of two cases and their similarity so far whether they still show the same.

    Images and volumes are read again, as few as the pairs name, and compared at twice the
    resolution; where they are too small for it they must be the more alike. Signals are believed.
    """
    looked = lru_cache(maxsize=KEPT)(_looked)

    def holds(first: Case, second: Case, similarity: float) -> bool:
        one, other = looked(first.image, first.index), looked(second.image, second.index)
        return same(one, other, similarity)

    return [spatial_dims == 1 or holds(*pair) for pair in pairs]


def same(one: np.ndarray | None, other: np.ndarray | None, similarity: float) -> bool:
    """Whether two of `finer` show the same; of images without finer detail, by what was seen."""
    if one is None or other is None:
        return sqrt(max(0.0, 1 - similarity**2)) <= MOST_SMALL
    return _left(one, other) <= MOST


def finer(image: np.ndarray) -> np.ndarray | None:
    """(C, *S) -> (1, m, ...) float32; None where there is no finer detail."""
    if image.ndim < 3 or min(image.shape[1:]) < ENOUGH * SIDES[image.ndim - 2]:
        return None
    small = thumbnail(image, FINER)
    return None if small is None else small[None].astype(np.float32)


def _looked(paths: tuple, index: int | None) -> np.ndarray | None:
    """`finer` of the files of a case; None where they cannot be read, or are unlike."""
    try:
        arrays = [read(path, index).array for path in paths]
    except ConvivoError:
        return None
    if not arrays or len({array.shape[1:] for array in arrays}) > 1:
        return None
    return finer(np.concatenate(arrays))


def _left(one: np.ndarray, other: np.ndarray) -> float:
    """What the better of the two likeliest orientations leaves."""
    found = align(coarse(one), coarse(other), one.shape[1])
    return min(float(residual(one, other, way)[0]) for way in found)
