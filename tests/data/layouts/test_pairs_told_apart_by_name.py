"""Images and masks in one folder or a folder per case; labels in JSON and inside of arrays."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.errors import ReadError


def png(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((7, 9), value, np.uint8)
    array[0] = 0
    Image.fromarray(array).save(path)
    return path


def ids(index) -> list[str]:
    return [case.id for case in index.cases]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.png", "{}_label.png"),
        ("{}.jpg", "{}_1stHO.png"),
        ("{}.png", "{}_mask.png"),
        ("{}_orig.png", "{}_seg.png"),
        ("{} (1).png", "{} (1)_mask.png"),
        ("img3{}.png", "mask3{}.png"),
        ("{}.png", "{}-GT.png"),
        ("{}_img.png", "{}_manual1.png"),
    ],
)
def test_pairs_in_one_folder(tmp_path, image, mask):
    for name in ("a10", "a9"):
        png(tmp_path / image.format(name))
        png(tmp_path / mask.format(name), 1)
    index = detect(tmp_path)
    assert (index.layout, index.task) == ("image-mask", "segment")
    assert ids(index) == [image.format(n) for n in ("a9", "a10")]
    assert [Path(c.label).name for c in index.cases] == [mask.format(n) for n in ("a9", "a10")]
    assert not index.problems


def test_a_second_observer_and_a_missing_mask_are_told(tmp_path):
    for name in ("a", "b", "c"):
        png(tmp_path / f"{name}.png")
    for name in ("a_1stHO", "a_2ndHO", "b_1stHO", "z_1stHO"):
        png(tmp_path / f"{name}.png", 1)
    index = detect(tmp_path)
    assert [Path(case.label).name for case in index.cases] == ["a_1stHO.png", "b_1stHO.png"]
    assert [(p.code, p.path) for p in index.problems] == [
        ("missing-label", "c.png"),
        ("missing-image", "z_1stHO.png"),
        ("unused-label", "a_2ndHO.png"),
    ]


def test_images_whose_names_say_nothing_stay_without_labels(tmp_path):
    for name in ("a", "b", "c", "d", "a_mask"):
        png(tmp_path / f"{name}.png")
    assert detect(tmp_path).layout == "array"  # one pair among four images is none


def test_pairs_in_split_folders(tmp_path):
    for split in ("train", "test"):
        png(tmp_path / split / "1.png")
        png(tmp_path / split / "1_mask.png", 1)
    index = detect(tmp_path)
    assert {c.id: c.split for c in index.cases} == {"train/1.png": "train", "test/1.png": "test"}


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("images/{}.jpg", "labels/{}_L.png"),
        ("images/{}_training.png", "1st_manual/{}_manual1.gif"),
        ("images/{}_test.png", "masks/{}.pgm"),
    ],
)
def test_folders_side_by_side_with_names_of_their_own(tmp_path, image, label):
    for name in ("21", "3", "40"):
        png(tmp_path / image.format(name))
        png(tmp_path / label.format(name), 1)
    if "manual" in label:
        png(tmp_path / "mask/21_training_mask.gif", 1)  # where there is an image at all
    index = detect(tmp_path)
    assert (index.layout, ids(index)) == (
        "image-mask",
        [image.format(n) for n in ("3", "21", "40")],
    )
    assert [Path(c.label).name for c in index.cases] == [
        Path(label.format(n)).name for n in ("3", "21", "40")
    ]
    assert not index.problems


@pytest.mark.parametrize("beside", ["{}_labels/{}_L.png", "{}annot/{}.png"])
def test_folders_of_labels_beside_those_of_the_splits(tmp_path, beside):
    for split in ("train", "test"):
        for name in ("1", "2"):
            png(tmp_path / split / f"{name}.png")
            png(tmp_path / beside.format(split, name), 1)
    index = detect(tmp_path)
    assert (index.layout, len(index.cases)) == ("image-mask", 4)
    assert {case.id: case.split for case in index.cases}["test/2.png"] == "test"
    assert {Path(case.label).parent.name[:2] for case in index.cases} == {"tr", "te"}


def test_labels_of_another_name_in_one_split_are_of_something_else(tmp_path):
    for split in ("training", "test"):
        for name in ("1", "2"):
            png(tmp_path / split / f"images/{name}.png")
            png(tmp_path / split / f"mask/{name}_mask.gif", 1)
    png(tmp_path / "training/1st_manual/1_manual1.gif", 1)
    png(tmp_path / "training/1st_manual/2_manual1.gif", 1)
    index = detect(tmp_path)
    assert [Path(case.label).parent.name for case in index.cases] == ["1st_manual"] * 2
    assert [Path(path).parent.parent.name for path in index.unlabelled] == ["test"] * 2


def test_a_folder_with_two_sets_keeps_them_apart(tmp_path):
    for name in ("1_train", "1_test", "2_train"):
        png(tmp_path / f"images/{name}.png")
        png(tmp_path / f"masks/{name}_mask.png", 1)
    png(tmp_path / "images/1_val.png")
    index = detect(tmp_path)
    pairs = {Path(c.id).stem: Path(c.label).stem for c in index.cases}
    assert pairs == {name: f"{name}_mask" for name in ("1_train", "1_test", "2_train")}
    assert [one.code for one in index.problems] == ["missing-label"]


def test_folders_of_pairs_are_no_classes(tmp_path):
    for group in ("benign", "malignant"):
        for number in (1, 2):
            png(tmp_path / group / f"{group} ({number}).png")
            png(tmp_path / group / f"{group} ({number})_mask.png", 1)
    index = detect(tmp_path)
    assert (index.layout, len(index.cases)) == ("image-mask", 4)


@pytest.mark.parametrize("name", ["{0}/{0}_{1}.png", "{0}/{1}.png"])
def test_a_folder_per_case_with_a_file_per_channel(tmp_path, name):
    for case in ("p10", "p9", "p8"):
        for place, part in enumerate(("t1", "flair", "seg")):
            png(tmp_path / name.format(case, part), 1 if part == "seg" else 10 + place)
    (tmp_path / name.format("p8", "t1")).unlink()
    (tmp_path / name.format("p7", "t1")).parent.mkdir()
    for part in ("t1", "flair"):
        png(tmp_path / name.format("p7", part))
    index = detect(tmp_path)
    assert index.layout == "image-mask"
    assert [Path(i).parent.name for i in ids(index)] == ["p9", "p10"]
    assert load(index.cases[0], index).image[:, 1, 1].tolist() == [11, 10]  # flair, t1
    assert [(p.code, p.path) for p in index.problems] == [
        ("missing-label", "p7"),
        ("missing-image", "p8"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        [{"image": "x/a.png", "label": "cat"}, {"image": "x/b.png", "label": "dog", "more": [1]}],
        {"x/a.png": "cat", "x/b.png": "dog"},
    ],
)
def test_labels_in_json(tmp_path, content):
    png(tmp_path / "x/a.png")
    png(tmp_path / "x/b.png")
    (tmp_path / "labels.json").write_text(json.dumps(content))
    index = detect(tmp_path)
    assert (index.layout, index.classes) == ("manifest", ("cat", "dog"))
    assert [(c.id, c.target) for c in index.cases] == [("x/a.png", 0), ("x/b.png", 1)]


def test_masks_subjects_and_splits_in_json_lines(tmp_path):
    rows = []
    for number, split in enumerate(("train", "train", "test")):
        png(tmp_path / f"{number}.png")
        png(tmp_path / f"m/{number}.png", 1)
        rows.append({"path": f"{number}.png", "mask": f"m/{number}.png", "patient": number})
        rows[-1]["split"] = split
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    index = detect(tmp_path)
    assert (index.task, [c.split for c in index.cases]) == ("segment", ["train", "train", "test"])
    assert [case.subject for case in index.cases] == ["0", "1", "2"]


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"a": {"b": 1}}', '{"note.md": 1}', "[" * 9999])
def test_other_json_is_no_manifest(tmp_path, text):
    png(tmp_path / "a.png")
    (tmp_path / "notes.json").write_text(text)
    assert detect(tmp_path).layout == "array"


def test_arrays_with_their_labels_inside(tmp_path):
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    for number in (10, 9):
        with h5py.File(tmp_path / f"case_{number}.h5", "w") as file:
            file["image"] = rng.normal(size=(7, 9, 11))
            file["label"] = rng.integers(0, 3, (7, 9, 11))
    (tmp_path / "broken.h5").write_bytes(b"no")
    found = inspect_data(tmp_path)
    index = found.index
    assert (index.layout, index.task, index.spatial_dims) == ("array", "segment", 3)
    assert ids(index) == ["case_9.h5", "case_10.h5"]
    assert index.classes == ("background", "1", "2")
    assert [(p.code, p.path) for p in index.problems] == [("unreadable", "broken.h5")]
    assert found.load(found.cases[0]).target.shape == (7, 9, 11)


def test_items_of_a_file_with_their_classes_and_splits(tmp_path):
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "set.h5", "w") as file:
        for part, count in (("test", 4), ("train", 6)):
            file[f"x_{part}"] = rng.integers(0, 255, (count, 21, 33), dtype=np.uint8)
            file[f"y_{part}"] = np.arange(count) % 2 * 7
    for path in (tmp_path, tmp_path / "set.h5"):
        found = inspect_data(path)
        assert found.index.classes == ("0", "7")
        assert [c.id for c in found.cases] == [f"set.h5#{i}" for i in range(10)]
        assert [c.split for c in found.cases] == ["train"] * 6 + ["test"] * 4
        assert found.load(found.cases[7]).target == 1


def test_label_maps_and_classes_do_not_mix(tmp_path):
    h5py = pytest.importorskip("h5py")
    for name, label in (("a", np.ones((7, 9, 11), np.uint8)), ("b", np.array(3))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["image"], file["label"] = np.zeros((7, 9, 11)), label
    with pytest.raises(ReadError, match="labels of one kind; got label maps and classes"):
        detect(tmp_path)


def test_zarr_folders_are_items(tmp_path):
    zarr = pytest.importorskip("zarr")
    for group in ("a", "b"):
        for number in range(2):
            path = tmp_path / group / f"{number}.zarr"
            path.parent.mkdir(exist_ok=True)
            zarr.create_array(path, shape=(7, 9), dtype="u1")[...] = number
    index = detect(tmp_path)
    assert (index.layout, index.classes) == ("class-folders", ("a", "b"))
    assert load(index.cases[3], index).image.shape == (1, 7, 9)
