"""V-Rand: written out pixel pair by pixel pair, laws of thinning, and the ISBI 2012 labels."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from convivo.errors import DataError, ShapeError
from convivo.metrics.membranes import (
    best_over_thresholds,
    membrane_metrics,
    thin_borders,
    v_rand,
    v_rand_of_probability,
)

SECTIONS = Path(__file__).parents[3] / "shared/data/isbi2012_em/membrane/train/label"


def flood(mask: np.ndarray) -> np.ndarray:
    """Segments of face neighbours, numbered from 1 by a plain flood fill."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count, todo = count + 1, [start]
        while todo:
            y, x = todo.pop()
            if (
                0 <= y < mask.shape[0]
                and 0 <= x < mask.shape[1]
                and mask[y, x]
                and not labels[y, x]
            ):
                labels[y, x] = count
                todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return labels


def pairwise(truth: np.ndarray, borders: np.ndarray) -> float:
    """Shares of ordered pixel pairs, each pixel with itself included, that are together."""
    i, j = flood(truth)[truth], flood(~borders)[truth]
    same_truth = i[:, None] == i[None]
    lone = -1 - np.arange(len(j))
    apart = np.where(j > 0, j, lone)  # a border pixel is a segment of its own
    same_segment = apart[:, None] == apart[None]
    together = (same_truth & same_segment).sum()
    precision, recall = together / same_segment.sum(), together / same_truth.sum()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(8))
def test_v_rand_equals_counting_pixel_pairs(seed):
    rng = np.random.default_rng(seed)
    truth, borders = rng.random((7, 9)) < 0.7, rng.random((7, 9)) < 0.35
    assert v_rand(truth, borders, thin=False) == pytest.approx(pairwise(truth, borders))
    assert v_rand(truth, borders) == pytest.approx(pairwise(truth, thin_borders(borders)))


def cells(thickness: int) -> np.ndarray:
    """Six cells parted by straight borders: True inside."""
    truth = np.ones((40, 62), bool)
    for start in (20, 41):
        truth[:, start : start + thickness] = False
    truth[18 : 18 + thickness] = False
    return truth


@pytest.mark.parametrize("thickness", [1, 2, 3, 5, 8])
def test_truth_scores_one_against_itself_at_any_thickness(thickness):
    truth = cells(thickness)
    assert v_rand(truth, ~truth) == pytest.approx(1)
    assert flood(~thin_borders(~truth)).max() == 6


def test_thinning_forgives_thick_borders():
    truth, thick = cells(1), ndimage.binary_dilation(~cells(1), iterations=2)
    assert v_rand(truth, thick) > 0.98
    assert v_rand(truth, thick, thin=False) < 0.9


def test_missing_borders_and_borders_everywhere_score_low():
    truth = cells(2)
    merged, split = np.zeros_like(truth), np.ones_like(truth)
    assert v_rand(truth, merged) == pytest.approx(pairwise_of_merger(truth))
    assert v_rand(truth, split) < 0.01


def pairwise_of_merger(truth: np.ndarray) -> float:
    sizes = np.bincount(flood(truth)[truth])[1:]
    precision = (sizes**2).sum() / sizes.sum() ** 2
    return 2 * precision / (1 + precision)


def test_thinning_leaves_lines_alone_and_empty_masks_too():
    line = np.zeros((9, 11), bool)
    line[4] = True
    assert (thin_borders(line) == line).all()
    assert not thin_borders(np.zeros((9, 11), bool)).any()
    assert thin_borders(np.ones((9, 11), bool)).all()


def test_truth_without_cells_has_no_score():
    assert np.isnan(v_rand(np.zeros((5, 6), bool), np.zeros((5, 6), bool)))


def test_probability_is_cut_at_the_threshold():
    truth = cells(2)
    probability = np.where(truth, 0.3, 0.6)
    assert v_rand_of_probability(truth, probability, 0.6) == pytest.approx(1)
    merged = v_rand(truth, np.zeros_like(truth))
    assert v_rand_of_probability(truth, probability, 0.61) == pytest.approx(merged)


def test_best_threshold_is_the_middle_of_the_best_ones():
    truth = cells(2)
    probability = np.where(truth, 0.3, 0.6)
    found = best_over_thresholds([truth, np.zeros_like(truth)], [probability, probability])
    assert found["value"] == pytest.approx(1)
    assert found["threshold"] == 0.5  # 0.35 to 0.6 are equally good
    assert len(found["values"]) == len(found["thresholds"]) == 19


def test_metric_stands_at_the_chosen_threshold_with_the_best_beside_it():
    rng = np.random.default_rng(0)
    truths, maps = [cells(2)] * 6, []
    for k in range(6):
        maps.append(
            np.clip(np.where(cells(2), 0.2, 0.5 + 0.05 * k) + rng.normal(0, 0.05, (40, 62)), 0, 1)
        )
    found = membrane_metrics(truths, maps, list("abcdef"), threshold=0.6)["v_rand"]
    assert found["low"] < found["value"] < found["high"]
    assert found["threshold"] == 0.6
    assert found["best"]["value"] >= found["value"]


def test_sections_without_cells_are_counted():
    truths = [cells(2)] * 4 + [np.zeros((40, 62), bool)]
    found = membrane_metrics(truths, [~t * 1.0 for t in truths], list("abcde"), threshold=0.5)
    assert found["v_rand"]["excluded"] == 1
    assert found["v_rand"]["value"] == pytest.approx(1)


def test_stacks_are_refused():
    stack = np.zeros((7, 9, 11), bool)
    with pytest.raises(ShapeError, match=r"one section \(H, W\) each; truth \(7, 9, 11\)"):
        v_rand(stack, stack)


def test_maps_that_do_not_pair_up_are_refused():
    with pytest.raises(ShapeError, match=r"has its probabilities \(1 sections\); got 0"):
        best_over_thresholds([cells(1)], [])


def test_no_section_with_cells_is_refused():
    empty = np.zeros((5, 6))
    with pytest.raises(DataError, match="one section at least has pixels inside cells"):
        best_over_thresholds([empty], [empty])


@pytest.mark.data
@pytest.mark.skipif(not SECTIONS.is_dir(), reason="the ISBI 2012 sections are not here")
@pytest.mark.parametrize("name", ["0.png", "7.png"])
def test_real_labels_score_one_against_themselves(name):
    from PIL import Image

    with Image.open(SECTIONS / name) as image:
        truth = np.asarray(image) > 127
    assert v_rand(truth, ~truth) == pytest.approx(1, abs=1e-3)
    thick = ndimage.binary_dilation(~truth, iterations=2)
    assert v_rand(truth, thick) > 0.99
    assert v_rand(truth, thick, thin=False) < 0.95
