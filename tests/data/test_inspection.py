"""Inspection of small real files: what is found, counted, left out and complained of."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import Inspection, inspect_data
from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.data.sample import Case, Header
from convivo.data.split import make_split
from convivo.data.survey import Pixels, affordable, count_values, read_pixels, shrink
from convivo.errors import ReadError, UsageError
from convivo.schemas import schema

REAL = Path(__file__).parents[3] / "shared" / "data"


def noise(seed: int, shape: tuple[int, ...] = (7, 9)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save_png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def class_folders(root: Path, counts: Mapping[str, int], *, name: str = "{i}x.png") -> Path:
    """Folders of different images; letters after the numbers keep them from being a stack."""
    seed = 0
    for folder, count in counts.items():
        for i in range(count):
            seed += 1
            save_png(root / folder / name.format(i=i), noise(seed))
    return root


def pairs(root: Path, count: int, maps: Callable[[int], np.ndarray] | None = None) -> Path:
    """Images and masks; `maps` makes the mask of number i, else a corner of ones."""
    for i in range(count):
        labels = np.zeros((7, 9), np.uint8)
        labels[: 2 + i % 3, :4] = 1
        save_png(root / "images" / f"{i}.png", noise(i))
        save_png(root / "labels" / f"{i}.png", labels if maps is None else maps(i))
    return root


def volumes(root: Path, count: int, *, labels: Mapping[str, str] | None = None) -> Path:
    """MSD: volumes 7 x 9 x 11 with two classes inside."""
    names = labels or {"0": "background", "1": "organ", "2": "lesion"}
    rows = []
    for i in range(count):
        mask = np.zeros((7, 9, 11), np.uint8)
        mask[2:5, 2:7, 2:9], mask[3, 4, 5] = 1, 2
        save_nifti(root / "imagesTr" / f"v_{i:03d}.nii.gz", noise(i, mask.shape).astype(np.int16))
        save_nifti(root / "labelsTr" / f"v_{i:03d}.nii.gz", mask)
        name = f"v_{i:03d}.nii.gz"
        rows.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    content = {"name": "t", "modality": {"0": "MR"}, "labels": names, "training": rows}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def codes(found: Inspection) -> Counter[str]:
    return Counter(p.code for p in found.problems)


def one(found: Inspection, code: str):
    problems = [p for p in found.problems if p.code == code]
    assert len(problems) == 1, found.problems
    return problems[0]


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


def test_image_and_label_of_two_shapes(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    save_nifti(tmp_path / "labelsTr" / "v_002.nii.gz", np.ones((7, 9, 10), np.uint8))
    problem = one(inspect_data(tmp_path), "shape-mismatch")
    assert problem.message == "the image has shape 7 x 9 x 11, its label map 7 x 9 x 10"
    assert problem.severity == "error"


def test_a_label_map_stored_the_other_way_round(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    save_nifti(tmp_path / "labelsTr" / "v_002.nii.gz", np.ones((7, 9, 11), np.uint8), flipped)
    problem = one(inspect_data(tmp_path), "shape-mismatch")
    assert "axes RAS" in problem.message
    assert "LAS" in problem.message


def test_not_finite_values_are_counted(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    image = noise(9, (7, 9, 11)).astype(np.float32)
    image[0, 0, :3] = (np.nan, np.inf, -np.inf)
    save_nifti(tmp_path / "imagesTr" / "v_003.nii.gz", image)
    problem = one(inspect_data(tmp_path), "non-finite")
    assert problem.message == "3 of 693 values are NaN or infinite"


@pytest.mark.parametrize(("count", "severity"), [(20, "warning"), (9, "error")])
def test_damaged_files_are_left_out(tmp_path: Path, count: int, severity: str) -> None:
    class_folders(tmp_path, {"a": count // 2, "b": count - count // 2})
    (tmp_path / "a" / "0x.png").write_bytes(b"not an image")
    found = inspect_data(tmp_path)
    problem = one(found, "unreadable")
    assert (problem.severity, problem.path) == (severity, "a/0x.png")
    assert (len(found.cases), found.excluded) == (count - 1, ("a/0x.png",))
    assert found.has_errors is (severity == "error")


def test_a_file_cut_short_is_truncated(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 8, "b": 8})
    path = save_png(tmp_path / "a" / "big.png", noise(7, (64, 80)))
    path.write_bytes(path.read_bytes()[:2000])
    found = inspect_data(tmp_path)
    assert one(found, "truncated").path == "a/big.png"
    assert len(found.cases) == 16


def test_images_and_labels_without_partner_are_listed(tmp_path: Path) -> None:
    pairs(tmp_path, 6)
    (tmp_path / "labels" / "3.png").unlink()
    save_png(tmp_path / "labels" / "extra.png", noise(3))
    found = inspect_data(tmp_path)
    assert one(found, "missing-label").path == "images/3.png"
    assert one(found, "missing-image").path == "labels/extra.png"
    assert (len(found.cases), found.excluded) == (5, ("images/3.png",))


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


def test_channels_that_differ(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 4, "b": 4})
    save_png(tmp_path / "a" / "colour.png", noise(50, (7, 9, 3)))
    problem = one(inspect_data(tmp_path), "mixed-channels")
    assert problem.path == "a/colour.png"
    assert problem.message == "the number of channels differs: 1 (8 cases), 3 (1 cases)"


def test_spacing_and_orientation_that_differ(tmp_path: Path) -> None:
    volumes(tmp_path, 4)
    for folder in ("imagesTr", "labelsTr"):
        path = tmp_path / folder / "v_000.nii.gz"
        array = np.asarray(nibabel.load(path).dataobj)
        save_nifti(path, array, np.diag([-1.0, 1.0, 2.5, 1.0]))
    found = inspect_data(tmp_path)
    assert one(found, "mixed-spacing").path == "imagesTr/v_000.nii.gz"
    assert "RAS (3 cases), LAS (1 cases)" in one(found, "mixed-orientation").message
    assert not found.has_errors


def test_an_image_among_volumes_is_left_out(tmp_path: Path) -> None:
    for i, label in enumerate("aabb"):
        save_nifti(tmp_path / label / f"{i}x.nii.gz", noise(i, (7, 9, 11)))
    save_png(tmp_path / "b" / "9x.png", noise(9))
    found = inspect_data(tmp_path)
    assert one(found, "mixed-dimensions").path == "b/9x.png"
    assert len(found.cases) == 4


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


def test_the_task_must_be_what_the_labels_allow(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 2, "b": 2})
    assert inspect_data(tmp_path, task="classify").index.task == "classify"
    with pytest.raises(UsageError, match=r"--task: the data have labels to segment; got labels to"):
        inspect_data(tmp_path, task="segment")
    with pytest.raises(UsageError, match=r"--task: a task that can be trained; got 'segmnt'"):
        inspect_data(tmp_path, task="segmnt")


def test_a_set_without_any_readable_case_is_refused(tmp_path: Path) -> None:
    for i, label in enumerate("aabb"):
        path = tmp_path / label / f"{i}x.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"nothing")
    with pytest.raises(ReadError):
        inspect_data(tmp_path)


def test_label_maps_that_cannot_be_read_at_all_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path, 4)
    for path in (tmp_path / "labels").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(ReadError, match=r"at least one case can be read; got images/0.png: .*more"):
        inspect_data(tmp_path)


def test_a_set_whose_every_case_has_an_error_is_still_described(tmp_path: Path) -> None:
    found = inspect_data(pairs(tmp_path, 4, lambda i: np.zeros((5, 9), np.uint8)))
    assert found.document()["cases"] == 0
    assert codes(found)["shape-mismatch"] == 4
    assert found.statistics.shape_median == (7, 9)


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
