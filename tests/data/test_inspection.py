"""Inspection of small real files: what is found and counted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.data.sample import Case, Header
from convivo.data.survey import Pixels, affordable, count_values, read_pixels, shrink
from convivo.errors import ReadError, UsageError
from convivo.schemas import schema

from .small_sets import class_folders, codes, noise, one, pairs, save_nifti, save_png, volumes


def test_class_folders_are_counted(tmp_path: Path) -> None:
    found = inspect_data(class_folders(tmp_path, {"normal": 4, "sick": 3}))
    document = found.document()
    assert document["classes"] == [{"name": "normal", "count": 4}, {"name": "sick", "count": 3}]
    assert (document["task"], document["cases"], document["units"]) == ("classify", 7, 7)
    assert (document["unit"], document["unit_source"]) == ("case", "none")
    assert document["positive_class"] == "sick"
    assert document["shape"] == {"min": [7, 9], "median": [7, 9], "max": [7, 9]}
    assert document["spacing"]["median"] is None
    assert codes(found) == {"subjects-unknown": 1}
    assert not found.has_errors
    assert "too narrow" in document["units_note"]


def test_the_document_fits_its_schema(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    class_folders(tmp_path / "c", {"a": 3, "b": 2})
    for path in (tmp_path / "c", volumes(tmp_path / "v", 3), pairs(tmp_path / "p", 9)):
        document = inspect_data(path).document()
        jsonschema.validate(json.loads(json.dumps(document, allow_nan=False)), schema("inspect"))


def test_label_maps_give_classes_and_pixels(tmp_path: Path) -> None:
    found = inspect_data(volumes(tmp_path, 3))
    rows = found.document()["classes"]
    inside = 3 * (3 * 5 * 7)
    assert [row["name"] for row in rows] == ["background", "organ", "lesion"]
    assert [row["count"] for row in rows] == [3, 3, 3]
    assert [row["pixels"] for row in rows] == [3 * 693 - inside, inside - 3, 3]
    assert found.index.label_values == (0, 1, 2)
    assert found.statistics.spacing == (1.0, 1.0, 1.0)
    assert found.unit == "case"  # numbered volumes are no stack


def test_values_without_names_become_classes(tmp_path: Path) -> None:
    found = inspect_data(pairs(tmp_path, 4, lambda i: noise(i + 50) // 128 * 255))
    assert (found.index.classes, found.index.label_values) == (("0", "255"), (0, 255))
    assert found.positive_class == "255"
    named = inspect_data(tmp_path, labels="0=membrane,255=cell", positive="membrane")
    assert named.index.classes == ("membrane", "cell")
    assert named.document()["positive_class"] == "membrane"
    assert set(np.unique(named.load(named.cases[0]).target)) == {0, 1}


def test_grey_masks_are_no_classes(tmp_path: Path) -> None:
    many = np.arange(200, dtype=np.uint8).reshape(10, 20)
    for i in range(3):
        save_png(tmp_path / "images" / f"{i}.png", noise(i, (10, 20)))
        save_png(tmp_path / "labels" / f"{i}.png", many)
    problem = one(inspect_data(tmp_path), "label-out-of-range")
    assert "200 different values" in problem.message


def test_a_value_outside_the_named_ones_leaves_the_case_out(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    mask = np.zeros((7, 9, 11), np.uint8)
    mask[3, 4, 5] = 7
    save_nifti(tmp_path / "labelsTr" / "v_001.nii.gz", mask)
    found = inspect_data(tmp_path)
    problem = one(found, "label-out-of-range")
    assert (problem.severity, problem.path) == ("error", "imagesTr/v_001.nii.gz")
    assert "holds 7, which is no class (0, 1, 2)" in problem.message
    assert found.excluded == ("imagesTr/v_001.nii.gz",)
    assert len(found.cases) == 3
    assert found.has_errors


def test_a_named_class_that_no_map_holds(tmp_path: Path) -> None:
    names = {"0": "background", "1": "organ", "2": "lesion", "3": "stent"}
    problem = one(inspect_data(volumes(tmp_path, 3, labels=names)), "class-missing")
    assert (problem.severity, problem.message) == ("warning", "no case holds 'stent'")


def test_a_single_class_is_an_error(tmp_path: Path) -> None:
    found = inspect_data(pairs(tmp_path, 4, lambda _: np.zeros((7, 9), np.uint8)))
    assert one(found, "single-class").severity == "error"


def test_more_than_ten_to_one_is_imbalance(tmp_path: Path) -> None:
    assert "class-imbalance" not in codes(
        inspect_data(class_folders(tmp_path / "x", {"a": 10, "b": 1}))
    )
    found = inspect_data(class_folders(tmp_path / "y", {"a": 22, "b": 2}))
    assert one(found, "class-imbalance").message == "'a' (22) is 11 times 'b' (2)"


def test_a_constant_image_is_named_and_no_duplicate(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 4, "b": 4})
    for name in ("black.png", "dark.png"):
        save_png(tmp_path / "a" / name, np.zeros((7, 9), np.uint8))
    found = inspect_data(tmp_path)
    assert codes(found) == {"constant-image": 2, "subjects-unknown": 1}


def test_the_task_must_be_what_the_labels_allow(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2})
    assert inspect_data(tmp_path, task="classify").index.task == "classify"
    with pytest.raises(UsageError, match=r"--task: the data have labels to segment; got labels to"):
        inspect_data(tmp_path, task="segment")
    with pytest.raises(UsageError, match=r"--task: a task that can be trained; got 'segmnt'"):
        inspect_data(tmp_path, task="segmnt")


def test_files_without_labels_are_no_data_set(tmp_path: Path) -> None:
    for i in range(3):
        save_png(tmp_path / f"{i}x.png", noise(i))
    with pytest.raises(ReadError, match=r"hold a labelled case; got 3 files without labels"):
        inspect_data(tmp_path)


def test_beats_are_counted_per_class(tmp_path: Path) -> None:
    found = inspect_data(make_signals(tmp_path, seed=3, records=4, seconds=20))
    rows = {row["name"]: row["count"] for row in found.document()["classes"]}
    assert sum(rows.values()) == sum(map(sum, found.case_counts.values())) > 40
    assert max(rows, key=lambda name: rows[name]) == "N"
    assert (found.document()["cases"], found.unit, found.unit_source) == (
        4,
        "subject",
        "WFDB record",
    )


@pytest.mark.parametrize(
    ("make", "unit"),
    [(make_images, "subject"), (make_volumes, "case")],
)
def test_phantoms_are_clean(make: Callable[..., Path], unit: str, tmp_path: Path) -> None:
    found = inspect_data(make(tmp_path, seed=1, count=9))
    assert found.unit == unit
    assert not found.has_errors
    assert "duplicate" not in codes(found)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    inspect_data(
        pairs(tmp_path, 5), progress=lambda what, done, total: seen.update({what: (done, total)})
    )
    done = dict.fromkeys(("headers", "label maps", "images"), (5, 5))
    assert seen == done


def case_of(number: int, shape: tuple[int, ...], dtype: str = "uint8") -> Case:
    header = Header(shape=shape, channels=1, dtype=dtype, axes="ZYX")
    return Case(id=f"{number}", image=("",), header=header)


def test_large_sets_are_sampled_evenly() -> None:
    small = [case_of(i, (28, 28)) for i in range(70_000)]
    assert len(affordable(small)) == 70_000
    large = [case_of(i, (512, 512, 4)) for i in range(5_000)]
    chosen = [int(case.id) for case in affordable(large)]
    assert len(chosen) == 512
    assert max(np.diff(chosen)) <= 10
    few = [case_of(i, (512, 512, 100)) for i in range(100)]
    assert len(affordable(few)) == 100


def test_values_are_counted_whatever_their_type() -> None:
    assert count_values(np.array([[-1, 5], [5, 70_000]], np.int32)) == {-1: 1, 5: 2, 70_000: 1}
    assert count_values(np.zeros((0, 3), np.uint8)) == {}


def test_a_thumbnail_keeps_the_mean() -> None:
    image = noise(1, (3, 128, 192)).astype(np.float32)
    assert shrink(image).mean() == pytest.approx(image.mean(), rel=1e-4)
    assert shrink(image).shape == (64, 64)


def test_an_image_is_known_by_its_values_shape_and_type(tmp_path: Path) -> None:
    arrays = {"a": np.zeros((4, 6)), "b": np.zeros((6, 4)), "c": np.zeros((4, 6), np.float32)}
    cases = []
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        path = str(tmp_path / f"{name}.npy")
        cases.append(Case(id=name, image=(path,), header=case_of(0, (4, 6)).header))
    found: dict[str, Pixels] = read_pixels(cases)
    assert len({seen.digest for seen in found.values()}) == 3
    assert all(seen.constant for seen in found.values())
