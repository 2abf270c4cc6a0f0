"""Patches with a margin: what is asked about lies in the image, what is seen may be mirrored."""

import numpy as np
import pytest

from convivo.data.batches import Batches
from convivo.data.store import Store
from convivo.errors import ShapeError

SHAPES = [(60,), (31, 45), (17, 22, 19)]
MARGIN = (6, 4, 5)


def stored(shape, cases=3):
    """Each sample of an image says where it is; the labels are the image's own sums."""
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
    labels = (places.sum(0) % 5 == 4).astype(np.uint8)
    names = tuple(str(i) for i in range(cases))
    return Store(ids=names, units=names, images=[places] * cases, targets=[labels] * cases)


def patches(store, size, margin, foreground=0.5, steps=8):
    batches = Batches(
        store, size=size, batch=4, sampling="patch", seed=0, foreground=foreground, margin=margin
    )
    drawn = [batches(step) for step in range(steps)]
    return batches, [pair for b in drawn for pair in zip(b.images, b.targets, strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_patches_are_cut_from_the_mirrored_image_with_their_labels(shape):
    dims = len(shape)
    margin, size = MARGIN[:dims], (23, 19, 21)[:dims]
    batches, pairs = patches(stored(shape), size, margin)
    around = [(0, 0), *((m, m) for m in margin)]
    image = np.pad(stored(shape).images[0], around, mode="reflect")
    labels = np.pad(stored(shape).targets[0], around[1:], mode="reflect")
    assert batches.inner == tuple(n - 2 * m for n, m in zip(size, margin, strict=True))
    beyond = False
    for seen, target in pairs:
        corner = seen[(slice(None), *margin)].astype(int)  # of what is asked about
        rows = zip(corner, batches.inner, shape, strict=True)
        assert all(0 <= a <= have - n for a, n, have in rows)
        place = tuple(slice(a, a + n) for a, n in zip(corner, size, strict=True))
        assert np.array_equal(seen, image[(slice(None), *place)])
        assert np.array_equal(target, labels[place])
        beyond |= any(corner < margin)
    assert beyond


@pytest.mark.parametrize("shape", SHAPES)
def test_a_foreground_sample_is_in_what_is_asked_about(shape):
    dims = len(shape)
    margin = MARGIN[:dims]
    store = stored(shape)
    labels = np.zeros(shape, np.uint8)
    labels[(0,) * dims] = labels[(-1,) * dims] = 1  # two corners, easily missed
    store.targets[:] = [labels] * 3
    size = tuple(2 * m + 5 for m in margin)
    _, pairs = patches(store, size, margin, foreground=1.0)
    for _, target in pairs:
        assert target[tuple(slice(m, m + 5) for m in margin)].any()


@pytest.mark.parametrize("shape", [(4,), (3, 9), (5, 2, 7)])
def test_an_image_shorter_than_what_is_asked_about_lies_in_its_middle(shape):
    dims = len(shape)
    margin, size = MARGIN[:dims], (23, 19, 21)[:dims]
    batches, pairs = patches(stored(shape), size, margin, steps=2)
    for seen, target in pairs:
        assert target.shape == size
        first = tuple(
            m + max(0, -(-(n - have) // 2)) if have < n else None
            for m, n, have in zip(margin, batches.inner, shape, strict=True)
        )
        for axis, at in enumerate(first):
            if at is not None:
                assert np.take(seen[axis], at, axis=axis).max() == 0


def test_an_epoch_asks_about_every_sample_once():
    batches, _ = patches(stored((60, 60), cases=3), (24, 24), (7, 7), steps=1)
    assert batches.items_per_epoch == 3 * 36


def test_a_patch_of_margin_alone_is_refused():
    rule = (
        r"input.size: a patch is larger than the network's two margins of \(7, 7\); got \(14, 30\)"
    )
    with pytest.raises(ShapeError, match=rule):
        patches(stored((31, 45)), (14, 30), (7, 7))
