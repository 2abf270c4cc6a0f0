"""Overlap and distances against brute force over all element pairs, in 1D, 2D and 3D."""

import numpy as np
import pytest

from convivo.errors import DataError, ShapeError
from convivo.metrics.segmentation import METRICS, case_statistics, summarise
from convivo.metrics.surfaces import _by_map, _by_tree, outline, surface_distances

SHAPES = {1: (41,), 2: (9, 11), 3: (7, 9, 11)}
SPACINGS = {1: (0.5,), 2: (0.7, 1.3), 3: (0.8, 1.0, 2.5)}


def blobs(dims: int, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=SHAPES[dims])
    return truth, np.where(rng.random(SHAPES[dims]) < 0.3, rng.integers(classes), truth)


def brute_outline(mask: np.ndarray) -> np.ndarray:
    points = []
    for place in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                near = place.copy()
                near[axis] += step
                inside = 0 <= near[axis] < mask.shape[axis]
                if not inside or not mask[tuple(near)]:
                    points.append(tuple(place))
    return np.array(sorted(set(points)))


def brute_distances(truth: np.ndarray, prediction: np.ndarray, spacing) -> tuple:
    a, b = (brute_outline(m) * np.array(spacing) for m in (truth, prediction))
    table = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))
    return table.min(axis=1), table.min(axis=0)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_every_metric_equals_brute_force(dims):
    truth, prediction = blobs(dims)
    spacing, tolerance = SPACINGS[dims], 0.75
    found = case_statistics(truth, prediction, num_classes=3, spacing=spacing, tolerance=tolerance)
    for c in (1, 2):
        a, b = truth == c, prediction == c
        from_a, from_b = brute_distances(a, b, spacing)
        both = np.concatenate([from_a, from_b])
        assert found[c]["dice"] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
        assert found[c]["iou"] == pytest.approx((a & b).sum() / (a | b).sum())
        assert found[c]["volume_error"] == pytest.approx(abs(b.sum() - a.sum()) / a.sum())
        expected = max(np.percentile(from_a, 95), np.percentile(from_b, 95))
        assert found[c]["hd95"] == pytest.approx(expected)
        assert found[c]["nsd"] == pytest.approx((both <= tolerance).mean())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_search_tree_and_distance_map_agree(dims):
    truth, prediction = (outline(m == 1) for m in blobs(dims, seed=4))
    one = _by_map(truth, prediction, SPACINGS[dims])
    assert one == pytest.approx(_by_tree(truth, prediction, SPACINGS[dims]))


def test_shifted_box_is_as_far_as_its_shift_in_millimetres():
    truth = np.zeros((20, 24, 28), np.uint8)
    truth[4:9, 5:12, 6:14] = 1
    prediction = np.roll(truth, 3, axis=2)
    found = case_statistics(truth, prediction, num_classes=2, spacing=(1, 1, 2.5), tolerance=8)
    assert found[1]["hd95"] == pytest.approx(7.5)
    assert found[1]["nsd"] == 1


def test_distances_use_the_spacing_of_the_right_axis():
    truth = np.zeros((7, 9, 11), bool)
    truth[1, 2, 3] = True
    steps = []
    for axis in range(3):
        moved = np.roll(truth, 2, axis=axis)
        steps.append(surface_distances(truth, moved, (0.5, 1, 3)).hd95())
    assert steps == [1, 2, 6]


def test_both_empty_says_nothing():
    found = case_statistics(np.zeros((5, 6), int), np.zeros((5, 6), int), num_classes=2)
    assert set(found[1]) == set(METRICS)
    assert all(np.isnan(value) for value in found[1].values())


@pytest.mark.parametrize("missing", ["truth", "prediction"])
def test_one_empty_has_dice_zero_and_no_distance(missing):
    mask, empty = np.eye(6, dtype=int), np.zeros((6, 6), int)
    pair = (empty, mask) if missing == "truth" else (mask, empty)
    found = case_statistics(*pair, num_classes=2)[1]
    assert (found["dice"], found["iou"]) == (0, 0)
    assert np.isnan(found["hd95"])
    assert np.isnan(found["nsd"])
    if missing == "truth":
        assert np.isnan(found["volume_error"])
    else:
        assert found["volume_error"] == 1


def test_mask_at_the_edge_has_its_outline_there():
    assert outline(np.ones((4, 5), bool)).sum() == 14


def cases_of(values: list[list[float]]) -> list[dict]:
    return [{c + 1: dict.fromkeys(METRICS, v) for c, v in enumerate(row)} for row in values]


def test_mean_is_over_cases_then_over_classes():
    nan = float("nan")
    rows = [[0.8, 0.4], [0.9, nan], [0.7, nan], [0.6, 0.5], [0.8, 0.9]]
    found = summarise(
        cases_of(rows), np.arange(5), ["background", "liver", "tumour"], spacing_unit="mm",
        tolerance=1.5,
    )  # fmt: skip
    assert found["dice.liver"]["value"] == pytest.approx(0.76)
    assert found["dice.tumour"]["value"] == pytest.approx(0.6)
    assert found["dice"]["value"] == pytest.approx(0.68)
    assert found["dice.tumour"]["excluded"] == 2
    assert found["dice"]["excluded"] == 2
    assert "excluded" not in found["dice.liver"]
    assert found["dice"]["classes"] == ["liver", "tumour"]
    assert found["hd95"]["unit"] == found["nsd"]["unit"] == found["hd95.liver"]["unit"] == "mm"
    assert found["nsd.tumour"]["tolerance"] == 1.5
    assert found["dice.liver"]["low"] < 0.76 < found["dice.liver"]["high"]


def test_two_label_values_are_named_by_value():
    truth = np.zeros((7, 9), int)
    truth[2:5, 3:7] = 1
    cases = [case_statistics(truth, np.roll(truth, k, 0), num_classes=2) for k in range(4)]
    found = summarise(cases, list("abcd"), ("0", "255"))
    assert found["dice.255"]["value"] == found["dice"]["value"]
    assert "dice.0" not in found


def test_class_in_no_case_is_left_out_of_the_mean():
    nan = float("nan")
    found = summarise(cases_of([[0.5, nan]] * 4), list("abcd"), ["bg", "a", "b"])
    assert found["dice.b"] == {"value": None, "low": None, "high": None, "excluded": 4}
    assert found["dice"]["value"] == 0.5
    assert found["dice"]["classes"] == ["a"]


def test_intervals_are_over_units_not_cases():
    rng = np.random.default_rng(0)
    values = [[v] for v in np.repeat(rng.uniform(0.5, 0.9, 8), 6)]
    cases = summarise(cases_of(values), np.arange(48), ["bg", "a"])["dice"]
    units = summarise(cases_of(values), np.repeat(np.arange(8), 6), ["bg", "a"])["dice"]
    assert units["high"] - units["low"] > 1.8 * (cases["high"] - cases["low"])


def test_shapes_that_differ_are_refused():
    with pytest.raises(ShapeError, match=r"have one shape; truth \(4, 5\); got \(5, 4\)"):
        case_statistics(np.zeros((4, 5), int), np.zeros((5, 4), int), num_classes=2)


def test_spacing_of_another_length_is_refused():
    labels = np.zeros((4, 5), int)
    with pytest.raises(ShapeError, match=r"one positive number per axis \(2\); got \(1.0,\)"):
        case_statistics(labels, labels, num_classes=2, spacing=(1,))


def test_stored_values_instead_of_classes_are_refused():
    labels = np.full((4, 5), 255, np.uint8)
    with pytest.raises(DataError, match="whole numbers from 0 to 1; got uint8 up to 255"):
        case_statistics(labels, labels, num_classes=2)
    with pytest.raises(DataError, match="got float64 up to"):
        case_statistics(np.zeros((4, 5)), np.zeros((4, 5)), num_classes=2)
