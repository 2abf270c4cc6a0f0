"""Inspection of small real files: what is left out and complained of."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.errors import ReadError

from .small_sets import class_folders, codes, noise, one, pairs, save_nifti, save_png, volumes


def test_image_and_label_of_two_shapes(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    save_nifti(tmp_path / "labelsTr" / "v_002.nii.gz", np.ones((7, 9, 10), np.uint8))
    problem = one(inspect_data(tmp_path), "shape-mismatch")
    assert problem.message == "the image has shape 7 x 9 x 11, its label map 7 x 9 x 10"
    assert problem.severity == "error"


def test_a_label_map_stored_the_other_way_round(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    save_nifti(tmp_path / "labelsTr" / "v_002.nii.gz", np.ones((7, 9, 11), np.uint8), flipped)
    problem = one(inspect_data(tmp_path), "shape-mismatch")
    assert "axes RAS" in problem.message
    assert "LAS" in problem.message


def test_not_finite_values_are_counted(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    image = noise(9, (7, 9, 11)).astype(np.float32)
    image[0, 0, :3] = (np.nan, np.inf, -np.inf)
    save_nifti(tmp_path / "imagesTr" / "v_003.nii.gz", image)
    problem = one(inspect_data(tmp_path), "non-finite")
    assert problem.message == "3 of 693 values are NaN or infinite"


@pytest.mark.parametrize(("count", "severity"), [(20, "warning"), (9, "error")])
def test_damaged_files_are_left_out(tmp_path: Path, count: int, severity: str) -> None:
    class_folders(tmp_path, {"a": count // 2, "b": count - count // 2})
    (tmp_path / "a" / "0x.png").write_bytes(b"not an image")
    found = inspect_data(tmp_path)
    problem = one(found, "unreadable")
    assert (problem.severity, problem.path) == (severity, "a/0x.png")
    assert (len(found.cases), found.excluded) == (count - 1, ("a/0x.png",))
    assert found.has_errors is (severity == "error")


def test_a_file_cut_short_is_truncated(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 8, "b": 8})
    path = save_png(tmp_path / "a" / "big.png", noise(7, (64, 80)))
    path.write_bytes(path.read_bytes()[:2000])
    found = inspect_data(tmp_path)
    assert one(found, "truncated").path == "a/big.png"
    assert len(found.cases) == 16


def test_images_and_labels_without_partner_are_listed(tmp_path: Path) -> None:
    pairs(tmp_path, 6)
    (tmp_path / "labels" / "3.png").unlink()
    save_png(tmp_path / "labels" / "extra.png", noise(3))
    found = inspect_data(tmp_path)
    assert one(found, "missing-label").path == "images/3.png"
    assert one(found, "missing-image").path == "labels/extra.png"
    assert (len(found.cases), found.excluded) == (5, ("images/3.png",))


def test_channels_that_differ(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 4, "b": 4})
    save_png(tmp_path / "a" / "colour.png", noise(50, (7, 9, 3)))
    problem = one(inspect_data(tmp_path), "mixed-channels")
    assert problem.path == "a/colour.png"
    assert problem.message == "the number of channels differs: 1 (8 cases), 3 (1 cases)"


def test_spacing_and_orientation_that_differ(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    for folder in ("imagesTr", "labelsTr"):
        path = tmp_path / folder / "v_000.nii.gz"
        array = np.asarray(nibabel.load(path).dataobj)
        save_nifti(path, array, np.diag([-1.0, 1.0, 2.5, 1.0]))
    found = inspect_data(tmp_path)
    assert one(found, "mixed-spacing").path == "imagesTr/v_000.nii.gz"
    assert "RAS (3 cases), LAS (1 cases)" in one(found, "mixed-orientation").message
    assert not found.has_errors


def test_an_image_among_volumes_is_left_out(tmp_path: Path) -> None:
    for i, label in enumerate("aabb"):
        save_nifti(tmp_path / label / f"{i}x.nii.gz", noise(i, (7, 9, 11)))
    save_png(tmp_path / "b" / "9x.png", noise(9))
    found = inspect_data(tmp_path)
    assert one(found, "mixed-dimensions").path == "b/9x.png"
    assert len(found.cases) == 4


def test_a_set_without_any_readable_case_is_refused(tmp_path: Path) -> None:
    for i, label in enumerate("aabb"):
        path = tmp_path / label / f"{i}x.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"nothing")
    with pytest.raises(ReadError):
        inspect_data(tmp_path)


def test_label_maps_that_cannot_be_read_at_all_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path, 4)
    for path in (tmp_path / "labels").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(ReadError, match=r"at least one case can be read; got images/0.png: .*more"):
        inspect_data(tmp_path)


def test_a_set_whose_every_case_has_an_error_is_still_described(tmp_path: Path) -> None:
    found = inspect_data(pairs(tmp_path, 4, lambda i: np.zeros((5, 9), np.uint8)))
    assert found.document()["cases"] == 0
    assert codes(found)["shape-mismatch"] == 4
    assert found.statistics.shape_median == (7, 9)
