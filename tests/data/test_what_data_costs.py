"""Bytes told beforehand, against those of the arrays made."""

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from convivo.arrays.preparation import Preparation
from convivo.data import augment, batches, store
from convivo.data.sample import Sample

SIZES = {1: (31,), 2: (17, 13), 3: (7, 9, 11)}


def samples(dims: int, count: int, grow: int = 0) -> dict[str, Sample]:
    rng, found = np.random.default_rng(0), {}
    for number in range(count):
        size = tuple(n + grow * number for n in SIZES[dims])
        image = rng.normal(size=(2, *size)).astype(np.float32)
        labels = rng.integers(0, 3, size, dtype=np.uint8)
        found[str(number)] = Sample(id=str(number), image=image, target=labels)
    return found


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("grow", [0, 2])
@pytest.mark.parametrize("half", [True, False])
def test_a_store_holds_what_was_told(dims: int, grow: int, half: bool) -> None:
    given = samples(dims, 3, grow)
    built = store.build_store(
        given.__getitem__,
        given,
        Preparation(spatial_dims=dims, channels=2, normalization="none"),
        half=half,
    )
    held = sum(i.nbytes for i in built.images) + sum(t.nbytes for t in built.targets)
    shapes = [sample.image.shape for sample in given.values()]
    assert store.cost(shapes, maps=True, half=half) == held
    places = sum(where.nbytes for rows in built.places for where in rows.values())
    assert held < held + places <= store.cost(shapes, maps=True, half=half, classes=3)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("maps", [True, False])
def test_a_batch_holds_what_was_told(dims: int, maps: bool) -> None:
    size = SIZES[dims]
    images = np.zeros((5, 2, *size), np.float32)
    targets = [np.zeros(size, np.uint8)] * 5 if maps else [1] * 5
    names = tuple("abcde")
    kept = store.Store(ids=names, units=names, images=images, targets=targets)
    drawn = batches.Batches(
        kept, size=size, batch=4, sampling="patch" if maps else "whole", seed=0
    )(0)
    told = batches.cost(4, 2, size, maps=maps)
    labels = 4 * (int(np.prod(size)) if maps else 1)
    assert told == drawn.images.nbytes + drawn.targets.nbytes + labels


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("maps", [True, False])
def test_augmentation_takes_no_more_than_was_told(dims: int, channels: int, maps: bool) -> None:
    size = tuple(6 * n for n in SIZES[dims])
    how = augment.default(dims, "segment", flips_allowed=True)
    always = {n: 1.0 for n in how.to_dict() if n.startswith("p_") and getattr(how, n)}
    how = augment.Augmentation.from_dict(how.to_dict() | always)
    rng = np.random.default_rng(0)
    drawn = augment.draw(how, 4, size, channels, rng)
    images = torch.zeros(4, channels, *size)
    targets = torch.zeros(4, *size, dtype=torch.int64) if maps else None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        augment.apply(images, targets, drawn)
    peak = living = 0
    for change in _changes(seen):
        living += change
        peak = max(peak, living)
    told = augment.cost(4, channels, size, maps=maps)
    assert 0.8 * told < peak <= 1.02 * told


def _changes(seen: profile) -> list[int]:
    """Bytes taken and given back, in order."""
    found, todo = [], list(seen.profiler.kineto_results.experimental_event_tree())  # type: ignore[union-attr]
    while todo:
        event = todo.pop()
        todo.extend(event.children)
        if str(event.tag).endswith("Allocation"):
            found.append((event.start_time_ns, event.extra_fields.alloc_size))
    return [size for _, size in sorted(found)]
