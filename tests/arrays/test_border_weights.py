"""The U-Net's weight map, against its definition spelt out sample by sample."""

import numpy as np
import pytest
from scipy.ndimage import label

from convivo.arrays.border_weights import REACH, border_weights, class_balance
from convivo.errors import ShapeError, UsageError

SHAPES = [(23,), (17, 21), (9, 11, 13)]


def cells(shape, seed=0, count=6, classes=3):
    """Blocks that touch, overlap, lie apart and hang over the rim."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int64)
    for _ in range(count):
        place = [int(rng.integers(-1, n - 1)) for n in shape]
        cut = tuple(slice(max(0, a), a + int(rng.integers(2, 6))) for a in place)
        labels[cut] = rng.integers(1, classes)
    return labels


def borders(instances):
    """Cell by cell, the samples that have a face neighbour outside of the cell."""
    found = {}
    for where in np.argwhere(instances):
        cell = instances[tuple(where)]
        for axis in range(instances.ndim):
            for way in (-1, 1):
                beside = where.copy()
                beside[axis] += way
                inside = 0 <= beside[axis] < instances.shape[axis]
                if inside and instances[tuple(beside)] != cell:
                    found.setdefault(int(cell), set()).add(tuple(where))
    return found


def definition(labels, instances, w0, sigma, spacing):
    result = np.empty(labels.shape)
    edges = [np.array(sorted(places)) for places in borders(instances).values()]
    names, counts = np.unique(labels, return_counts=True)
    for where in np.ndindex(labels.shape):
        count = counts[names == labels[where]].item()
        result[where] = labels.size / (len(names) * count)
        lengths = [np.linalg.norm((e - where) * spacing, axis=1).min() for e in edges]
        if len(lengths) > 1:
            result[where] += w0 * np.exp(-(sum(sorted(lengths)[:2]) ** 2) / (2 * sigma**2))
    return result


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("spaced", [False, True])
def test_weights_are_those_of_the_definition(shape, seed, spaced):
    labels = cells(shape, seed)
    spacing = (3.0, 0.5, 1.25)[: len(shape)] if spaced else None
    found = border_weights(labels, w0=10.0, sigma=1.5, spacing=spacing)
    expected = definition(
        labels, label(labels > 0)[0], 10.0, 1.5, np.array(spacing or (1.0,) * len(shape))
    )
    assert found.dtype == np.float32
    cut_off = 10.0 * np.exp(-(REACH**2) / 2)
    np.testing.assert_allclose(found, expected, atol=1.1 * cut_off, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_touching_cells_that_are_told_apart_weigh_most_where_they_meet(shape):
    """The names of the cells do not matter, and need not be without gaps."""
    labels = cells(shape, seed=3)
    instances = np.where(labels > 0, 700 * labels, 0)
    found = border_weights(labels, sigma=2.0, instances=instances)
    ones = np.ones(len(shape))
    np.testing.assert_allclose(found, definition(labels, instances, 10.0, 2.0, ones), rtol=1e-3)
    meeting = border_weights(
        np.ones(8, int), w0=10.0, sigma=5.0, instances=np.array([1, 1, 1, 1, 2, 2, 2, 2])
    )
    assert meeting.argmax() in (3, 4)
    assert meeting.max() == pytest.approx(1 + 10 * np.exp(-1 / 50), rel=1e-6)


def test_the_paper_s_numbers_in_a_gap_of_one_pixel():
    labels = np.ones((31, 41), int)
    labels[:, 20] = 0
    found = border_weights(labels, w0=10.0, sigma=5.0)
    balance = labels.size / (2 * 31)
    assert found[15, 20] == pytest.approx(balance + 10 * np.exp(-4 / 50), rel=1e-6)


@pytest.mark.parametrize("labels", [np.zeros((7, 9), int), np.ones((7, 9), int)])
def test_one_class_alone_weighs_one(labels):
    assert np.array_equal(border_weights(labels), np.ones((7, 9), np.float32))


def test_a_single_cell_has_no_gap():
    labels = np.zeros((30, 30), int)
    labels[5:20, 5:20] = 1
    np.testing.assert_allclose(border_weights(labels), class_balance(labels), rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_classes_weigh_alike_and_one_on_average(shape):
    labels = cells(shape, seed=4)
    weights = class_balance(labels)
    sums = [weights[labels == c].sum() for c in np.unique(labels)]
    assert weights.mean() == pytest.approx(1)
    assert sums == pytest.approx([sums[0]] * len(sums))
    np.testing.assert_allclose(border_weights(labels, w0=0.0), weights, rtol=1e-6)


def test_wrong_requests_are_refused_by_rule():
    labels = np.zeros((7, 9), int)
    with pytest.raises(UsageError, match=r"w0 is zero or more and sigma is positive; got w0=-1"):
        border_weights(labels, w0=-1.0)
    with pytest.raises(UsageError, match=r"sigma is positive; got w0=10.0, sigma=0"):
        border_weights(labels, sigma=0.0)
    with pytest.raises(ShapeError, match=r"one positive spacing per axis \(2\); got \(1.0,\)"):
        border_weights(labels, spacing=(1.0,))
    with pytest.raises(ShapeError, match=r"instances are \(7, 9\) integers, .* shape \(7, 8\)"):
        border_weights(labels, instances=np.zeros((7, 8), int))
    with pytest.raises(ShapeError, match=r"0 where there is no cell; got .* smallest -1"):
        border_weights(labels, instances=labels - 1)
