"""Tables that were not made for us: files named by stem, labels under other names or one-hot."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.layouts.item_table import item_table, split_in
from convivo.errors import ReadError


def pictures(folder: Path, names, suffix=".jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(names))
    for name in names:
        Image.fromarray(rng.integers(0, 255, (12, 16), dtype=np.uint8)).save(
            folder / (name + suffix)
        )


def table(path: Path, *rows: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def targets(index):
    return {case.id: case.target for case in index.cases}


def test_stems_and_a_column_of_diagnoses(tmp_path):
    pictures(tmp_path / "part_1", ["i1", "i2"])
    pictures(tmp_path / "part_2", ["i3"])
    table(
        tmp_path / "meta.csv",
        "lesion_id,image_id,dx,age,sex", "l1,i1,nv,40,male", "l1,i2,nv,41,male",
        "l2,i3,mel,52,female", "l3,i9,mel,52,female",
    )  # fmt: skip
    index = detect(tmp_path)
    assert (index.layout, index.task, index.classes) == ("manifest", "classify", ("mel", "nv"))
    assert targets(index) == {"part_1/i1.jpg": 1, "part_1/i2.jpg": 1, "part_2/i3.jpg": 0}
    assert [case.subject for case in index.cases] == ["l1", "l1", "l2"]
    assert index.subject_source == "manifest column lesion_id"
    [absent] = index.problems
    assert (absent.code, absent.path) == ("missing-image", "meta.csv")
    assert "1 rows name files that are not there" in absent.message


def test_a_column_for_each_class(tmp_path):
    pictures(tmp_path / "input", ["a", "b", "c"])
    table(tmp_path / "truth.csv", "image,MEL,NV,BCC", "a,0.0,1.0,0.0", "b,1.0,0.0,0.0", "c,0,0,1")
    index = detect(tmp_path)
    assert index.classes == ("MEL", "NV", "BCC")
    assert "multi_label" not in index.extra
    assert targets(index) == {"input/a.jpg": 1, "input/b.jpg": 0, "input/c.jpg": 2}


def test_several_classes_at_once_by_columns_and_by_marks(tmp_path):
    for folder, rows in {
        "columns": ("file,effusion,mass,sex", "a.png,1,1,0", "b.png,0,1,1", "c.png,,,1"),
        "marks": (
            "Image Index,Finding Labels,Patient ID,View Position",
            "a.png,Effusion|Mass,1,PA", "b.png,Mass,2,PA", "c.png,No Finding,2,AP",
        ),
    }.items():  # fmt: skip
        pictures(tmp_path / folder / "images", ["a", "b", "c"], ".png")
        table(tmp_path / folder / "list.csv", *rows)
        found = inspect_data(tmp_path / folder)
        assert found.index.extra["multi_label"]
        assert found.positive_class is None
        assert [name.lower() for name in found.index.classes] == ["effusion", "mass"]
        assert sorted(targets(found.index).values()) == [0, 2, 3]  # as bits
        assert [row["count"] for row in found.class_counts] == [1, 2]


def test_a_data_set_one_folder_down_keeps_the_rows_of_its_files(tmp_path):
    pictures(tmp_path / "set/images", ["a", "b"], ".png")
    table(tmp_path / "set/list.csv", "name,labels", "a,x|y", "b,y")
    found = inspect_data(tmp_path)
    assert targets(found.index) == {"set/images/a.png": 3, "set/images/b.png": 2}


def test_tables_of_the_parts_make_the_split(tmp_path):
    for part, names in {"Training": ["a", "b"], "Test": ["c", "d"]}.items():
        pictures(tmp_path / f"ISIC_{part}_Input", names)
        rows = [f"{name},{n % 2},{1 - n % 2}" for n, name in enumerate(names)]
        table(tmp_path / f"ISIC_{part}_GroundTruth.csv", "image,nevus,melanoma", *rows)
    index = detect(tmp_path)
    assert {case.id[-5]: case.split for case in index.cases} == {
        "a": "train", "b": "train", "c": "test", "d": "test",
    }  # fmt: skip


def test_tables_that_part_names_and_tables_that_do_not(tmp_path):
    pictures(tmp_path / "images", ["a", "b", "c", "d"], ".png")
    table(tmp_path / "one.csv", "id,finding", "a,x|y", "b,x")
    table(tmp_path / "two.csv", "id,finding", "c,No Finding", "d,y")
    index = detect(tmp_path)
    assert index.classes == ("x", "y")
    assert index.extra["multi_label"]
    assert index.extra["targets"].tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]


def test_of_tables_with_other_classes_the_longest_counts(tmp_path):
    pictures(tmp_path / "images", ["a", "b", "c", "d", "e"], ".png")
    table(tmp_path / "one.csv", "id,x,y", "a,1,0", "b,0,1")
    table(tmp_path / "two.csv", "id,v,w", "c,1,0", "d,0,1", "e,0,1")
    assert detect(tmp_path).classes == ("v", "w")


def test_files_of_a_test_folder_are_for_prediction_and_others_are_missing(tmp_path):
    pictures(tmp_path / "train_images", ["a", "b", "x"], ".png")
    pictures(tmp_path / "test_images", ["c"], ".png")
    table(tmp_path / "train.csv", "id_code,diagnosis", "a,0", "b,4")
    table(tmp_path / "sample_submission.csv", "id_code,diagnosis", "c,0")
    index = detect(tmp_path)
    assert targets(index) == {"train_images/a.png": 0, "train_images/b.png": 1}
    assert index.classes == ("0", "4")
    assert [Path(path).name for path in index.unlabelled] == ["c.png"]
    assert [(one.code, one.path) for one in index.problems] == [
        ("missing-label", "train_images/x.png")
    ]


def test_a_label_column_of_ours_with_names_without_suffix(tmp_path):
    pictures(tmp_path / "pngs", ["a", "b"], ".png")
    table(tmp_path / "list.csv", "image;label", "a;x", "b;y")
    assert targets(detect(tmp_path)) == {"pngs/a.png": 0, "pngs/b.png": 1}


@pytest.mark.parametrize("column", ["image", "name"])
def test_the_table_itself_is_named(tmp_path, column):
    pictures(tmp_path / "pngs", ["a", "b"], ".png")
    table(tmp_path / "list.csv", f"{column},x,y", "a,1,0", "b,0,1")
    table(tmp_path / "other.csv", f"{column},x,y", "a,0,1", "b,1,0")
    index = detect(tmp_path / "list.csv")
    assert targets(index) == {"pngs/a.png": 0, "pngs/b.png": 1}


def test_columns_that_do_not_say_which_of_them_to_learn(tmp_path):
    pictures(tmp_path / "boneage", ["1", "2"], ".png")
    table(tmp_path / "boneage.csv", "id,boneage,male", "1,120,True", "2,88,False")
    for root in (tmp_path, tmp_path / "boneage.csv"):
        with pytest.raises(
            ReadError,
            match=r"has a column of labels \(label, .*; got columns boneage, male\. Name the one",
        ):
            detect(root)


def test_folders_of_classes_stay_so_beside_a_table_of_other_things(tmp_path):
    pictures(tmp_path / "cats", ["a", "b"], ".png")
    pictures(tmp_path / "dogs", ["c", "d"], ".png")
    table(tmp_path / "sizes.csv", "file,weight", "a.png,3", "c.png,9")
    index = detect(tmp_path)
    assert (index.layout, index.classes) == ("class-folders", ("cats", "dogs"))


def test_masks_tell_more_than_a_table(tmp_path):
    for folder in ("images", "masks"):
        pictures(tmp_path / folder, ["a", "b"], ".png")
    table(tmp_path / "meta.csv", "name,diagnosis", "a,x", "b,y")
    assert detect(tmp_path).layout == "image-mask"


def test_one_file_with_two_labels_is_refused(tmp_path):
    pictures(tmp_path / "images", ["a", "b"], ".png")
    table(tmp_path / "list.csv", "id,dx,box", "a,x,1", "a,x,2", "b,y,3")
    assert targets(detect(tmp_path)) == {"images/a.png": 0, "images/b.png": 1}
    table(tmp_path / "list.csv", "id,dx", "a,x", "a,y", "b,y")
    with pytest.raises(ReadError, match=r"list\.csv:3: a file has the same labels wherever it"):
        detect(tmp_path)


@pytest.mark.parametrize("rows", [
    b"file,dx\na.png,x\na.png,y\nc.png,y\n",  # two opinions
    "file,größe\na.png,3\nc.png,4\n".encode("latin-1"),
    b"\x00\x01\x02",
    b"",
])  # fmt: skip
def test_folders_of_classes_need_no_table(tmp_path, rows):
    pictures(tmp_path / "cats", ["a", "b"], ".png")
    pictures(tmp_path / "dogs", ["c", "d"], ".png")
    (tmp_path / "notes.csv").write_bytes(rows)
    assert detect(tmp_path).layout == "class-folders"


def test_names_that_two_files_share_are_not_told_apart(tmp_path):
    pictures(tmp_path / "left", ["1", "2"], ".png")
    pictures(tmp_path / "right", ["1", "2"], ".png")
    table(tmp_path / "list.csv", "name,dx", "1,x", "2,y")
    assert item_table(tmp_path) is None
    table(tmp_path / "list.csv", "name,dx", "left/1.png,x", "right/2.png,y")
    assert targets(detect(tmp_path)) == {"left/1.png": 0, "right/2.png": 1}


def test_words_of_names_that_say_a_split():
    names = ("Training_Set", "x-valid.csv", "latest", "retrain", "TEST2")
    assert [split_in(name) for name in names] == ["train", "val", None, None, "test"]
