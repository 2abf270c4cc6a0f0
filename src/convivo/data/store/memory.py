"""Prepared cases in memory: Sample -> Store. Raw files are read and prepared once per run."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from convivo.arrays.preparation import Preparation
from convivo.data.sample import Sample
from convivo.data.store.cases import Store, Target
from convivo.data.store.foreground import class_places
from convivo.data.store.prepared import prepare_sample

HALF_MOST = float(np.finfo(np.float16).max)  # larger values would become infinite

Item = TypeVar("Item")
Made = TypeVar("Made")


def build_store(
    load: Callable[[str], Sample],
    ids: Iterable[str],
    preparation: Preparation,
    *,
    workers: int = 2,
    half: bool = False,
    objects: bool = False,
    tick: Callable[[int], None] | None = None,
) -> Store:
    """Read and prepare the named cases, in order, with a few reading threads.

    Args:
        load: case id -> Sample, thread-safe.
        half: keep images as float16 (see `in_half`).
        objects: label maps number objects of one class.
        tick: called with the number of cases done so far.
    """
    names, units = tuple(ids), []
    images, targets, places = [], [], []

    def one(name: str) -> tuple[str, np.ndarray, Target]:
        sample = load(name)
        image, _, target = prepare_sample(sample, preparation)
        return sample.unit, as_kept(image, half), target

    for done, (unit, image, target) in enumerate(in_turn(one, names, workers), 1):
        units.append(unit)
        images.append(image)
        targets.append(target)
        if isinstance(target, np.ndarray):
            places.append(class_places(target > 0 if objects else target))
        if tick is not None:
            tick(done)
    return Store(
        ids=names,
        units=tuple(units),
        images=_in_one(images),
        targets=targets,
        places=places if len(places) == len(names) else (),
    )


def as_kept(image: np.ndarray, half: bool) -> np.ndarray:
    """Float32, or float16 with what it cannot hold pulled in."""
    if not half:
        return image
    return image.clip(-HALF_MOST, HALF_MOST).astype(np.float16)


def in_turn(work: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[Made]:
    """`work` on every item by a few threads, results in order; no more than that wait."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        rest = iter(items)
        waiting: list[Future[Made]] = [pool.submit(work, one) for one in islice(rest, workers)]
        try:
            while waiting:
                made = waiting.pop(0).result()
                waiting += [pool.submit(work, one) for one in islice(rest, 1)]
                yield made
                del made
        finally:
            for future in waiting:
                future.cancel()


def _in_one(images: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """One contiguous array where all are alike.

    Takes the list over: each array is let go as soon as it is copied.
    """
    if not images or len({image.shape for image in images}) > 1:
        return images
    packed = np.empty((len(images), *images[0].shape), images[0].dtype)
    for i in range(len(images)):
        packed[i] = images[i]
        images[i] = packed[i]
    return packed
