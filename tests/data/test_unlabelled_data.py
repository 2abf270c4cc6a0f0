"""Data without labels: looked at by `inspect`, refused by what learns."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo import train
from convivo.data.inspection import inspect_data
from convivo.errors import ReadError, UsageError
from convivo.verbs.inspect import inspect

RNG = np.random.default_rng(2)


def volume(path: Path, shape=(7, 9, 11), **changes) -> Path:
    array = RNG.normal(size=shape).astype(np.float32)
    for place, value in changes.items():
        array.flat[int(place[1:])] = value
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1, 2, 3, 1.0])), path)
    return path


def codes(found) -> list[str]:
    return [p.code for p in found.problems]


def test_a_file_is_one_case_without_a_task(tmp_path: Path) -> None:
    found = inspect(volume(tmp_path / "a.nii.gz"), quiet=True)
    document = found.document()
    assert (document["task"], document["cases"], document["unlabelled"]) == (None, 1, 1)
    assert (document["layout"], document["spatial_dims"], document["axes"]) == ("array", 3, "RAS")
    assert (document["channels"], document["shape"]["median"]) == (1, [7, 9, 11])
    assert document["spacing"] == {"unit": "mm", "median": [1.0, 2.0, 3.0]}
    assert (document["classes"], document["positive_class"]) == ([], None)
    assert codes(found) == ["no-labels"]
    assert not found.has_errors
    text = found.text()
    assert "volumes (3D), no labels, layout array" in text
    assert text.splitlines()[-1] == f"next: convivo predict RUN {tmp_path / 'a.nii.gz'} --out DIR"


def test_a_folder_of_files_is_looked_at_file_by_file(tmp_path: Path) -> None:
    volume(tmp_path / "a.nii.gz")
    volume(tmp_path / "b.nii.gz", (7, 9, 12), _3=np.nan)
    (tmp_path / "c.nii.gz").write_bytes(b"")
    (tmp_path / "d.nii.gz").write_bytes((tmp_path / "a.nii.gz").read_bytes())
    found = inspect(tmp_path, quiet=True)
    told = {(p.code, p.path) for p in found.problems}
    assert told == {
        ("non-finite", "b.nii.gz"), ("unreadable", "c.nii.gz"), ("duplicate", "d.nii.gz"),
        ("no-labels", ""),
    }  # fmt: skip
    assert [case.id for case in found.cases] == ["a.nii.gz", "d.nii.gz"]
    assert found.excluded == ("b.nii.gz", "c.nii.gz")


def test_the_items_of_a_container_are_cases(tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", RNG.integers(0, 255, (5, 7, 9), dtype=np.uint8))
    found = inspect(tmp_path / "many.npy", layout="array", quiet=True)
    assert len(found.cases) in (1, 5)
    assert found.document()["unlabelled"] == len(found.cases)


def test_what_learns_refuses_them(tmp_path: Path) -> None:
    path = volume(tmp_path / "a.nii.gz")
    with pytest.raises(ReadError, match=r"the data hold a labelled case; got 1 files without"):
        inspect_data(path)
    with pytest.raises(ReadError, match=r"the data hold a labelled case"):
        train(path, out=tmp_path / "run", epochs=1, quiet=True)
    with pytest.raises(ReadError, match=r"the data hold a labelled case"):
        train(inspect(path, quiet=True), out=tmp_path / "other", epochs=1, quiet=True)
    with pytest.raises(UsageError, match=r"--task: the data have labels to segment; got no labels"):
        inspect(path, task="segment", quiet=True)


def test_a_single_record_is_found_by_any_of_its_files(tmp_path: Path) -> None:
    samples = (RNG.normal(size=(500, 2)) * 100).astype("<i2")
    (tmp_path / "r1.dat").write_bytes(samples.tobytes())
    lines = ["r1 2 250 500", "r1.dat 16 200 16 0 0 0 0 I", "r1.dat 16 200 16 0 0 0 0 II"]
    (tmp_path / "r1.hea").write_text("\n".join(lines) + "\n")
    for name in ("r1.hea", "r1.dat"):
        found = inspect(tmp_path / name, quiet=True)
        assert (found.index.layout, found.document()["task"]) == ("wfdb", None)
        assert [case.id for case in found.cases] == ["r1.hea"]
        assert found.document()["shape"]["median"] == [500]
    (tmp_path / "other.dat").write_bytes(b"no record names this")
    with pytest.raises(ReadError, match=r"other.dat: must be of a known layout"):
        inspect(tmp_path / "other.dat", quiet=True)


def test_a_flat_lead_is_told_by_its_name(tmp_path: Path) -> None:
    samples = (RNG.normal(size=(500, 2)) * 100).astype("<i2")
    samples[:, 1] = 7
    (tmp_path / "r1.dat").write_bytes(samples.tobytes())
    lines = ["r1 2 250 500", "r1.dat 16 200 16 0 0 0 0 I", "r1.dat 16 200 16 0 0 0 0 II"]
    (tmp_path / "r1.hea").write_text("\n".join(lines) + "\n")
    (told, _) = inspect(tmp_path / "r1.hea", quiet=True).problems
    assert (told.severity, told.code, told.path) == ("warning", "flat-channel", "r1.hea")
    assert "the channel II is one value throughout" in told.message


def test_data_sets_beside_each_other_are_no_classes(tmp_path: Path) -> None:
    for folder in ("pictures", "scans", "tables"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        volume(tmp_path / "scans" / f"{number}.nii.gz")
        np.save(tmp_path / "tables" / f"{number}.npy", RNG.normal(size=(7, 9)))
        Image.fromarray(RNG.integers(0, 255, (7, 9), dtype=np.uint8)).save(
            tmp_path / "pictures" / f"{number}.png"
        )
    with pytest.raises(ReadError, match=r"holds one data set; got pictures, scans, tables"):
        inspect(tmp_path, quiet=True)


def test_many_values_without_names_may_be_objects(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        array = RNG.integers(0, 255, (40, 30), dtype=np.uint8)
        objects = (np.arange(1200).reshape(40, 30) // 30).astype(np.uint8)
        Image.fromarray(array).save(tmp_path / "images" / f"x{number}y.png")
        Image.fromarray(objects).save(tmp_path / "masks" / f"x{number}y.png")
    found = inspect(tmp_path, quiet=True)
    (told,) = (p for p in found.problems if p.code == "unnamed-labels")
    assert "the label maps hold 40 values without names" in told.message
