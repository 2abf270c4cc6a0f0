"""Label maps that number objects: found out or asked for, read, counted, refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from convivo.arrays.objects import pieces
from convivo.arrays.preparation import Preparation
from convivo.data.inspection import Inspection, inspect_data
from convivo.data.readers import read_labels
from convivo.data.store import build_store
from convivo.errors import ConfigError, DataError

from ..numbered_objects import draw_image, draw_objects, make_maps, make_mask_files, save


def targets(found: Inspection) -> list[np.ndarray]:
    return [np.asarray(found.load(case).target) for case in found.cases]


def maps_of(folder: Path, count: int, make, dims: int = 2) -> Path:
    for number in range(count):
        labels = make(number)
        save(folder / "images", f"a{number:02d}x", draw_image(number, labels), dims)
        save(folder / "labels", f"a{number:02d}x", labels, dims)
    return folder


def test_a_mask_file_per_object_keeps_objects_apart(tmp_path: Path) -> None:
    found = inspect_data(make_mask_files(tmp_path / "d", count=4))
    wanted = [draw_objects(n, (40, 52), 4 + n % 4) for n in range(4)]
    assert [t.tolist() for t in targets(found)] == [w.tolist() for w in wanted]
    sizes = [n for w in wanted for n in np.bincount(w.ravel())[1:]]
    assert found.document()["instances"] == {
        "from": "files", "count": len(sizes), "median_size": float(np.median(sizes)),
    }  # fmt: skip
    rows = {row["name"]: row for row in found.document()["classes"]}
    assert rows["1"]["pixels"] == sum(sizes)
    assert rows["background"]["count"] == 4


def test_as_classes_when_asked(tmp_path: Path) -> None:
    found = inspect_data(make_mask_files(tmp_path / "d", count=3), instances=False)
    assert found.document()["instances"] is None
    assert all(set(np.unique(t)) == {0, 1} for t in targets(found))


def test_where_masks_overlap_the_first_stays(tmp_path: Path) -> None:
    for name, part in (("m1", slice(0, 4)), ("m2", slice(2, 6))):
        mask = np.zeros((3, 8), np.uint8)
        mask[:, part] = 255
        save(tmp_path / "masks", name, mask, 2)
    assert read_labels(tmp_path / "masks", numbered=True)[0].tolist() == [1, 1, 1, 1, 2, 2, 0, 0]
    assert read_labels(tmp_path / "masks")[0].tolist() == [1, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_numbers_from_one_on_are_objects_of_themselves(dims: int, tmp_path: Path) -> None:
    """Over 20 of them, a different last one in each map, each connected."""
    shape = {1: (700,), 2: (80, 90), 3: (34, 36, 38)}[dims]

    def make(number: int) -> np.ndarray:
        return draw_objects(number, shape, 22 + 3 * number).astype(np.uint16)

    found = inspect_data(maps_of(tmp_path / "d", 4, make, dims))
    assert found.document()["instances"]["from"] == "values"
    assert found.index.classes == ("background", "1")
    assert not [p for p in found.problems if "label" in p.code]
    assert targets(found)[1].tolist() == make(1).tolist()
    assert found.object_sizes[found.cases[0].id] == tuple(np.bincount(make(0).ravel())[1:])


def test_maps_with_one_last_number_are_classes(tmp_path: Path) -> None:
    """An atlas has the same regions in every map."""
    atlas = draw_objects(5, (90, 90), 40).astype(np.uint8)
    found = inspect_data(maps_of(tmp_path / "d", 3, lambda n: np.roll(atlas, n, 0)))
    assert found.document()["instances"] is None
    assert "unnamed-labels" in {p.code for p in found.problems}


def test_scattered_values_are_no_objects(tmp_path: Path) -> None:
    def make(number: int) -> np.ndarray:
        rng = np.random.default_rng(number)
        return rng.integers(0, 24 + number, (50, 50)).astype(np.uint8)

    assert inspect_data(maps_of(tmp_path / "d", 3, make)).document()["instances"] is None


def test_a_few_numbers_are_objects_when_asked(tmp_path: Path) -> None:
    make_maps(tmp_path / "d", 2, count=4)
    assert inspect_data(tmp_path / "d").document()["instances"] is None
    found = inspect_data(tmp_path / "d", instances=True)
    assert found.document()["instances"]["from"] == "values"
    assert [t.max() for t in targets(found)] == [3, 4, 5, 6]


def test_gaps_in_the_numbers_close_when_read(tmp_path: Path) -> None:
    def make(number: int) -> np.ndarray:
        return (37 * draw_objects(number, (40, 52), 4)).astype(np.uint16)

    found = inspect_data(maps_of(tmp_path / "d", 3, make), instances=True)
    assert not found.has_errors
    assert targets(found)[0].tolist() == (make(0) // 37).tolist()


@pytest.mark.parametrize("value", [1, 255])
def test_pieces_of_a_mask_are_objects_when_asked(value: int, tmp_path: Path) -> None:
    def make(number: int) -> np.ndarray:
        return (value * (draw_objects(number, (40, 52), 4) > 0)).astype(np.uint8)

    found = inspect_data(maps_of(tmp_path / "d", 3, make), instances=True)
    assert found.document()["instances"] == {"from": "pieces", "count": None, "median_size": None}
    assert [t.tolist() for t in targets(found)] == [pieces(make(n) > 0).tolist() for n in range(3)]


def test_objects_of_several_named_classes_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    for name in ("imagesTr", "labelsTr"):
        save(folder / name, "a", draw_objects(1, (40, 52), 2).astype(np.uint8), 2)
    labels = {"0": "background", "1": "healthy", "2": "infected"}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "modality": {"0": "x"}}))
    with pytest.raises(ConfigError, match=r"objects of one class .* got classes background, heal"):
        inspect_data(folder, instances=True)


def test_objects_need_label_maps(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(3):
            image = draw_image(number + 9 * (name == "a"), np.zeros((9, 11), int))
            save(tmp_path / "d" / name, f"{number}x", image, 2)
    with pytest.raises(ConfigError, match="a setting to segment; got to classify"):
        inspect_data(tmp_path / "d", instances=True)


def test_negative_numbers_are_no_objects(tmp_path: Path) -> None:
    def make(number: int) -> np.ndarray:
        labels = draw_objects(number, (60,), 3).astype(np.int16)
        labels[:2] = -1 if number == 1 else labels[:2]
        return labels

    found = inspect_data(maps_of(tmp_path / "d", 3, make, 1), instances=True)
    assert [p.code for p in found.problems if p.severity == "error"] == ["label-out-of-range"]
    bad = next(case for case in found.index.cases if case.id.endswith("a01x.npy"))
    with pytest.raises(DataError, match="objects are numbered from 1 on; got -1"):
        found.load(bad)


def test_a_store_keeps_numbers_and_places_of_all_objects_together(tmp_path: Path) -> None:
    found = inspect_data(make_mask_files(tmp_path / "d", count=3))
    cases = {case.id: case for case in found.cases}
    seen = Preparation(spatial_dims=2, channels=1)
    store = build_store(lambda i: found.load(cases[i]), list(cases), seen, objects=True)
    for target, places in zip(store.targets, store.places, strict=True):
        assert target.max() > 2
        assert list(places) == [1]
        assert places[1].tolist() == np.flatnonzero(target > 0).tolist()
