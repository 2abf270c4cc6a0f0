"""Folders and files of UCR and UEA series: pairs, classes, ids, and what is no data set."""

from pathlib import Path

import pytest

from convivo.data.layouts import ucr as layout
from convivo.errors import ReadError

REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the checkout")

ROWS = "1\t0.5\t0.6\t0.7\t0.8\n-1\t1\t2\t3\t4\n10\t5\t6\t7\t8\n"
TS = "@classLabel true b a\n@data\n1,2,3:b\n4,5,6:a\n7,8,9:?\n"


def test_a_pair_is_a_given_split(tmp_path: Path) -> None:
    (tmp_path / "Set_TRAIN.tsv").write_text(ROWS)
    (tmp_path / "Set_TEST.tsv").write_text(ROWS)
    (tmp_path / "README.md").write_text("about the set")
    assert layout.matches(tmp_path)
    index = layout.index(tmp_path)
    assert (index.layout, index.task, index.spatial_dims) == ("ucr", "classify", 1)
    assert index.classes == ("-1", "1", "10")
    found = [(case.id, case.index, case.target, case.split) for case in index.cases]
    assert found[:3] == [
        ("Set_TRAIN.tsv#0", 0, 1, "train"),
        ("Set_TRAIN.tsv#1", 1, 0, "train"),
        ("Set_TRAIN.tsv#2", 2, 2, "train"),
    ]
    assert found[3] == ("Set_TEST.tsv#0", 0, 1, "test")
    assert index.cases[0].header is not None
    assert index.cases[0].header.shape == (4,)
    assert index.cases[0].image == (str(tmp_path / "Set_TRAIN.tsv"),)


def test_a_single_file_has_no_split(tmp_path: Path) -> None:
    path = tmp_path / "Set_TRAIN.tsv"
    path.write_text(ROWS)
    for root in (tmp_path, path):
        assert layout.matches(root)
        index = layout.index(root)
        assert [case.id for case in index.cases][:1] == ["Set_TRAIN.tsv#0"]
        assert {case.split for case in index.cases} == {None}


def test_a_series_without_a_class_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.ts"
    path.write_text(TS)
    index = layout.index(tmp_path)
    assert index.classes == ("a", "b")
    assert [case.target for case in index.cases] == [1, 0]
    assert [(p.code, p.severity, p.path) for p in index.problems] == [
        ("missing-label", "warning", f"{path}#2")
    ]


def test_a_file_without_classes_is_for_prediction(tmp_path: Path) -> None:
    path = tmp_path / "new.ts"
    path.write_text("@classLabel false\n@data\n1,2,3\n")
    index = layout.index(path)
    assert (index.cases, index.unlabelled, index.problems) == ((), (str(path),), ())


def test_of_several_formats_the_one_that_says_most_is_read(tmp_path: Path) -> None:
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Set_{part}.txt").write_text(ROWS)
        (tmp_path / f"Set_{part}.ts").write_text(TS)
        (tmp_path / f"SetDimension1_{part}.ts").write_text(TS)
    (tmp_path / "Set.txt").write_text("What this data set is about.")
    assert {case.id.split("#")[0] for case in layout.index(tmp_path).cases} == {
        "Set_TRAIN.ts",
        "Set_TEST.ts",
    }


def test_several_data_sets_in_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "One_TRAIN.tsv").write_text(ROWS)
    (tmp_path / "Two_TRAIN.tsv").write_text(ROWS)
    with pytest.raises(ReadError, match=r"holds one data set; got one, two\. Pass the path"):
        layout.index(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.txt", "This folder holds images.\n"),
        ("spacing.txt", "1.0 1.0 2.5\n"),
        ("notes.tsv", "participant_id\tage\nsub-01\t34\n"),
        ("app.ts", "import { x } from 'y'\n"),
        ("clip.ts", "\x47\x40\x11\x10\x00"),
        ("empty.txt", ""),
    ],
)
def test_other_text_is_no_data_set(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert not layout.matches(tmp_path)
    with pytest.raises(ReadError, match=r"holds \.ts, \.arff, \.tsv, \.txt or \.csv; got none"):
        layout.index(tmp_path)


def test_numbers_beside_folders_of_data_are_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "gradients.txt").write_text("1 2 3 4 5 6\n1 2 3 4 5 6\n")
    assert not layout.matches(tmp_path)


def test_a_missing_folder_is_none(tmp_path: Path) -> None:
    assert not layout.matches(tmp_path / "missing")


@pytest.mark.data
@needs_real_data
def test_real_pairs() -> None:
    ecg = layout.index(REAL / "ecg200_ucr")
    assert ecg.classes == ("-1", "1")
    assert ecg.cases[17].id == "ECG200_TRAIN.arff#17"
    assert [case.split for case in ecg.cases].count("test") == 100
    motions = layout.index(REAL / "basicmotions_uea")
    assert motions.classes == ("Badminton", "Running", "Standing", "Walking")
    assert len(motions.cases) == 80
