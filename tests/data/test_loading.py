"""One case read: channels joined, labels as class indices, image and label checked together."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.loading import class_map, load
from convivo.data.sample import Case, Index
from convivo.errors import DataError, ReadError, ShapeError

SHAPE = (7, 9, 11)


def nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> str:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return str(path)


def index_of(root: Path, **changes: object) -> Index:
    start = Index(layout="msd", root=root, task="segment", spatial_dims=3, cases=())
    return replace(start, **changes)


def labels() -> np.ndarray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3 * 2).astype(np.uint8)  # 0 2 4


def test_several_files_are_channels_of_one_case(tmp_path):
    paths = tuple(
        nifti(tmp_path / f"{name}.nii", np.full(SHAPE, value, np.int16))
        for value, name in enumerate(("t1", "t2"))
    )
    case = Case(id="t1.nii", image=paths, target=1, subject="p7")
    sample = load(case, index_of(tmp_path, extra={"channel_names": ("T1", "T2")}))
    assert sample.image.shape == (2, *SHAPE)
    assert sample.image[1].min() == 1
    assert (sample.target, sample.unit, sample.source) == (1, "p7", paths)
    assert sample.channel_names == ("T1", "T2")
    assert (sample.axes, sample.spacing, sample.spacing_unit) == ("RAS", (1.0, 1.0, 1.0), "mm")
    nifti(tmp_path / "t2.nii", np.zeros((7, 9, 10), np.int16))
    with pytest.raises(ShapeError, match=r"t2\.nii: the channels of one case have one shape"):
        load(case, index_of(tmp_path))


def test_stored_values_become_class_indices(tmp_path):
    case = Case(
        id="a.nii",
        image=(nifti(tmp_path / "a.nii", np.zeros(SHAPE, np.float32)),),
        label=nifti(tmp_path / "m.nii", labels().astype(np.float32)),
    )
    sample = load(case, index_of(tmp_path, label_values=(0, 2, 4)))
    assert sample.target.dtype == np.uint8
    np.testing.assert_array_equal(sample.target, labels() // 2)
    assert sample.unit == "a.nii"
    np.testing.assert_array_equal(load(case, index_of(tmp_path)).target, labels())
    with pytest.raises(DataError, match=r"m\.nii: label values are classes \(0, 2\); got value 4"):
        load(case, index_of(tmp_path, label_values=(0, 2)))


def test_values_need_no_order_and_many_classes_need_room():
    stored = np.array([[7, -1], [300, 7]])
    assert class_map(stored, (300, 7, -1), "m").tolist() == [[1, 2], [0, 1]]
    assert class_map(np.arange(300), tuple(range(300)), "m").dtype == np.int32
    for odd in (-2, 8, 301):
        with pytest.raises(DataError, match=f"got value {odd}"):
            class_map(np.array([odd]), (300, 7, -1), "m")


def test_label_of_another_shape(tmp_path):
    case = Case(
        id="a.nii",
        image=(nifti(tmp_path / "a.nii", np.zeros(SHAPE, np.float32)),),
        label=nifti(tmp_path / "m.nii", labels()[..., :10]),
    )
    with pytest.raises(ShapeError, match=r"\(7, 9, 11\) \(a\.nii\); got \(7, 9, 10\)"):
        load(case, index_of(tmp_path))


@pytest.mark.parametrize(
    ("affine", "refused"),
    [
        (np.diag((1.0, 1, 1, 1)), False),
        (np.diag((1.0, 1, 1.00001, 1)), False),
        (np.diag((-1.0, 1, 1, 1)), True),
        (np.diag((1.0, 1, 1.5, 1)), True),
        (np.eye(4)[[1, 0, 2, 3]], True),
    ],
)
def test_label_that_lies_otherwise_is_never_paired_silently(tmp_path, affine, refused):
    case = Case(
        id="a.nii",
        image=(nifti(tmp_path / "a.nii", np.zeros(SHAPE, np.float32)),),
        label=nifti(tmp_path / "m.nii", labels(), affine),
    )
    if not refused:
        np.testing.assert_array_equal(load(case, index_of(tmp_path)).target, labels())
        return
    with pytest.raises(ShapeError, match=r"m\.nii: files of a case lie on the same voxels"):
        load(case, index_of(tmp_path))


def test_image_without_label_and_one_that_cannot_be_read(tmp_path):
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(tmp_path / "a.png")
    case = Case(id="a.png", image=(str(tmp_path / "a.png"),))
    assert load(case, index_of(tmp_path)).target is None
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ReadError, match=r"a\.png"):
        load(case, index_of(tmp_path))
