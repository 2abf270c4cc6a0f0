"""Finds recordings that hold a stretch of each other: windows of one recording, a part of a whole.

Landmarks that look the same vote for a pair and an offset; a pair is reported where nearly all
landmarks of the common stretch are the same, at one offset to the sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convivo.arrays.landmarks import Landmarks
from convivo.arrays.nearest import nearest
from convivo.data.units import natural

MOST = 24_000  # landmarks compared; of more, each recording gives its strongest
NEIGHBOURS = 12  # of a landmark
SAME = 0.995  # correlation of two patches that are one: two beats of one heart differ by noise
FEWEST = 5  # landmarks in common
SHARE = 0.6  # of the landmarks in the common stretch


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two recordings by id, the earlier first; similarity: median correlation of landmarks."""

    first: str
    second: str
    similarity: float
    how: str


def overlapping(recordings: Mapping[str, Landmarks | None]) -> list[Overlap]:
    """Pairs with a stretch in common, ids in natural order."""
    found = {name: one for name, one in recordings.items() if one and len(one.positions) >= FEWEST}
    names = sorted(found, key=natural)
    most = max(FEWEST, MOST // max(1, len(names)))
    parts = [found[name] for name in names]
    if len(parts) < 2:
        return []
    owner = np.repeat(np.arange(len(parts)), [min(most, len(p.positions)) for p in parts])
    place = np.concatenate([p.positions[:most] for p in parts])
    patches = _unit(np.concatenate([p.patches[:most] for p in parts]))
    votes = _votes(owner, place, patches)
    pairs = []
    for (one, two, offset), similar in sorted(votes.items()):
        share = _share(parts, place, owner, (one, two, offset, len(similar)))
        if share:
            how = f"{share:.0%} of the shorter one"
            similarity = float(np.median(similar))
            pairs.append(
                Overlap(first=names[one], second=names[two], similarity=similarity, how=how)
            )
    return _best(pairs)


def _unit(patches: np.ndarray) -> np.ndarray:
    rows = patches.astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


Votes = dict[tuple[int, int, int], list[float]]


def _votes(owner: np.ndarray, place: np.ndarray, patches: np.ndarray) -> Votes:
    """(earlier, later, offset of the later) -> correlations of the landmarks that agree."""
    others = nearest(patches, min(NEIGHBOURS, len(patches) - 1))
    one = np.repeat(np.arange(len(patches)), others.shape[1])
    two = others.ravel()
    keep = owner[one] < owner[two]
    back = owner[one] > owner[two]
    one, two = np.concatenate([one[keep], two[back]]), np.concatenate([two[keep], one[back]])
    pairs = np.unique(one * len(patches) + two)  # as one number: many times as fast as as rows
    if not len(pairs):
        return {}
    one, two = np.divmod(pairs, len(patches))
    similar = np.einsum("ij,ij->i", patches[one], patches[two])
    votes: Votes = {}
    for i in np.flatnonzero(similar >= SAME):
        a, b = int(one[i]), int(two[i])
        key = (int(owner[a]), int(owner[b]), int(place[a] - place[b]))
        votes.setdefault(key, []).append(float(similar[i]))
    return {key: alike for key, alike in votes.items() if len(alike) >= FEWEST}


def _share(
    parts: list[Landmarks], place: np.ndarray, owner: np.ndarray, vote: tuple[int, int, int, int]
) -> float:
    """Share of the shorter recording that both hold; 0 where too few landmarks agree."""
    one, two, offset, agreed = vote
    start = max(0, offset)
    stop = min(parts[one].length, parts[two].length + offset)
    inside = min(
        _inside(place[owner == one], start, stop),
        _inside(place[owner == two], start - offset, stop - offset),
    )
    if agreed < SHARE * inside:
        return 0.0
    return (stop - start) / min(parts[one].length, parts[two].length)


def _inside(places: np.ndarray, start: int, stop: int) -> int:
    return int(((places >= start) & (places < stop)).sum())


def _best(pairs: list[Overlap]) -> list[Overlap]:
    """One offset a pair: the most alike."""
    best: dict[tuple[str, str], Overlap] = {}
    for pair in pairs:
        key = (pair.first, pair.second)
        if key not in best or pair.similarity > best[key].similarity:
            best[key] = pair
    return list(best.values())
