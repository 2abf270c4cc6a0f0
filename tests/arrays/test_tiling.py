import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.arrays.tile_grid import blend_weights, tile_starts
from convivo.arrays.tiling import even_tile, predict_tiled, tile_of
from convivo.errors import ShapeError

CASES = [
    ((50,), (16,)),
    ((5,), (16,)),
    ((1,), (8,)),
    ((7, 9), (4, 4)),
    ((3, 29), (8, 6)),
    ((7, 9, 11), (4, 5, 6)),
    ((3, 9, 11), (8, 4, 16)),
    ((8, 8, 8), (8, 8, 8)),
]


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("shape", "tile"), CASES)
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
def test_identity_returns_the_image(shape, tile, overlap):
    image = noise((2, *shape))
    result = predict_tiled(image, lambda x: x, tile=tile, overlap=overlap, batch=3)
    assert result.dtype == np.float32
    assert result.shape == image.shape
    np.testing.assert_allclose(result, image, atol=1e-6, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_identity_returns_images_of_any_shape(data):
    dims = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 20)) for _ in range(dims))
    tile = tuple(data.draw(st.integers(1, 12)) for _ in range(dims))
    overlap = data.draw(st.floats(0, 0.75))
    image = noise((1, *shape))
    result = predict_tiled(image, lambda x: x, tile=tile, overlap=overlap, batch=4)
    np.testing.assert_allclose(result, image, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize(("shape", "tile"), CASES)
def test_the_network_sees_only_full_tiles_in_batches(shape, tile):
    sizes = []

    def predict(x):
        sizes.append(x.shape)
        return np.concatenate([x, x, x], axis=1)

    result = predict_tiled(noise((1, *shape)), predict, tile=tile, batch=3)
    assert result.shape == (3, *shape)
    assert {s[1:] for s in sizes} == {(1, *tile)}
    assert all(s[0] == 3 for s in sizes[:-1])


def test_with_a_multiple_the_tile_shrinks_to_the_image():
    shapes = set()

    def predict(x):
        shapes.add(x.shape[2:])
        return x

    image = noise((1, 35, 51, 36))
    result = predict_tiled(image, predict, tile=(64, 48, 64), multiple=(8, 8, 8), batch=2)
    assert shapes == {(40, 48, 40)}
    np.testing.assert_allclose(result, image, atol=1e-6, rtol=1e-6)


def test_result_is_the_weighted_mean_of_the_tiles():
    shape, tile = (13, 17), (6, 8)
    starts = tile_starts(shape, tile, 0.5)
    weights = blend_weights(tile).astype(np.float64)
    answers = noise((len(starts), 1, *tile), seed=1)
    total, norm = np.zeros(shape), np.zeros(shape)
    for (a, b), answer in zip(starts, answers, strict=True):
        place = slice(a, a + tile[0]), slice(b, b + tile[1])
        total[place] += weights * answer[0]
        norm[place] += weights
    rows = iter(answers)
    result = predict_tiled(noise((1, *shape)), lambda x: next(rows)[None], tile=tile, overlap=0.5)
    np.testing.assert_allclose(result[0], total / norm, atol=1e-5)


@pytest.mark.parametrize(("shape", "tile"), [((50,), (16,)), ((7, 30), (4, 9))])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.9])
def test_tiles_cover_everything_with_the_overlap_asked_for(shape, tile, overlap):
    starts = np.array(tile_starts(shape, tile, overlap))
    for axis, (n, t) in enumerate(zip(shape, tile, strict=True)):
        row = np.unique(starts[:, axis])
        assert row[0] == 0
        assert row[-1] == n - t
        assert np.diff(row).max() <= max(1, np.ceil(t * (1 - overlap)))


@pytest.mark.parametrize("tile", [(1,), (16,), (4, 7), (5, 6, 7)])
def test_weights_are_positive_symmetric_and_highest_inside(tile):
    weights = blend_weights(tile)
    assert weights.shape == tile
    assert weights.dtype == np.float32
    assert weights.min() > 0
    assert np.array_equal(weights, np.flip(weights))
    assert weights.argmax() != 0 or weights.size == 1


def test_wrong_requests_are_refused_by_rule():
    image = noise((1, 7, 9))
    with pytest.raises(ShapeError, match=r"overlap lies in \[0, 1\); got 1"):
        predict_tiled(image, lambda x: x, tile=(4, 4), overlap=1)
    with pytest.raises(ShapeError, match=r"one tile size per spatial axis \(2\)"):
        predict_tiled(image, lambda x: x, tile=(4,))
    with pytest.raises(ShapeError, match=r"predict returns \(1, K, 4, 4\)"):
        predict_tiled(image, lambda x: x[..., 1:], tile=(4, 4))
    with pytest.raises(ShapeError, match=r"a tile fits into the image \(7, 9\), axis by axis"):
        tile_starts((7, 9), (8, 8))


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, pytest.param(0.75, marks=pytest.mark.slow)])
def test_even_tiles_are_no_more_and_no_larger(overlap):
    rng = np.random.default_rng(2)
    for _ in range(200):
        dims = int(rng.integers(1, 4))
        step = [int(2 ** rng.integers(0, 5)) for _ in range(dims)]
        tile = [s * int(rng.integers(1, 9)) for s in step]
        shape = [int(rng.integers(1, 400)) for _ in range(dims)]
        most = tile_of(shape, tile, step)
        even = even_tile(shape, tile, step, overlap)
        assert all(e <= m and e % s == 0 for e, m, s in zip(even, most, step, strict=True))
        grids = [[max(pair) for pair in zip(shape, sizes, strict=True)] for sizes in (most, even)]
        counts = [
            len(tile_starts(g, sizes, overlap))
            for g, sizes in zip(grids, (most, even), strict=True)
        ]
        assert counts[1] <= counts[0]
