"""The labels of a data set, taken as another task asks for them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import inspect_data
from convivo.data.phantoms import make_images, make_signals
from convivo.data.split import make_split
from convivo.errors import UsageError


def make_table(folder: Path, labels: list[str]) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label"])
        for number, label in enumerate(labels):
            name = f"{number:03d}.png"
            Image.fromarray(rng.integers(0, 255, (9, 11), np.uint8)).save(folder / name)
            table.writerow([name, label])
    return folder


def test_fractions_are_numbers_to_predict(tmp_path: Path) -> None:
    found = inspect_data(make_table(tmp_path / "a", ["1.5", "2", "-3e1", "7"]))
    assert found.index.task == "regress"
    assert [case.target for case in found.cases] == [1.5, 2.0, -30.0, 7.0]
    document = found.document()
    assert document["classes"] == []
    assert document["target"] == {"min": -30.0, "median": 1.75, "max": 7.0, "distinct": 4}
    assert not found.has_errors


def test_whole_numbers_are_classes_unless_asked_for(tmp_path: Path) -> None:
    data = make_table(tmp_path / "a", ["1", "2", "1", "2"])
    assert inspect_data(data).index.classes == ("1", "2")
    found = inspect_data(data, task="regress")
    assert [case.target for case in found.cases] == [1.0, 2.0, 1.0, 2.0]
    fractions = make_table(tmp_path / "b", ["1.5", "2.5", "1.5"])
    assert inspect_data(fractions, task="classify").index.classes == ("1.5", "2.5")


def test_missing_numbers_leave_a_case_out(tmp_path: Path) -> None:
    found = inspect_data(make_table(tmp_path / "a", ["1.5", "nan", "", "2.5"]))
    assert [case.id for case in found.cases] == ["000.png", "003.png"]
    missing = [p.path for p in found.problems if p.code == "missing-label"]
    assert sorted(missing) == ["001.png", "002.png"]


def test_equal_numbers_are_an_error(tmp_path: Path) -> None:
    found = inspect_data(make_table(tmp_path / "a", ["2.5"] * 4))
    assert [p.code for p in found.problems if p.severity == "error"] == ["constant-target"]


def test_a_split_deals_out_every_part_of_the_range(tmp_path: Path) -> None:
    labels = [f"{value:.2f}" for value in np.random.default_rng(1).gamma(2.0, 10.0, 100)]
    found = inspect_data(make_table(tmp_path / "a", labels))
    target = {case.id: float(case.target or 0) for case in found.cases}
    edges = np.quantile(list(target.values()), [0.2, 0.4, 0.6, 0.8])
    split = make_split(found)
    for part in (split.train, split.val, split.test):
        fifths = np.searchsorted(edges, [target[i] for i in part])
        assert np.bincount(fifths, minlength=5).tolist() == [len(part) // 5] * 5


@pytest.mark.parametrize(
    ("kind", "got"),
    [
        ("cells", r"got the class 'healthy' \(class-folders\)"),
        ("fields", r"got label maps \(image-mask\)"),
        ("signals", r"got labelled moments \(wfdb\)"),
    ],
)
def test_what_has_no_numbers_cannot_be_regressed(kind: str, got: str, tmp_path: Path) -> None:
    if kind == "signals":
        data = make_signals(tmp_path / "a", records=3, seconds=6)
    else:
        task = "classify" if kind == "cells" else "segment"
        data = make_images(tmp_path / "a", count=6, size=(32, 32), task=task)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=rf"--task: to regress, the labels are numbers; {got}\. G"):
        inspect_data(data, task="regress")


@pytest.mark.parametrize("task", ["reconstruct", "generate"])
def test_any_images_can_be_rebuilt(task: str, tmp_path: Path) -> None:
    cells = make_images(tmp_path / "cells", count=6, size=(32, 32), task="classify")
    found = inspect_data(cells, task=task)
    assert (found.index.task, found.index.classes) == (task, ("healthy", "infected"))
    masks = inspect_data(make_images(tmp_path / "fields", count=6, size=(32, 32)), task=task)
    assert masks.index.classes == ()
    assert {case.label for case in masks.cases} == {None}
    plain = make_table(tmp_path / "plain", ["1"] * 5)
    (plain / "manifest.csv").unlink()
    loose = inspect_data(plain, task=task)
    assert [case.id for case in loose.cases] == [f"{i:03d}.png" for i in range(5)]
    assert not loose.has_errors
    split = make_split(loose)
    assert [len(split.train), len(split.val), len(split.test)] == [3, 1, 1]


def test_every_item_of_a_container_is_a_case(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.random.default_rng(0).random((4, 6, 7)).astype(np.float32)
    found = inspect_data(tmp_path / "a.h5", task="reconstruct")
    assert [case.id for case in found.cases] == [f"a.h5#{i}" for i in range(4)]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_arrays_of_images_and_numbers_are_a_data_set(dims: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, numbers = rng.random((12, *(7, 8, 9)[:dims])), rng.normal(size=12)
    numbers[3] = np.nan
    np.savez(tmp_path / "a.npz", x=images.astype(np.float32), y=numbers)
    found = inspect_data(tmp_path / "a.npz")
    assert (found.index.task, found.index.spatial_dims, len(found.cases)) == ("regress", dims, 11)
    for case in found.cases:
        assert case.target == pytest.approx(numbers[case.index])
        np.testing.assert_allclose(found.load(case).image[0], images[case.index], rtol=1e-6)


def test_arrays_may_bring_their_own_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = {"train": 8, "val": 3, "test": 4}
    arrays = {f"X_{part}": rng.random((n, 6, 7)) for part, n in parts.items()}
    arrays |= {f"y_{part}": rng.random(n) for part, n in parts.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    split = make_split(inspect_data(tmp_path / "a.npz"))
    assert [len(split.train), len(split.val), len(split.test)] == [8, 3, 4]
    assert split.given
