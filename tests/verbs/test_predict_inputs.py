"""What `predict` takes for an input: files, items of containers, folders of any layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.errors import ReadError, UsageError
from convivo.verbs.inputs import Input, find_inputs, natural


def names(*given: Path) -> list[str]:
    return [one.id for one in find_inputs(given)]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(path)
    return path


def test_a_folder_is_its_images_in_natural_order(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.png", "a/c.png", ".hidden.png"):
        picture(tmp_path / name)
    (tmp_path / "README.txt").write_text("not data", encoding="utf-8")
    assert set(names(tmp_path)) <= {"a/c.png", "b9.png", "b10.png"}
    assert names(tmp_path).index("b9.png") < names(tmp_path).index("b10.png")


def test_a_relative_folder_gives_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images(tmp_path / "cells", count=8, task="classify")
    absolute = names(tmp_path / "cells")
    monkeypatch.chdir(tmp_path)
    assert names(Path("cells")) == absolute
    assert {name.partition("/")[0] for name in absolute} == {"healthy", "infected"}


def test_of_a_data_set_the_images_not_the_labels(tmp_path: Path) -> None:
    make_volumes(tmp_path / "volumes", count=3, shape=(8, 9, 7))
    assert names(tmp_path / "volumes") == [
        *(f"imagesTr/phantom_00{n}.nii.gz" for n in (1, 2, 3)),
        *(f"imagesTs/phantom_00{n}.nii.gz" for n in (4, 5)),
    ]
    fields = make_images(tmp_path / "fields", count=3)
    (fields / "labels" / "P01_field_001.png").unlink()
    found = names(fields)
    assert len(found) == 3
    assert all(name.startswith("images/") for name in found)


def test_records_that_a_training_leaves_out_are_inputs(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    folder = make_signals(tmp_path / "ecg", records=4, seconds=5)
    everything = names(folder)
    assert everything == [f"ecg0{n}.hea" for n in (1, 2, 3, 4)]
    (folder / "ecg01.atr").unlink()
    (folder / "ecg02.hea").write_text("nonsense\n", encoding="ascii")
    (folder / "ecg03.atr").write_bytes(b"half")
    assert names(folder) == everything


def test_items_of_a_container(tmp_path: Path) -> None:
    stack = tmp_path / "stack.npz"
    np.savez(stack, test_images=np.zeros((3, 7, 9), np.uint8))
    found = find_inputs([stack])
    assert [(one.id, one.index) for one in found] == [(f"stack.npz#{n}", n) for n in range(3)]
    assert [one.map_name for one in found] == [f"stack.npz#{n}.npy" for n in range(3)]


def test_a_damaged_file_is_kept_to_be_reported(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert names(tmp_path / "a.png") == ["a.png"]
    picture(tmp_path / "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "x" / "a.png"), picture(tmp_path / "y" / "a.png")
    with pytest.raises(UsageError, match=r"inputs need different names.*; got two named 'a\.png'"):
        find_inputs([one, two])
    assert len(names(tmp_path)) == 2


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"the input must exist; got nothing\. Check the path"):
        find_inputs([tmp_path / "none"])
    with pytest.raises(ReadError, match="an image, volume or signal; got no readable file"):
        find_inputs([tmp_path])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.nii.gz", "a.nii.gz"), ("s/a.JPG", "s/a.png"), ("a.bmp", "a.png"), ("a.tif", "a.tif")],
)
def test_names_of_label_maps(name: str, expected: str) -> None:
    assert Input(id=name, path=Path(name)).map_name == expected


def test_natural_order() -> None:
    assert sorted(["b10", "b9", "a", "10", "9"], key=natural) == ["9", "10", "a", "b9", "b10"]


def test_folders_of_labels_are_no_inputs(tmp_path: Path) -> None:
    for name in ("imagesTs/a.png", "imagesTs/b.png", "labelsTs/a.png", "labelsTs/b.png"):
        picture(tmp_path / name)
    assert names(tmp_path) == ["imagesTs/a.png", "imagesTs/b.png"]
    assert names(tmp_path / "labelsTs") == ["a.png", "b.png"], "named, they are"


def test_the_two_files_of_a_pair_are_one_input(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    for folder in ("a", "b/c"):  # of which no layout is known
        (tmp_path / folder).mkdir(parents=True)
        image = nibabel.Nifti1Pair(np.zeros((5, 4, 3), np.int16), np.eye(4))
        nibabel.save(image, tmp_path / folder / "s.img")
    picture(tmp_path / "b" / "d" / "e" / "p.png")
    assert names(tmp_path) == ["a/s.hdr", "b/c/s.hdr", "b/d/e/p.png"]


def test_a_store_in_a_folder_is_an_input(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    for folder in ("a/x", "b/y"):
        zarr.save_array(str(tmp_path / folder / "s.zarr"), np.zeros((7, 9), np.uint8))
    assert names(tmp_path) == ["a/x/s.zarr", "b/y/s.zarr"]
    assert names(tmp_path / "a/x/s.zarr") == ["s.zarr"]


def test_sources_may_be_links(tmp_path: Path) -> None:
    real = picture(tmp_path / "real" / "a.png")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "b.png").symlink_to(real)
    assert names(tmp_path / "linked") == ["b.png"]
    shutil.rmtree(tmp_path / "real")
    with pytest.raises(ReadError):
        find_inputs([tmp_path / "linked" / "b.png"])
