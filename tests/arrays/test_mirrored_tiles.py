"""Overlap tiles with mirrored borders: every position once, from what lies around it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.arrays.mirrored_tiles import covering_tile, mirrored, predict_mirrored
from convivo.errors import ShapeError


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def middle(x, margin):
    return x[(..., *[slice(m, n - m) for m, n in zip(margin, x.shape[2:], strict=True)])]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_piece_is_that_of_the_image_padded_by_reflection(data):
    dims = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 7)) for _ in range(dims))
    start = tuple(data.draw(st.integers(-15, n + 8)) for n in shape)
    size = tuple(data.draw(st.integers(1, 12)) for _ in range(dims))
    image = noise((2, *shape))
    padded = np.pad(image, [(0, 0), *[(30, 30)] * dims], mode="reflect")
    place = tuple(slice(30 + a, 30 + a + n) for a, n in zip(start, size, strict=True))
    assert np.array_equal(mirrored(image, start, size), padded[(slice(None), *place)])


def test_a_piece_inside_is_not_copied():
    image = noise((2, 7, 9, 11))
    assert np.shares_memory(mirrored(image, (1, 0, 3), (6, 9, 4)), image)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_cutting_the_margin_off_gives_the_image_back(data):
    dims = data.draw(st.integers(1, 3))
    margin = tuple(data.draw(st.integers(0, 5)) for _ in range(dims))
    shape = tuple(data.draw(st.integers(1, 25)) for _ in range(dims))
    tile = tuple(2 * m + data.draw(st.integers(1, 9)) for m in margin)
    step = tuple(data.draw(st.integers(1, 5)) for _ in range(dims))
    image = noise((2, *shape))
    found = predict_mirrored(
        image, lambda x: middle(x, margin), tile=tile, margin=margin, step=step, batch=3
    )
    assert found.dtype == np.float32
    assert np.array_equal(found, image)


@pytest.mark.parametrize("shape", [(50,), (23, 38), (9, 21, 30)])
def test_tiles_keep_their_batch_and_lie_whole_steps_apart(shape):
    dims, seen = len(shape), []
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)

    def predict(x):
        seen.append(x)
        return middle(x, (6,) * dims)

    predict_mirrored(places, predict, tile=(22,) * dims, margin=(6,) * dims, step=(4,) * dims,
                     batch=3)  # fmt: skip
    assert all(len(x) == 3 for x in seen[:-1])
    assert len(seen[-1]) <= 3
    for x in seen:
        corners = middle(x, (6,) * dims)[(slice(None), slice(None), *[0] * dims)]
        assert not (corners % 4).any()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5,), 17), ((6,), 18), ((7,), 22), ((10,), 22), ((500,), 22)],
)
def test_a_tile_is_no_larger_than_the_image_needs(shape, expected):
    sizes = set()

    def predict(x):
        sizes.add(x.shape[2])
        return middle(x, (6,))

    tile = 21 if expected == 17 else 22
    predict_mirrored(noise((1, *shape)), predict, tile=(tile,), margin=(6,), step=(4,))
    assert sizes == {expected}


def test_an_answer_shorter_than_a_step_makes_the_tile_grow():
    sizes = set()

    def predict(x):
        sizes.add(x.shape[2:])
        return middle(x, (92, 92))

    image = noise((1, 70, 30))
    found = predict_mirrored(image, predict, tile=(188, 188), margin=(92, 92), step=(16, 16))
    assert sizes == {(204, 204)}
    assert np.array_equal(found, image)


def test_a_covering_tile_is_the_smallest_one():
    assert covering_tile((388, 389), (188, 188), (92, 92), (16, 16)) == (572, 588)


def test_wrong_requests_are_refused_by_rule():
    image = noise((1, 7, 9))
    with pytest.raises(ShapeError, match=r"a number per spatial axis \(2\); got \(8,\), \(1, 1\)"):
        predict_mirrored(image, lambda x: x, tile=(8,), margin=(1, 1))
    with pytest.raises(ShapeError, match=r"larger than its two margins of \(2, 4\); got \(8, 8\)"):
        predict_mirrored(image, lambda x: x, tile=(8, 8), margin=(2, 4))
    with pytest.raises(ShapeError, match=r"predict returns \(1, K, 7, 9\); got \(1, 1, 11, 13\)"):
        predict_mirrored(image, lambda x: x, tile=(11, 13), margin=(2, 2))
    with pytest.raises(ShapeError, match=r"an image with samples; got \(1, 0, 9\)"):
        predict_mirrored(image[:, :0], lambda x: x, tile=(8, 8), margin=(1, 1))
