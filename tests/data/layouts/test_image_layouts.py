"""Image-mask, Decathlon, class folders, manifest and bare arrays, found from their folders."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.errors import ReadError


def png(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((7, 9), value, np.uint8)).save(path)
    return path


def nifti(path: Path, shape=(7, 9, 11)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), path)
    return path


def ids(index) -> list[str]:
    return [case.id for case in index.cases]


def codes(index) -> list[tuple[str, str]]:
    return [(one.code, one.path) for one in index.problems]


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("Image", "MASKS")])
def test_sibling_folders_pair_by_name_in_natural_order(tmp_path, images, labels):
    for name in ("10", "9", "1"):
        png(tmp_path / images / f"{name}.png")
        png(tmp_path / labels / f"{name}.png")
    png(tmp_path / images / "alone.png")
    png(tmp_path / labels / "orphan.png")
    for junk in (".DS_Store", "README.md", "._1.png", "Thumbs.db"):
        (tmp_path / images / junk).write_bytes(b"junk")
    index = detect(tmp_path)
    assert (index.layout, index.task, index.spatial_dims) == ("image-mask", "segment", 2)
    assert ids(index) == [f"{images}/{n}.png" for n in ("1", "9", "10")]
    assert [Path(case.label).name for case in index.cases] == ["1.png", "9.png", "10.png"]
    assert codes(index) == [
        ("missing-label", f"{images}/alone.png"),
        ("missing-image", f"{labels}/orphan.png"),
    ]
    assert {one.severity for one in index.problems} == {"warning"}


@pytest.mark.parametrize(
    "mask", ["a_mask.png", "a-mask.png", "a_seg.tif", "mask_a.png", "a_segmentation.PNG", "a.bmp"]
)
def test_masks_pair_by_the_usual_variants(tmp_path, mask):
    png(tmp_path / "imgs/a.png")
    png(tmp_path / "masks" / mask)
    assert [Path(case.label).name for case in detect(tmp_path).cases] == [mask]


def test_splits_are_given_and_a_test_folder_without_labels_is_for_prediction(tmp_path):
    for split in ("train", "valid"):
        png(tmp_path / split / "images/1.png")
        png(tmp_path / split / "labels/1.png")
    png(tmp_path / "test/7.png")
    index = detect(tmp_path)
    assert [(case.id, case.split) for case in index.cases] == [
        ("train/images/1.png", "train"),
        ("valid/images/1.png", "val"),
    ]
    assert index.unlabelled == (str(tmp_path / "test/7.png"),)
    assert not index.problems


def test_train_alone_is_no_given_split(tmp_path):
    png(tmp_path / "membrane/train/image/0.png")
    png(tmp_path / "membrane/train/label/0.png")
    png(tmp_path / "membrane/test/0.png")
    index = detect(tmp_path)
    assert [(case.id, case.split) for case in index.cases] == [("membrane/train/image/0.png", None)]
    assert len(index.unlabelled) == 1
    assert index.root == tmp_path


def test_one_folder_per_image_with_a_mask_per_object(tmp_path):
    for name in ("a", "b"):
        png(tmp_path / f"stage1/{name}/images/{name}.png")
        png(tmp_path / f"stage1/{name}/masks/1.png", 255)
        png(tmp_path / f"stage1/{name}/masks/2.png", 0)
    index = detect(tmp_path)
    assert ids(index) == ["stage1/a/images/a.png", "stage1/b/images/b.png"]
    assert load(index.cases[0], index).target.tolist() == np.ones((7, 9)).tolist()


def test_nothing_pairs(tmp_path):
    png(tmp_path / "images/a.png")
    png(tmp_path / "labels/b.png")
    with pytest.raises(ReadError, match="have the same file name; got 2 files without a partner"):
        detect(tmp_path)


def decathlon(root: Path, **changes: object) -> Path:
    for name in ("case_10", "case_9"):
        nifti(root / f"imagesTr/{name}.nii.gz", (7, 9, 11, 2))
        nifti(root / f"labelsTr/{name}.nii.gz")
    nifti(root / "imagesTs/case_1.nii.gz", (7, 9, 11, 2))
    entries = [
        {"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"}
        for n in ("case_10", "case_9")
    ]
    content = {
        "labels": {"1": "anterior", "0": "background", "2": "posterior"},
        "modality": {"0": "T2", "1": "ADC"},
        "training": entries,
        "test": ["./imagesTs/case_1.nii.gz"],
    } | changes
    kept = {key: value for key, value in content.items() if value is not None}
    (root / "dataset.json").write_text(json.dumps(kept))
    return root


@pytest.mark.parametrize("training", ["listed", None])
def test_decathlon(tmp_path, training):
    index = detect(
        decathlon(tmp_path / "Task04", **({} if training else {"training": None})).parent
    )
    assert (index.layout, index.task, index.spatial_dims) == ("msd", "segment", 3)
    assert ids(index) == [f"Task04/imagesTr/case_{n}.nii.gz" for n in (9, 10)]
    assert index.classes == ("background", "anterior", "posterior")
    assert index.label_values == (0, 1, 2)
    assert [Path(path).name for path in index.unlabelled] == ["case_1.nii.gz"]
    sample = load(index.cases[0], index)
    assert sample.channel_names == ("T2", "ADC")
    assert sample.image.shape == (2, 7, 9, 11)


def test_decathlon_reports_what_is_not_there(tmp_path):
    root = decathlon(tmp_path)
    (root / "labelsTr/case_9.nii.gz").unlink()
    nifti(root / "imagesTr/unlisted.nii.gz")
    entry = {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/gone.nii.gz"}
    content = json.loads((root / "dataset.json").read_text())
    content["training"].append(entry)
    (root / "dataset.json").write_text(json.dumps(content))
    assert sorted(codes(detect(root))) == [
        ("missing-image", "imagesTr/gone.nii.gz"),
        ("missing-label", "imagesTr/case_9.nii.gz"),
        ("missing-label", "imagesTr/unlisted.nii.gz"),
    ]


def test_decathlon_names_by_value_or_value_by_name(tmp_path):
    labels = {"background": 0, "tumour": 3}
    index = detect(decathlon(tmp_path, labels=labels))
    assert (index.classes, index.label_values) == (("background", "tumour"), (0, 3))
    index = detect(decathlon(tmp_path, labels={"4": "x"}))
    assert (index.classes, index.label_values) == (("background", "x"), (0, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"image": "x"}}, "training is a list of"),
        ({"training": [{"image": "x"}]}, "training is a list of"),
        ({"training": [{"image": "../x.nii", "label": "y"}]}, "files of a data set lie in"),
        (
            {"training": [{"image": "gone.nii", "label": "y"}], "x": 1},
            "lists images that are there",
        ),
        ({"labels": {"a": "b"}}, "labels name each value once"),
        ({"labels": {"1": "a", "01": "b"}}, "got the value 1 twice"),
        ({"labels": ["a"]}, "labels name each value once"),
    ],
)
def test_decathlon_with_a_broken_description(tmp_path, changes, message):
    with pytest.raises(ReadError, match=message):
        detect(decathlon(tmp_path, **changes))


@pytest.mark.parametrize("text", ["{", "", "\xff"])
def test_description_that_is_no_json(tmp_path, text):
    decathlon(tmp_path)
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ReadError, match=r"dataset\.json: must be JSON"):
        detect(tmp_path)


def test_class_folders_one_level_down(tmp_path):
    for name in ("Uninfected", "Parasitized"):
        for number in ("10", "2"):
            png(tmp_path / "cell_images" / name / f"{number}.png")
    (tmp_path / "README.md").write_text("read me")
    index = detect(tmp_path)
    assert (index.layout, index.task) == ("class-folders", "classify")
    assert index.classes == ("Parasitized", "Uninfected")
    assert [(case.id, case.target) for case in index.cases][:3] == [
        ("cell_images/Parasitized/2.png", 0),
        ("cell_images/Parasitized/10.png", 0),
        ("cell_images/Uninfected/2.png", 1),
    ]


def test_class_folders_with_splits(tmp_path):
    for split in ("Training", "validation", "test"):
        png(tmp_path / split / "a/1.png")
        if split != "validation":
            nifti(tmp_path / split / "b/1.nii.gz")
    png(tmp_path / "Training/loose.png")
    index = detect(tmp_path)
    assert {(case.split, case.target) for case in index.cases} == {
        ("train", 0),
        ("train", 1),
        ("val", 0),
        ("test", 0),
        ("test", 1),
    }
    assert codes(index) == [("missing-label", "Training/loose.png")]


def test_class_folders_beside_a_test_folder_without_classes(tmp_path):
    for name in ("a", "b", "test"):
        png(tmp_path / name / "1.png")
    index = detect(tmp_path)
    assert index.classes == ("a", "b")
    assert index.unlabelled == (str(tmp_path / "test/1.png"),)


def test_a_single_class_is_left_to_the_inspection(tmp_path):
    png(tmp_path / "only/1.png")
    index = detect(tmp_path)
    assert (index.layout, index.classes) == ("class-folders", ("only",))


def test_dimensions_come_from_the_first_readable_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.nii.gz").write_bytes(b"")
    nifti(tmp_path / "b/1.nii.gz")
    assert detect(tmp_path).spatial_dims == 3
    (tmp_path / "b/1.nii.gz").write_bytes(b"")
    with pytest.raises(ReadError, match=r"a/1\.nii\.gz: must be a readable nifti file"):
        detect(tmp_path)


def manifest(root: Path, text: str, name: str = "cases.csv", encoding: str = "utf-8") -> Path:
    (root / name).write_bytes(text.encode(encoding))
    return root / name


@pytest.mark.parametrize(("name", "mark"), [("c.csv", ","), ("c.csv", ";"), ("c.tsv", "\t")])
def test_manifest_of_classes(tmp_path, name, mark):
    for number in range(4):
        png(tmp_path / f"scans/{number}.png")
    rows = [
        ["Image", "Label", "PatientID", "Split"],
        ["scans/0.png", "10", "p1", "train"],
        ["scans/1.png", "9", "p1", "valid"],
        ["scans/2.png", "10", "", "test"],
        ["scans/3.png", "", "p3", "train"],
        ["scans/gone.png", "9", "p3", "train"],
    ]
    table = manifest(tmp_path, "\n".join(mark.join(row) for row in rows), name, "utf-8-sig")
    for place in (table, tmp_path):
        index = detect(place, "manifest")
        assert index.classes == ("9", "10")
        assert [(c.id, c.target, c.subject, c.split) for c in index.cases] == [
            ("scans/0.png", 1, "p1", "train"),
            ("scans/1.png", 0, "p1", "val"),
            ("scans/2.png", 1, None, "test"),
        ]
        assert index.subject_source == "manifest column PatientID"
        assert codes(index) == [
            ("missing-label", "scans/3.png"),
            ("missing-image", "scans/gone.png"),
        ]


def test_manifest_of_masks_and_images_to_predict(tmp_path):
    for number in range(3):
        png(tmp_path / f"{number}.png")
    png(tmp_path / "m0.png")
    text = "path,label,split\n0.png,m0.png,train\n1.png,gone.png,train\n2.png,,test\n"
    index = detect(manifest(tmp_path, text).parent)
    assert (index.layout, index.task) == ("manifest", "segment")
    assert [(case.id, Path(case.label).name) for case in index.cases] == [("0.png", "m0.png")]
    assert codes(index) == [("missing-label", "1.png")]
    assert [Path(path).name for path in index.unlabelled] == ["2.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label,split\n0.png,a,dev\n",
            r"cases\.csv:2: a split is train, val or test; got dev",
        ),
        ("path,label\n0.png,a\n./0.png,b\n", r"cases\.csv:3: a path stands once; got 0\.png"),
        ("path,label\n,a\n", "every row names a file"),
        ("path,note\n0.png,a\n", "a table has a column of labels"),
        ("path,label\n../0.png,a\n", "files of a data set lie in its folder"),
        ("path,label\ngone.png,a\n", "lists files and their labels; got 1 rows, 0 files"),
        ("path,label\n", "lists files and their labels; got 0 rows"),
    ],
)
def test_manifest_with_errors(tmp_path, text, message):
    png(tmp_path / "0.png")
    with pytest.raises(ReadError, match=message):
        detect(manifest(tmp_path, text))


def test_manifest_in_another_encoding(tmp_path):
    table = manifest(tmp_path, "path,label\nä.png,a\n", encoding="latin-1")
    with pytest.raises(ReadError, match="must be a table in UTF-8"):
        detect(table)


def test_files_without_labels_are_for_prediction(tmp_path):
    np.save(tmp_path / "10.npy", np.zeros((7, 9, 11)))
    np.save(tmp_path / "9.npy", np.zeros((7, 9, 11)))
    index = detect(tmp_path)
    assert (index.layout, index.cases, index.spatial_dims) == ("array", (), 3)
    assert [Path(path).name for path in index.unlabelled] == ["9.npy", "10.npy"]
    assert detect(tmp_path / "9.npy").unlabelled == (str(tmp_path / "9.npy"),)
