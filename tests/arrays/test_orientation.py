from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from convivo.arrays.orientation import canonical, spacing_of, turn_to_ras
from convivo.errors import ShapeError

ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


def affine_of(order, signs, spacing=(0.5, 1.25, 3.0)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    affine[:3, 3] = (10, -20, 5)
    return affine


def rotation(rng, degrees):
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    turned = np.eye(4)
    turned[:3, :3] += np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    return turned


def volume():
    return np.arange(2 * 7 * 9 * 11).reshape(2, 7, 9, 11)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_canonical_equals_nibabel_in_all_48_orientations(order, signs):
    affine = affine_of(order, signs)
    array, turned_affine, turn = canonical(volume(), affine)
    expected = nib.as_closest_canonical(nib.Nifti1Image(volume()[1].astype(np.int16), affine))
    assert np.array_equal(array[1], np.asarray(expected.dataobj))
    assert np.allclose(turned_affine, expected.affine)
    assert nib.aff2axcodes(turned_affine) == ("R", "A", "S")
    assert np.array_equal(turn.undo(array), volume())
    assert turn.permute(spacing_of(affine)) == pytest.approx(spacing_of(turned_affine))


@pytest.mark.parametrize("seed", range(20))
def test_canonical_equals_nibabel_on_oblique_grids(seed):
    rng = np.random.default_rng(seed)
    order, signs = ORIENTATIONS[rng.integers(48)]
    affine = rotation(rng, rng.uniform(1, 35)) @ affine_of(order, signs)
    array, turned_affine, turn = canonical(volume(), affine)
    expected = nib.as_closest_canonical(nib.Nifti1Image(volume()[0].astype(np.int16), affine))
    assert np.array_equal(array[0], np.asarray(expected.dataobj))
    assert np.allclose(turned_affine, expected.affine)
    assert np.array_equal(turn.undo(array), volume())


def test_turning_copies_nothing():
    image = volume()
    array, _, turn = canonical(image, affine_of((2, 0, 1), (-1, 1, -1)))
    assert np.shares_memory(array, image)
    assert np.shares_memory(turn.undo(array), image)


def test_a_turn_works_with_and_without_channels():
    affine = affine_of((1, 2, 0), (1, -1, -1))
    whole, _, turn = canonical(volume(), affine)
    single, _, _ = canonical(volume()[0], affine)
    assert np.array_equal(whole[0], single)
    assert np.array_equal(turn.undo(single), volume()[0])


@pytest.mark.parametrize("bad", [np.eye(3), np.diag([1, 0, 1, 1]), np.full((4, 4), np.nan)])
def test_degenerate_affine_is_refused(bad):
    with pytest.raises(ShapeError, match=r"orientation: an affine .*Repair the header"):
        turn_to_ras(bad)
