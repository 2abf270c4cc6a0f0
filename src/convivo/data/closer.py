"""A second, closer look at images that seem to be the same: does their finer detail agree too?

Outlines alone (a round cell, a blank disc) have look-alikes; on the small thumbnails that all
images are compared by they can hardly be told from one picture that was recoded.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from convivo.arrays.likeness import align, coarse, residual
from convivo.arrays.thumbnails import SIDES, thumbnail
from convivo.data.near import LEAST, Near
from convivo.data.readers import read
from convivo.data.sample import Case
from convivo.errors import ConvivoError

FINER = 2  # times as many samples a side
ENOUGH = 1.5  # times the samples of a thumbnail: what is smaller has no finer detail
# What a fit may leave. Of cells at twice the resolution JPEG at quality 50 or half the size leave
# 0.13 at most, blank ones of other people 0.22 and more.
MOST = 0.2
# Of images too small for it, at the first look. The share of the look-alike level is half way
# (geometrically) between what recoding leaves of digits in 99 of 100, 0.20, and what the likest
# different ones of 70,000 leave, 0.265. In small sets, whose level is high whatever they hold, the
# other limit parts them: recoding leaves 0.067 in 19 of 20 of the change that leaves the most, and
# of 18,000 digits in sets of 20 to 200 two pairs of different ones less than 0.08.
MOST_SMALL, SHARE_SMALL = 0.08, 0.23
KEPT = 64  # images whose thumbnails stay: one is often in several pairs
TOGETHER = 32  # pairs looked at together


def is_sure(pair: Near) -> bool:
    """Whether the first look is enough where a closer one is not possible."""
    far = pair.share <= SHARE_SMALL or pair.residual <= LEAST
    return far and pair.residual <= MOST_SMALL


def hold_closer(pairs: Sequence[tuple[Case, Case, bool]], spatial_dims: int) -> list[bool]:
    """Of two cases, and whether that was sure already (`is_sure`): do they show the same?

    Images and volumes are read again, as few as the pairs name, and compared at twice the
    resolution; where they are too small for it they must have been sure. Signals are believed.
    """
    if spatial_dims == 1:
        return [True] * len(pairs)
    looked = lru_cache(maxsize=KEPT)(_looked)
    held: list[bool] = []
    for start in range(0, len(pairs), TOGETHER):
        some = pairs[start : start + TOGETHER]
        held += same(
            [looked(one.image, one.index) for one, _, _ in some],
            [looked(other.image, other.index) for _, other, _ in some],
            [sure for _, _, sure in some],
        )
    return held


def same(
    ones: Sequence[np.ndarray | None],
    others: Sequence[np.ndarray | None],
    sure: Sequence[bool],
) -> list[bool]:
    """Whether pairs of `finer` show the same; without finer detail, what was sure before."""
    held = list(sure)
    pairs = [
        (place, one, other)
        for place, (one, other) in enumerate(zip(ones, others, strict=True))
        if one is not None and other is not None
    ]
    if pairs:
        first, second = (np.concatenate([pair[side] for pair in pairs]) for side in (1, 2))
        for (place, _, _), left in zip(pairs, _left(first, second), strict=True):
            held[place] = bool(left <= MOST)
    return held


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


def _left(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Two (n, m, ...) -> (n,) what the better of the two likeliest orientations leaves."""
    found = align(coarse(ones), coarse(others), ones.shape[1])
    return np.minimum(*(residual(ones, others, way) for way in found))
