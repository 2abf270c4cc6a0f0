"""`inspect --fix`: a copy that can be trained on, from data with mechanical faults."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.readers import read, read_labels
from convivo.errors import ReadError, UsageError
from convivo.verbs.inspect import inspect

RNG = np.random.default_rng(11)
FLIP = np.diag([-1.0, 1, 1, 1])


def volumes(root: Path) -> Path:
    """Four good volumes, one with NaN, one whose label runs the other way, one cut, one copied."""
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for number in range(7):
        image = RNG.normal(100, 20, (7, 9, 11)).astype(np.float32)
        labels = np.zeros((7, 9, 11), np.uint8)
        labels[1:3, 2:5, 3:6] = 255
        if number == 4:
            image[0, 0, 0] = np.nan
        keep(root / "images" / f"v{number}.nii.gz", image, np.eye(4))
        flip = number == 5
        at = FLIP.copy()
        at[0, 3] = 6
        keep(
            root / "labels" / f"v{number}.nii.gz",
            labels[::-1] if flip else labels,
            at if flip else np.eye(4),
        )
    cut = root / "images" / "v6.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-500])
    for part in ("images", "labels"):
        (root / part / "w0.nii.gz").write_bytes((root / part / "v0.nii.gz").read_bytes())
    return root


def keep(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def codes(found) -> set[str]:
    return {p.code for p in found.problems if p.code != "subjects-unknown"}


def test_the_copy_of_faulty_volumes_has_no_problems(tmp_path: Path) -> None:
    data, out = volumes(tmp_path / "data"), tmp_path / "out"
    before = {p: p.read_bytes() for p in data.rglob("*.gz")}
    found = inspect(data, fix=out, quiet=True)
    assert codes(found) >= {"non-finite", "shape-mismatch", "truncated", "duplicate"}
    again = inspect(out, quiet=True)
    assert codes(again) == set()
    assert again.index.layout == "manifest"
    assert [case.id for case in again.cases] == [f"images/v{n}.nii.gz" for n in range(6)]
    assert {p: p.read_bytes() for p in data.rglob("*.gz")} == before
    assert found.fixed is not None
    assert found.fixed.cases == 6
    assert {row["path"] for row in found.fixed.left_out} == {
        "images/v6.nii.gz", "images/w0.nii.gz",
    }  # fmt: skip
    told = {row["path"]: row["what"] for row in found.fixed.changed}
    assert "1 values that are not finite" in told["images/v4.nii.gz"]


def test_untouched_images_are_the_same_bytes_and_labels_are_class_indices(tmp_path: Path) -> None:
    data, out = volumes(tmp_path / "data"), tmp_path / "out"
    inspect(data, fix=out, quiet=True)
    name = "images/v1.nii.gz"
    assert (out / name).read_bytes() == (data / name).read_bytes()
    labels = read_labels(out / "labels/images/v5.nii.gz")
    assert np.unique(labels).tolist() == [0, 1]
    np.testing.assert_array_equal(labels, read_labels(data / "labels/v1.nii.gz") // 255)
    mended = read(out / "images/v4.nii.gz").array
    assert mended[0, 0, 0, 0] == mended.min()


def test_a_volume_stored_in_another_order_is_turned_with_its_label(tmp_path: Path) -> None:
    data = volumes(tmp_path / "data")
    affine = np.array([[0, 0, -2.0, 20], [1.5, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    image, labels = RNG.normal(size=(9, 11, 7)).astype(np.float32), np.zeros((9, 11, 7), np.uint8)
    labels[4, 5, 2] = 255
    for part, array in (("images", image), ("labels", labels)):
        keep(data / part / "turned.nii.gz", array, affine)
    inspect(data, fix=tmp_path / "out", quiet=True)
    raw = read(tmp_path / "out/images/turned.nii.gz")
    mask = read_labels(tmp_path / "out/labels/images/turned.nii.gz")
    assert (raw.header.axes, raw.header.spacing) == ("RAS", (2.0, 1.5, 1.0))
    at = np.argwhere(mask == 1)[0]
    assert raw.array[0][tuple(at)] == image[4, 5, 2]
    world = affine @ (4, 5, 2, 1)
    np.testing.assert_allclose(raw.header.affine @ (*at, 1), world)


def test_of_a_copy_across_the_split_the_one_in_test_stays(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("sick", "well"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                array = RNG.integers(0, 255, (7, 9), dtype=np.uint8)
                Image.fromarray(array).save(folder / f"i{number}x.png")
    twice = tmp_path / "data/test/sick/i0x.png"
    (tmp_path / "data/train/sick/i0x.png").write_bytes(twice.read_bytes())
    found = inspect(tmp_path / "data", fix=tmp_path / "out", quiet=True)
    assert codes(found) == {"duplicate-across-splits"}
    again = inspect(tmp_path / "out", quiet=True)
    assert codes(again) == set()
    assert {c.id: c.split for c in again.cases}["test/sick/i0x.png"] == "test"
    assert again.index.classes == ("sick", "well")
    assert len(again.cases) == 11
    assert found.fixed is not None
    assert found.fixed.left_out == [
        {"path": "train/sick/i0x.png", "what": "a copy of test/sick/i0x.png"}
    ]
    assert "left out (a copy of test/sick/i0x.png)" in found.text()


def test_what_cannot_be_fixed_is_refused(tmp_path: Path) -> None:
    data = volumes(tmp_path / "data")
    with pytest.raises(UsageError, match=r"new or empty folder; got one in use"):
        inspect(data, fix=data, quiet=True)
    with pytest.raises(UsageError, match=r"the copy lies outside of the data"):
        inspect(data, fix=data / "out", quiet=True)
    (tmp_path / "plain").mkdir()
    keep(tmp_path / "plain" / "a.nii.gz", np.ones((3, 4, 5), np.float32), np.eye(4))
    with pytest.raises(ReadError, match=r"the data hold a labelled case"):
        inspect(tmp_path / "plain", fix=tmp_path / "out", quiet=True)
    rows = "\n".join(f"{n % 2}\t" + "\t".join(map(str, range(n, n + 9))) for n in range(8))
    (tmp_path / "X_TRAIN.tsv").write_text(rows)
    with pytest.raises(UsageError, match=r"images and volumes .*; got signals"):
        inspect(tmp_path / "X_TRAIN.tsv", fix=tmp_path / "out", quiet=True)
