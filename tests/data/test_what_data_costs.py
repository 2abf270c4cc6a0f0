"""Bytes told beforehand, against those of the arrays made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from convivo.arrays.preparation import Preparation
from convivo.data import augment, batches, store
from convivo.data.augment.warp import Warp
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
    before = 0 if maps else 4  # classes as they were stored
    assert told == drawn.images.nbytes + drawn.targets.nbytes + before


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("labels", [None, "nearest", "linear"])
@pytest.mark.parametrize("grow", [6, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize("in_place", [False, True])
def test_augmentation_takes_no_more_than_was_told(
    dims: int, channels: int, labels: str | None, grow: int, in_place: bool
) -> None:
    size = tuple(grow * n for n in SIZES[dims])
    how = augment.default(dims, "segment", flips_allowed=True).to_dict()
    how |= {n: 1.0 for n in how if n.startswith("p_") and how[n]}
    how |= {"elastic": 0.3, "p_elastic": 1.0, "bias": 0.3, "p_bias": 1.0, "cutout": 0.5}
    how |= {"p_cutout": 1.0, "crop": 0.3, "p_crop": 1.0, "labels": labels or "nearest"}
    maps, items = labels is not None, 12
    setting = augment.Augmentation.from_dict(how)
    drawn = augment.draw(setting, items, size, channels, np.random.default_rng(0))
    drawn = all_but_the_first(drawn)
    images = torch.zeros(items, channels, *size)
    targets = torch.zeros(items, *size, dtype=torch.uint8) if maps else None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        augment.apply(images, targets, drawn, in_place=in_place)
    peak = _peak(seen)
    more = {"maps": maps, "linear_labels": labels == "linear", "in_place": in_place}
    told = augment.cost(items, channels, size, **more)
    assert 0.8 * told < peak <= 1.02 * told


@pytest.mark.parametrize(("size", "items"), [((400, 380), 3), ((340, 12, 9), 4), ((900,), 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_softening_long_axes_takes_no_more_than_was_told(
    size: tuple[int, ...], items: int, channels: int
) -> None:
    how = augment.Augmentation(blur=1.0, p_blur=1.0, low_resolution=2.0, p_low_resolution=1.0)
    drawn = augment.draw(how, items, size, channels, np.random.default_rng(0))
    kept = replace(drawn.intensity, blur=drawn.intensity.blur.copy())
    kept.blur[0], kept.shrink[0] = 0, 1
    drawn = replace(drawn, intensity=kept)
    images = torch.zeros(items, channels, *size)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        augment.apply(images, None, drawn, in_place=True)
    told = augment.cost(items, channels, size, maps=False, in_place=True)
    assert _peak(seen) <= 1.02 * told


def all_but_the_first(drawn: augment.Parameters) -> augment.Parameters:
    """The worst that can be drawn: what is altered is copied only where something stays."""
    place, grey = drawn.place, drawn.intensity
    kept = place.items > 0
    if isinstance(place, Warp):
        place = replace(place, items=place.items[kept], places=place.places[kept])
    else:
        bends = None if place.bends is None else place.bends[kept]
        place = replace(place, items=place.items[kept], matrices=place.matrices[kept], bends=bends)
    blur, shrink = grey.blur.copy(), grey.shrink.copy()
    blur[0], shrink[0] = 0, 1
    return replace(drawn, place=place, intensity=replace(grey, blur=blur, shrink=shrink))


def _peak(seen: profile) -> int:
    """Most bytes that lived at once."""
    peak = living = 0
    for change in _changes(seen):
        living += change
        peak = max(peak, living)
    return peak


def _changes(seen: profile) -> list[int]:
    """Bytes taken and given back, in order."""
    found, todo = [], list(seen.profiler.kineto_results.experimental_event_tree())  # type: ignore[union-attr]
    while todo:
        event = todo.pop()
        todo.extend(event.children)
        if str(event.tag).endswith("Allocation"):
            found.append((event.start_time_ns, event.extra_fields.alloc_size))
    return [size for _, size in sorted(found)]
