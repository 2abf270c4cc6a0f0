"""Inspection of small real files: what belongs together, and to which part."""

from pathlib import Path

import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.split import make_split

from .small_sets import class_folders, codes, noise, one, save_png

REAL = Path(__file__).parents[3] / "shared" / "data"


def test_subjects_are_read_from_file_names(tmp_path: Path) -> None:
    for person in range(4):
        for label in ("Parasitized", "Uninfected"):
            for i in range(3):
                name = f"C{person}P61ThinF_IMG_{i}.png"
                save_png(tmp_path / label / name, noise(100 * person + 10 * i + len(label)))
    found = inspect_data(tmp_path)
    assert (found.unit, len(set(found.units.values())), found.subject_known) == ("subject", 4, True)
    assert found.unit_source.startswith("file name pattern C<number>")
    assert found.units_note is None
    assert not codes(found)
    sample = found.load(found.cases[0])
    assert sample.unit == "C0"


def test_equal_images_are_one_unit(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 4, "b": 4})
    save_png(tmp_path / "b" / "copy.png", noise(2))
    found = inspect_data(tmp_path)
    problem = one(found, "duplicate")
    assert problem.path == "b/copy.png"
    assert problem.message == "holds the same values as a/1x.png, under another label"
    assert found.units["b/copy.png"] == found.units["a/1x.png"] == "a/1x.png"
    assert found.document()["units"] == 8
    split = make_split(found)
    assert any({"a/1x.png", "b/copy.png"} <= set(p) for p in (split.train, split.val, split.test))


def test_equal_images_of_two_subjects(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 3, "b": 3}, name="P1_{i}.png")
    save_png(tmp_path / "b" / "P2_0.png", noise(80))
    save_png(tmp_path / "b" / "P2_1.png", noise(1))
    found = inspect_data(tmp_path)
    assert one(found, "duplicate-across-subjects").path == "b/P2_1.png"
    assert set(found.units.values()) == {"P1"}


def test_equal_images_on_both_sides_of_a_given_split(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        class_folders(tmp_path / part, {"a": count, "b": count}, name=part + "{i}x.png")
    for part in ("train", "test"):
        save_png(tmp_path / part / "a" / "same.png", noise(77))
    for i, path in enumerate(sorted((tmp_path / "test").rglob("test*.png"))):
        save_png(path, noise(500 + i))
    found = inspect_data(tmp_path)
    problem = one(found, "duplicate-across-splits")
    assert problem.severity == "error"
    assert "one is in" in problem.message
    assert found.units["train/a/same.png"] != found.units["test/a/same.png"]


def test_a_subject_on_both_sides_of_a_given_split(tmp_path: Path) -> None:
    seed = 0
    for part, people in (("train", (1, 2, 3)), ("test", (3, 4))):
        for person in people:
            for label in ("a", "b"):
                seed += 1
                save_png(tmp_path / part / label / f"P{person}_{seed}.png", noise(seed))
    problem = one(inspect_data(tmp_path), "subject-across-splits")
    assert problem.severity == "error"
    assert problem.message == "subject P3 is in test and train of the given split"


def test_a_class_absent_from_the_training_part(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"a": 4, "b": 4})
    for i in range(3):
        for j, label in enumerate("abc"):
            save_png(tmp_path / "test" / label / f"{i}x.png", noise(100 + 10 * i + j))
    messages = [p.message for p in inspect_data(tmp_path).problems if p.code == "class-missing"]
    assert messages == ["train of the given split holds no 'c'"]


def test_a_stack_of_sections_is_one_subject(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    image = rng.normal(size=(27, 29))
    for i in range(12):
        image = 0.6 * image + 0.4 * rng.normal(size=image.shape)
        grey = np.clip(128 + 60 * image, 0, 255).astype(np.uint8)
        save_png(tmp_path / "images" / f"{i}.png", grey)
        save_png(tmp_path / "labels" / f"{i}.png", (grey > 128).astype(np.uint8))
    found = inspect_data(tmp_path)
    assert (found.unit, found.document()["units"]) == ("section", 12)
    assert one(found, "single-subject").severity == "warning"
    assert "subjects-unknown" not in codes(found)
    split = make_split(found)
    assert split.test == ("images/9.png", "images/10.png", "images/11.png")


def test_one_subject_by_expression_is_cut_into_sections(tmp_path: Path) -> None:
    found = inspect_data(class_folders(tmp_path, {"a": 4, "b": 4}), subject="(x)")
    assert found.unit == "section"
    assert one(found, "single-subject").message.startswith("all cases come from one subject (x, by")


@pytest.mark.data
def test_malaria_patients_are_found_in_the_file_names() -> None:
    found = inspect_data(REAL / "malaria_cells")
    assert len(found.cases) == 4566
    assert found.document()["units"] == 38
    assert (found.unit, found.positive_class) == ("subject", "Parasitized")


@pytest.mark.data
def test_membranes_are_one_stack() -> None:
    found = inspect_data(REAL / "isbi2012_em")
    assert (found.unit, len(found.cases), len(found.unlabelled)) == ("section", 30, 5)


@pytest.mark.data
def test_hippocampi_are_cases_and_the_unlabelled_one_is_left_out() -> None:
    found = inspect_data(REAL / "hippocampus_msd")
    assert (found.unit, len(found.cases)) == ("case", 180)
    assert found.excluded == ("TrainingSet/images/hippocampus_118.nii.gz",)
    assert not found.has_errors


@pytest.mark.data
def test_arrhythmia_records_split_13_4_5() -> None:
    found = inspect_data(REAL / "mitbih")
    split = make_split(found)
    assert [len(split.train), len(split.val), len(split.test)] == [13, 4, 5]
    held = [np.sum([found.case_counts[i] for i in p], axis=0) for p in (split.train, split.test)]
    assert all((row[:4] > 0).all() for row in held)
