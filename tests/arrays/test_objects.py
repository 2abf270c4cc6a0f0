"""Distance maps and the objects found in them, against definitions read literally."""

from itertools import product

import numpy as np
import pytest

from convivo.arrays.objects import (
    distance_map,
    numbered,
    objects_of,
    outlines,
    parted,
    pieces,
)
from convivo.errors import ShapeError

from ..numbered_objects import SIZES, draw_objects

DIMS = [1, 2, 3]


def one_by_one(objects: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Each sample against all samples of its own object's outline."""
    found, steps = np.zeros(objects.shape), np.array(spacing)
    for number in np.unique(objects[objects > 0]):
        inside = np.argwhere(objects == number)
        edge = [p for p in inside if touches(objects, p)]
        far = [min(np.sqrt((((p - q) * steps) ** 2).sum()) for q in edge) + 1 for p in inside]
        for place, value in zip(inside, far, strict=True):
            found[tuple(place)] = value / max(far)
    return found


def touches(objects: np.ndarray, place: np.ndarray) -> bool:
    for axis, step in product(range(objects.ndim), (-1, 1)):
        other = place.copy()
        other[axis] += step
        if (
            0 <= other[axis] < objects.shape[axis]
            and objects[tuple(other)] != objects[tuple(place)]
        ):
            return True
    return False


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("anisotropic", [False, True])
def test_distances_are_those_to_the_own_outline(dims: int, anisotropic: bool) -> None:
    shape = {1: (60,), 2: (19, 23), 3: (9, 13, 11)}[dims]
    objects = draw_objects(3, shape, 4) * 7  # any numbers will do
    spacing = (1.0, 2.5, 1.5)[:dims] if anisotropic else (1.0,) * dims
    found = distance_map(objects, spacing)
    assert found.dtype == np.float32
    assert found == pytest.approx(one_by_one(objects, spacing), abs=1e-6)


def test_the_rim_is_no_outline() -> None:
    assert distance_map(np.array([3, 3, 3, 0])).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert distance_map(np.full((4, 5), 2)).tolist() == [[1.0] * 5] * 4
    assert not distance_map(np.zeros((4, 5), int)).any()
    assert not outlines(np.full((4, 5), 2)).any()


def test_distances_want_a_spacing_per_axis() -> None:
    with pytest.raises(ShapeError, match=r"one spacing per axis \(2\); got \(1.0,\)"):
        distance_map(np.ones((3, 4), int), (1.0,))


@pytest.mark.parametrize("dims", DIMS)
def test_objects_come_back_from_their_own_distances(dims: int) -> None:
    truth = draw_objects(1, SIZES[dims], 8)
    found = objects_of(truth > 0, distance_map(truth))
    assert found.dtype == np.int32
    assert ((found > 0) == (truth > 0)).all()
    sizes = np.bincount(truth.ravel())
    for number in np.flatnonzero(sizes >= 5)[1:]:  # each is mostly one found one, but for slivers
        mine = found[truth == number]
        names, counts = np.unique(mine, return_counts=True)
        best = names[counts.argmax()]
        union = ((found == best) | (truth == number)).sum()
        assert counts.max() / union > 0.5, number


def test_touching_objects_part_and_a_shallow_saddle_does_not() -> None:
    depth = np.array([0.2, 0.6, 1, 1, 0.6, 0.1, 0.6, 1, 1, 0.6, 0.2])
    everywhere = np.ones(11, bool)
    assert objects_of(everywhere, depth).max() == 2
    assert objects_of(everywhere, np.maximum(depth, 0.95)).max() == 1
    assert objects_of(everywhere, depth, prominence=1.0).max() == 1


def test_a_flat_distance_leaves_whole_pieces() -> None:
    """Equal heights are no peaks of their own, whatever the shape."""
    mask = np.zeros((12, 15), bool)
    mask[1:5, 1:14] = mask[7:11, 2:6] = True
    for value in (0.0, 0.5, 1.0):
        found = objects_of(mask, np.full(mask.shape, value))
        assert (found == pieces(mask)).all()


def test_small_objects_are_left_out_and_the_rest_numbered_through() -> None:
    mask = np.array([1, 0, 0, 1, 1, 1, 0, 1, 1], bool)
    found = objects_of(mask, mask.astype(float), smallest=2)
    assert found.tolist() == [0, 0, 0, 1, 1, 1, 0, 2, 2]
    assert not objects_of(np.zeros((3, 4), bool), np.ones((3, 4))).any()


@pytest.mark.parametrize("dims", DIMS)
def test_what_is_found_does_not_depend_on_the_order_of_axes(dims: int) -> None:
    truth = draw_objects(2, SIZES[dims], 7)
    depth = distance_map(truth)
    found, turned = objects_of(truth > 0, depth), objects_of(truth.T > 0, depth.T).T
    assert (parted(found) == parted(numbered(turned))).mean() > 0.99


def test_shown_objects_have_gaps_where_they_touch() -> None:
    objects = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 0, 0], [3, 3, 3, 3]])
    assert pieces(parted(objects)).max() == 3
    assert not parted(objects)[objects == 0].any()
