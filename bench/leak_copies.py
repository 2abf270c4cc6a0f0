"""Copies planted in a set, and what an audit makes of them: found, missed, or mistaken."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from leak_sets import Change

from convivo.arrays.thumbnails import thumbnail
from convivo.data import closer, near


def first_look(images: Sequence[np.ndarray]) -> list[near.Near]:
    """Pairs by the index and the fit."""
    shown = {i: t for i, image in enumerate(images) if (t := thumbnail(image[None])) is not None}
    places = list(shown)
    found = near.near_pairs(list(shown.values()))
    return [replace(p, first=places[p.first], second=places[p.second]) for p in found]


def audited(images: Sequence[np.ndarray]) -> list[near.Near]:
    """What an inspection of these images would call duplicates: both looks at them."""
    pairs = first_look(images)
    held: list[bool] = []
    for start in range(0, len(pairs), closer.TOGETHER):
        some = pairs[start : start + closer.TOGETHER]
        sides = [p.first for p in some], [p.second for p in some]
        one, other = ([closer.finer(images[place][None]) for place in side] for side in sides)
        held += closer.same(one, other, [closer.is_sure(p) for p in some])
    return [pair for pair, holds in zip(pairs, held, strict=True) if holds]


@dataclass
class Planted:
    """A set with its copies. owner: place of a copy -> its kind and its source."""

    images: list[np.ndarray]
    own: int
    owner: dict[int, tuple[str, int]] = field(default_factory=dict)

    def source(self, place: int) -> int:
        return self.owner[place][1] if place in self.owner else place


def plant(
    images: Sequence[np.ndarray], changes: dict[str, Change], per: int, rng: np.random.Generator
) -> Planted:
    """The images, and behind them so many copies of each kind, of different images."""
    whole = Planted(images=list(images), own=len(images))
    for name, change in changes.items():
        for place in rng.choice(len(images), per, replace=False):
            whole.owner[len(whole.images)] = (name, int(place))
            whole.images.append(np.ascontiguousarray(change(images[place], rng)))
    return whole


@dataclass
class Found:
    """hits: of each kind. look_alikes: images of the set itself, mistaken: copies, that were
    taken for other images'. seconds: of the processor, for so many images."""

    hits: dict[str, list[bool]] = field(default_factory=dict)
    look_alikes: set[int] = field(default_factory=set)
    mistaken: int = 0
    seconds: float = 0.0
    audited: int = 0

    def add(self, whole: Planted, pairs: Sequence[near.Near]) -> None:
        root = list(range(len(whole.images)))  # what is linked stands in one unit, through others

        def top(place: int) -> int:
            while root[place] != place:
                place = root[place]
            return place

        for pair in pairs:
            root[top(pair.first)] = top(pair.second)
            if whole.source(pair.first) != whole.source(pair.second):
                if pair.second < whole.own:
                    self.look_alikes.add(pair.second)
                else:
                    self.mistaken += 1
        for place, (name, source) in whole.owner.items():
            self.hits.setdefault(name, []).append(top(place) == top(source))


def searched(
    images: Sequence[np.ndarray], changes: dict[str, Change], per: int, seed: int
) -> Found:
    """All that is planted, in as many rounds as a small set needs for so many copies."""
    rng, found = np.random.default_rng(seed), Found()
    rounds = -(-per // len(images)) if changes else 1
    for _ in range(rounds):
        whole = plant(images, changes, -(-per // rounds), rng)
        began = time.process_time()
        pairs = audited(whole.images)
        found.seconds += time.process_time() - began
        found.audited += len(whole.images)
        found.add(whole, pairs)
    return found
