"""Average precision of objects, against pairs counted by hand and by trying all of them."""

from itertools import permutations

import numpy as np
import pytest

from convivo.errors import ShapeError
from convivo.metrics.objects import hits, object_statistics, overlaps, summarise_objects

from ..numbered_objects import draw_objects


def test_overlaps_are_intersections_over_unions() -> None:
    truth, found = draw_objects(1, (30, 34), 6), draw_objects(2, (30, 34), 5)
    shares = overlaps(3 * truth, found)
    assert shares.shape == (truth.max(), found.max())
    for i, j in np.ndindex(shares.shape):
        mine, theirs = truth == i + 1, found == j + 1
        assert shares[i, j] == pytest.approx((mine & theirs).sum() / (mine | theirs).sum())


def test_a_perfect_answer_under_other_numbers() -> None:
    truth = draw_objects(1, (30, 34), 6)
    found = np.where(truth > 0, 40 - truth, 0)
    case = object_statistics(truth, found)
    assert (case["ap50"], case["ap"], case["count_error"]) == (1.0, 1.0, 0.0)
    assert case["objects"] == case["found"] == truth.max()


def test_misses_and_false_ones_count_alike() -> None:
    truth = np.array([1, 1, 0, 2, 2, 0, 0, 0])
    missed = object_statistics(truth, np.array([1, 1, 0, 0, 0, 0, 0, 0]))
    false = object_statistics(truth, np.array([1, 1, 0, 2, 2, 0, 3, 0]))
    assert missed["ap50"] == 1 / 2
    assert false["ap50"] == pytest.approx(2 / 3)
    assert (missed["count_error"], false["count_error"]) == (0.5, 0.5)


def test_two_joined_objects_are_one_hit_at_most() -> None:
    truth = np.array([1, 1, 1, 1, 2, 2, 0, 0])
    joined = object_statistics(truth, (truth > 0).astype(int))
    assert joined["ap50"] == pytest.approx(1 / 2)  # 4 of 6 samples are the first one's


def test_thresholds_are_reached_at_their_value() -> None:
    shares = np.array([[0.5, 0.0], [0.0, 0.75]])
    assert hits(shares, (0.5, 0.55, 0.75, 0.8)).tolist() == [2, 1, 1, 0]
    assert hits(np.zeros((0, 3)), (0.5,)).tolist() == [0]


def test_at_one_half_no_object_is_used_twice() -> None:
    """Two true objects that share exactly half of a union with the same found one."""
    shares = np.array([[0.5, 0.5], [0.5, 0.0]])
    assert hits(shares, (0.5,)).tolist() == [2]
    rng = np.random.default_rng(0)
    for _ in range(20):
        shares = rng.uniform(0, 1, (4, 4)).round(1)
        best = max(
            sum(shares[i, p] >= 0.5 for i, p in enumerate(o)) for o in permutations(range(4))
        )
        assert hits(shares, (0.5,))[0] == best


def test_empty_cases() -> None:
    none, one = np.zeros((4, 5), int), np.eye(4, 5, dtype=int)
    assert np.isnan(object_statistics(none, none)["ap50"])
    assert object_statistics(none, one)["ap50"] == 0
    assert object_statistics(one, none) == {
        "ap50": 0.0, "ap": 0.0, "objects": 1, "found": 0, "count_error": 1.0,
    }  # fmt: skip


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"one shape; truth \(4,\); got \(5,\)"):
        overlaps(np.zeros(4, int), np.zeros(5, int))


def test_means_over_cases_and_intervals_over_units() -> None:
    rows = [
        object_statistics(t, f)
        for t, f in [
            (draw_objects(i, (30, 34), 6), draw_objects(i + i % 3, (30, 34), 6)) for i in range(9)
        ]
    ]
    rows.append(object_statistics(np.zeros((3, 3), int), np.zeros((3, 3), int)))
    found = summarise_objects(rows, [str(i // 2) for i in range(10)], seed=1)
    assert found["ap50"]["value"] == pytest.approx(np.mean([r["ap50"] for r in rows[:9]]))
    assert found["ap50"]["low"] < found["ap50"]["value"] < found["ap50"]["high"]
    assert found["ap50"]["excluded"] == 1
    assert found == summarise_objects(rows, [str(i // 2) for i in range(10)], seed=1)
