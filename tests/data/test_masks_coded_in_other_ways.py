"""Masks as people save them: grey levels with strays, 1 bit, palette, colours, floats near 1."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import inspect_data
from convivo.data.readers import read_labels
from convivo.data.readers.labels import colour_name
from convivo.data.strays import find_strays
from convivo.errors import ReadError

BLOB = np.zeros((40, 50), bool)
BLOB[10:30, 5:40] = True


def data_set(root: Path, masks: list[np.ndarray | Image.Image], suffix: str = ".png") -> Path:
    rng = np.random.default_rng(1)
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for number, mask in enumerate(masks):
        image = rng.integers(0, 255, BLOB.shape, dtype=np.uint8)
        Image.fromarray(image).save(root / f"images/{number}.png")
        made = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
        made.save(root / f"labels/{number}{suffix}")
    return root


def codes(found) -> set[str]:
    return {p.code for p in found.problems} - {"subjects-unknown"}


def target(found) -> np.ndarray:
    return found.load(found.cases[0]).target


@pytest.mark.parametrize(
    ("mask", "classes"),
    [
        (np.where(BLOB, 255, 0).astype(np.uint8), ("0", "255")),
        (Image.fromarray(BLOB), ("background", "1")),
        (np.dstack([np.where(BLOB, 255, 0).astype(np.uint8)] * 3), ("0", "255")),
    ],
)
def test_two_classes_whatever_their_code(tmp_path, mask, classes):
    found = inspect_data(data_set(tmp_path, [mask] * 3))
    assert (found.index.classes, codes(found)) == (classes, set())
    np.testing.assert_array_equal(target(found), BLOB)


def test_strays_count_as_their_nearest_class_and_are_told(tmp_path):
    mask = np.where(BLOB, 255, 0).astype(np.uint8)
    mask[15:20, 10:20] = 127
    odd = mask.copy()
    odd[0, :3], odd[15, 10], odd[29, 5] = 2, 131, 250
    found = inspect_data(data_set(tmp_path, [odd, mask, mask]))
    assert found.index.classes == ("background", "127", "255")
    assert codes(found) == {"stray-labels"}
    (told,) = (p for p in found.problems if p.code == "stray-labels")
    assert told.message == (
        "5 positions of the label maps hold 2, 131, 250: each counts as the nearest of 0, 127, 255"
    )
    expected = np.where(BLOB, 2, 0)
    expected[15:20, 10:20] = 1
    np.testing.assert_array_equal(target(found), expected)
    assert found.pixel_counts[found.cases[0].id] == tuple(np.bincount(expected.flat).tolist())


def test_lossy_masks_of_two_classes(tmp_path):
    mask = np.where(BLOB, 255, 0).astype(np.uint8)
    found = inspect_data(data_set(tmp_path, [mask] * 3, ".jpg"))
    assert (found.index.classes, codes(found)) == (("0", "255"), {"stray-labels"})
    assert (target(found) != BLOB).mean() < 0.01


@pytest.mark.parametrize(
    "counts",
    [
        {0: 9000, 1: 500, 2: 3},  # class numbers, one of them rare
        {0: 9000, 255: 3},  # a rare class far from the other
        {0: 9000, 127: 500, 255: 4},
        {0: 8000, 2: 600, 3: 590, 41: 600, 42: 580},  # an atlas
        {0: 5000, 100: 2000, 101: 1500},
        dict.fromkeys(range(256), 100),  # a photograph
        {0: 5000, 255: 4000, -1: 9},
        {0: 5000, 1000: 400, 999: 1},
        {},
    ],
)
def test_what_are_no_strays(counts):
    assert find_strays(counts) == {}


def test_colours_are_classes_and_grey_pixels_keep_their_value(tmp_path):
    mask = np.zeros((*BLOB.shape, 3), np.uint8)
    mask[BLOB] = (255, 0, 0)
    mask[:5] = 255
    found = inspect_data(data_set(tmp_path, [mask] * 3))
    assert found.index.classes == ("background", "255", "#ff0000")
    assert codes(found) == set()
    assert target(found)[20, 20] == 2
    assert target(found)[0, 0] == 1
    assert colour_name(int(read_labels(tmp_path / "labels/0.png").max())) == "#ff0000"


def test_a_photograph_is_no_mask_in_colours(tmp_path):
    photo = np.random.default_rng(2).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    found = inspect_data(data_set(tmp_path, [photo] * 3))
    assert "label-out-of-range" in codes(found)


def test_a_palette_gives_its_indices(tmp_path):
    mask = Image.fromarray(np.where(BLOB, 2, 0).astype(np.uint8))
    mask = mask.convert("P")
    mask.putpalette([0, 0, 0, 9, 9, 9, 200, 30, 30])
    found = inspect_data(data_set(tmp_path, [mask] * 3))
    assert found.index.label_values == tuple(np.unique(np.array(mask)).tolist())
    np.testing.assert_array_equal(target(found), BLOB)


def test_floats_near_whole_numbers_are_classes(tmp_path):
    np.save(tmp_path / "m.npy", np.where(BLOB, 0.9999, 0.0001))
    np.testing.assert_array_equal(read_labels(tmp_path / "m.npy"), BLOB)
    np.save(tmp_path / "p.npy", np.where(BLOB, 0.99, 0.0))
    with pytest.raises(ReadError, match=r"labels are whole numbers; got 0\.99"):
        read_labels(tmp_path / "p.npy")
