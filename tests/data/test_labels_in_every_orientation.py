"""A label map goes from its file through the preparation and back to a file unchanged."""

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from convivo.arrays.preparation import Preparation, restore_labels
from convivo.data.loading import load
from convivo.data.readers import write_labels
from convivo.data.sample import Case, Index
from convivo.data.store import prepare_sample

ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]
SHAPE, SPACING = (7, 9, 11), (0.5, 1.25, 3.0)


def affine_of(order: tuple[int, ...], signs: tuple[int, ...], *, oblique: bool) -> np.ndarray:
    """Array axis i runs along world axis order[i]; oblique: all turned by a right triangle's."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * SPACING[axis]
    affine[:3, 3] = (-20, 31, 7)
    turn = np.array([[0.96, -0.28, 0, 0], [0.28, 0.96, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return turn @ affine if oblique else affine


@pytest.mark.parametrize("oblique", [False, True])
def test_all_48_orientations(tmp_path: Path, oblique: bool) -> None:
    assert len(ORIENTATIONS) == 48
    labels = (np.random.default_rng(4).random(SHAPE) * 4).astype(np.uint8)
    preparation = Preparation(
        spatial_dims=3, channels=1, orientation="RAS", spacing=None, normalization="none"
    )
    index = Index(
        layout="array", root=tmp_path, task="segment", spatial_dims=3, cases=(),
        classes=("0", "1", "2", "3"), label_values=(0, 1, 2, 3),
    )  # fmt: skip
    for number, (order, signs) in enumerate(ORIENTATIONS):
        affine = affine_of(order, signs, oblique=oblique)
        image, label, out = (tmp_path / f"{number}{kind}.nii.gz" for kind in ("", "_l", "_out"))
        nibabel.save(nibabel.Nifti1Image(labels.astype(np.float32) * 100, affine), image)
        nibabel.save(nibabel.Nifti1Image(labels, affine), label)
        sample = load(Case(id=image.name, image=(str(image),), label=str(label)), index)
        prepared, placement, target = prepare_sample(sample, preparation)
        np.testing.assert_array_equal(prepared[0], np.asarray(target) * 100.0)  # still together
        write_labels(out, restore_labels(np.asarray(target), placement), like=image)
        written, given = nibabel.load(out), nibabel.load(label)
        np.testing.assert_array_equal(np.asarray(written.dataobj), labels)
        np.testing.assert_array_equal(written.affine, given.affine)
