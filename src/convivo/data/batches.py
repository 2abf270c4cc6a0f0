"""Store -> Batch: which items a step sees, and their windows or patches.

Randomness is a function of (seed, step) or (seed, epoch) alone, so a run can restart at any
step and draw the same batches. Letters: B items of a batch, C channels, *S spatial axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np

from convivo.arrays.mirrored_tiles import mirrored
from convivo.arrays.windows import Around, Moments, window
from convivo.data.sample import Events
from convivo.data.store import Store
from convivo.errors import ShapeError

Sampling = Literal["whole", "window", "patch", "crop"]
ORDER, PLACE = 1, 2  # streams of randomness, kept apart


@dataclass(frozen=True, kw_only=True)
class Batch:
    """images (B, C, *S) float32; targets (B,) int64 classes or float32, or (B, *S) label maps.

    Label maps stay in the stored format: an eighth of int64's bytes to copy, to move and to send.
    """

    images: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Item:
    """What is drawn: a case, or one moment (prepared sample index) of it."""

    case: int
    position: int = -1
    label: int | float = -1


@dataclass(frozen=True)
class Items(Sequence[Item]):
    """All items of a store, as three arrays (n,): int64, labels that are numbers float64."""

    cases: np.ndarray
    positions: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.cases)

    def kinds(self) -> np.ndarray:
        """(n,) int64: which class of which case an item is of, numbered."""
        pairs = np.stack([self.cases, self.labels], axis=1)
        numbers: np.ndarray = np.unique(pairs, axis=0, return_inverse=True)[1]
        return numbers.reshape(-1)

    def __getitem__(self, place: Any) -> Any:
        rows = (self.cases[place], self.positions[place], self.labels[place])
        if isinstance(place, slice):
            return Items(*rows)
        case, position, label = (number.item() for number in rows)
        return Item(case=case, position=position, label=label)


def items_of(store: Store) -> Items:
    """Every item of a store: labelled moments of records, else one per case."""
    cases, positions, labels = [], [], []
    for case in range(len(store)):
        target = None if store.maps else store.targets[case]
        if isinstance(target, Events):
            known = target.labels >= 0
            positions.append(target.positions[known])
            labels.append(target.labels[known])
        else:
            positions.append(np.array([-1]))
            labels.append(np.array([target if isinstance(target, int | float) else -1]))
        cases.append(np.full(len(labels[-1]), case))
    return Items(*(_joined(parts) for parts in (cases, positions, labels)))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    joined = np.concatenate(parts) if parts else np.empty(0, np.int64)
    return joined if joined.dtype.kind == "f" else joined.astype(np.int64)


def pad_to(array: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Grow the trailing axes to at least `size` by repeating the edge, evenly on both sides."""
    lead = array.ndim - len(size)
    missing = [max(want - have, 0) for want, have in zip(size, array.shape[lead:], strict=True)]
    if not any(missing):
        return array
    return np.pad(array, [(0, 0)] * lead + [(m // 2, m - m // 2) for m in missing], mode="edge")


class Batches:
    """Batches of a store by step number.

    Args:
        store: prepared cases.
        size: what the network sees: (*S); for "window" its length around a moment.
        batch: items per step.
        sampling: "whole" cases, "window"s around moments, "crop"s of longer signals, "patch"es.
        seed: with the step it decides everything drawn.
        balance: 0 draws items as often as they occur, 1 every class equally often; of moments
            every class of every record, since many alike from one record tell little of others.
        foreground: share of patches centred on a class other than 0, classes equally often.
        before: share of a window that lies before its moment.
        reference, rhythm: what is shown beside each window (see `arrays.windows.Around`).
        margin: for networks that answer less than they see: samples per side of a patch without an
            answer. What is answered lies in the image; the margin, of labels too, may be mirrored.
    """

    def __init__(
        self,
        store: Store,
        *,
        size: tuple[int, ...],
        batch: int,
        sampling: Sampling,
        seed: int,
        balance: float = 0.0,
        foreground: float = 0.5,
        before: float = 0.5,
        reference: bool = False,
        rhythm: bool = False,
        margin: tuple[int, ...] | None = None,
    ) -> None:
        self.way = Around(length=size[0], before=before, reference=reference, rhythm=rhythm)
        self._moments = lru_cache(maxsize=None)(self._moments_of)
        self.store, self.size, self.batch, self.sampling = store, tuple(size), batch, sampling
        self.seed, self.foreground = seed, foreground
        self.margin = margin if margin is not None and sampling == "patch" else None
        # what a patch is asked about
        gone = self.margin or (0,) * len(self.size)
        self.inner = tuple(n - 2 * m for n, m in zip(self.size, gone, strict=True))
        if min(self.inner) < 1:
            rule = f"a patch is larger than the network's two margins of {self.margin}"
            raise ShapeError("input.size", rule, self.size, "Use a larger patch")
        self.items = items_of(store)
        labels = self.items.labels
        groups = labels if sampling != "window" else self.items.kinds()
        self.weights = class_weights(groups, balance if labels.dtype.kind in "iu" else 0.0)
        self._voxels = 0.0
        if sampling == "patch":
            self._voxels = sum(float(np.prod(image.shape[1:])) for image in store.images)
        self._order = lru_cache(maxsize=2)(self._draw_order)

    @property
    def items_per_epoch(self) -> int:
        """One look at everything: items, or as many patches as the cases have room for."""
        if self.sampling != "patch":
            return len(self.items)
        return max(len(self.items), round(self._voxels / float(np.prod(self.inner))))

    @property
    def steps_per_epoch(self) -> int:
        """Steps until `items_per_epoch` items have been seen."""
        return max(1, -(-self.items_per_epoch // self.batch))

    def _draw_order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, ORDER, epoch))
        n = self.items_per_epoch
        if self.weights is not None:
            return rng.choice(len(self.items), size=n, p=self.weights)
        rounds = -(-n // len(self.items))
        return np.concatenate([rng.permutation(len(self.items)) for _ in range(rounds)])[:n]

    def __call__(self, step: int) -> Batch:
        """The batch of a step; the last one of an epoch runs on into the next."""
        places = self._places(step)
        if self.sampling == "whole":
            return self._whole(places)
        chosen = [self.items[place] for place in places]
        rng = np.random.default_rng((self.seed, PLACE, step))
        cut = {"window": self._window, "crop": self._crop, "patch": self._patch}[self.sampling]
        rows = [cut(item, rng) for item in chosen]
        images = np.stack([row[0] for row in rows]).astype(np.float32, copy=False)
        targets = np.stack([np.asarray(row[1]) for row in rows])
        return Batch(images=images, targets=targets if self.store.maps else _typed(targets))

    def _places(self, step: int) -> np.ndarray:
        """(batch,) the items of a step, by their places among all."""
        n, (begin, end) = self.items_per_epoch, (step * self.batch, (step + 1) * self.batch)
        return np.concatenate([
            self._order(epoch)[max(begin - epoch * n, 0) : end - epoch * n]
            for epoch in range(begin // n, (end - 1) // n + 1)
        ])  # fmt: skip

    def _whole(self, places: np.ndarray) -> Batch:
        images = self.store.stacked(self.items.cases[places].tolist())
        targets = _typed(self.items.labels[places])
        return Batch(images=images.astype(np.float32, copy=False), targets=targets)

    def _window(self, item: Item, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        moments = self._moments(item.case)
        place = int(np.flatnonzero(moments.positions == item.position)[0])
        return moments.cut(self.store.images[item.case], place), item.label

    def _moments_of(self, case: int) -> Moments:
        """All moments of a record, those without a label as well: they are its rhythm too."""
        target = self.store.targets[case]
        assert isinstance(target, Events), "windows are cut around moments"
        return self.way.of(self.store.images[case], target.positions)

    def _crop(self, item: Item, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        image = self.store.images[item.case]
        spare = image.shape[1] - self.size[0]
        start = int(rng.integers(0, spare + 1)) if spare > 0 else spare // 2
        return window(image, start, self.size[0]), item.label

    def _patch(self, item: Item, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if not self.store.maps:
            raise TypeError("patches are drawn from label maps")
        image, labels = self.store.images[item.case], self.store.targets[item.case]
        starts = self._patch_start(item.case, labels.shape, rng)
        if self.margin is not None:  # a shorter image lies in the middle of what is seen
            rows = zip(starts, labels.shape, self.inner, self.margin, strict=True)
            starts = [a + min(0, have - want) // 2 - m for a, have, want, m in rows]
            return mirrored(image, starts, self.size), mirrored(labels, starts, self.size)
        place = tuple(slice(a, a + n) for a, n in zip(starts, self.size, strict=True))
        cuts = image[(slice(None), *place)], labels[place]
        return pad_to(cuts[0], self.size), pad_to(cuts[1], self.size)

    def _patch_start(self, case: int, shape: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Where what is asked about begins: a share `foreground` of them around a random class."""
        spare = [max(0, have - want) for have, want in zip(shape, self.inner, strict=True)]
        if not any(spare):
            return [0] * len(spare)
        if rng.random() < self.foreground:
            places = self.store.places_of(case)
            if classes := sorted(places):
                where = places[classes[int(rng.integers(len(classes)))]]
                centre = np.unravel_index(int(where[int(rng.integers(len(where)))]), shape)
                starts = zip(centre, self.inner, spare, strict=True)
                return [int(np.clip(c - n // 2, 0, s)) for c, n, s in starts]
        return [int(rng.integers(0, s + 1)) for s in spare]


def _typed(targets: np.ndarray) -> np.ndarray:
    """Classes as int64, numbers to predict as float32."""
    wanted = np.float32 if targets.dtype.kind == "f" else np.int64
    return targets.astype(wanted, copy=False)


def cost(batch: int, channels: int, size: Sequence[int], *, maps: bool) -> int:
    """Bytes of a batch while it is drawn: its images, and its targets (classes in two formats).

    Args:
        batch, channels, size: B, C and *S of the batch.
        maps: targets are label maps (B, *S), a byte a place, else classes.
    """
    places = batch * prod(size)
    return 4 * channels * places + (places if maps else 9 * batch)


def class_weights(labels: np.ndarray, balance: float) -> np.ndarray | None:
    """Drawing probability per item, proportional to (size of its class) ** -balance."""
    if balance <= 0 or not len(labels) or labels.min() < 0:
        return None
    counts = np.bincount(labels).astype(np.float64)
    weights = counts[labels] ** -balance
    return weights / weights.sum()
