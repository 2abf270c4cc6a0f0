"""Arrays on disk are indexed like NumPy's, and only what is asked for is read."""

import numpy as np
import pytest

from convivo.data.store import series
from convivo.data.store.foreground import MOST_PLACES, class_places
from convivo.data.store.layout import chunk_of, shard_of, shard_rows, together
from convivo.data.store.series import Piecewise, Recent

ARRAY = np.arange(7 * 9 * 11).reshape(7, 9, 11)
KEYS = [
    ..., 0, -1, slice(2, 5), (0, slice(3, 4)), (..., 4), (slice(None), 2, slice(-3, None)),
    (slice(5, 2), slice(None)), (slice(1, 7, 2), ..., slice(0, 11, 3)), (3, 4, 5),
]  # fmt: skip


def piecewise(recent: Recent | None = None) -> tuple[Piecewise, list[tuple]]:
    read: list[tuple] = []

    def part(slices: tuple) -> np.ndarray:
        read.append(tuple((s.start, s.stop) for s in slices))
        return ARRAY[slices].copy()

    return Piecewise(ARRAY.shape, ARRAY.dtype, part, recent or Recent(), "a"), read


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_numpys(key, small, monkeypatch):
    monkeypatch.setattr(series, "SMALL", 2**20 if small else 0)
    array, _ = piecewise()
    assert np.array_equal(array[key], ARRAY[key])
    assert (array.ndim, array.nbytes, len(array)) == (3, ARRAY.nbytes, 7)


def test_only_what_is_asked_for_is_read(monkeypatch):
    monkeypatch.setattr(series, "SMALL", 0)
    array, read = piecewise()
    array[1, 2:5]
    assert read == [((1, 2), (2, 5), (0, 11))]


def test_small_arrays_are_kept_up_to_a_number_of_bytes():
    recent = Recent(most=3 * ARRAY.nbytes)
    array, read = piecewise(recent)
    assert np.array_equal(array[0], ARRAY[0])
    array[1:3]
    assert len(read) == 1
    for name in "bcd":
        recent.get(name, ARRAY.copy)
        assert recent.bytes <= recent.most
    array[1]
    assert len(read) == 2
    with pytest.raises(ValueError, match="read-only"):
        array[...][0, 0, 0] = 1


def test_an_array_as_a_whole_is_numpys():
    array, _ = piecewise()
    assert np.stack([array, array]).shape == (2, *ARRAY.shape)
    assert np.asarray(array, np.float32).dtype == np.float32


def test_places_are_all_there_are_or_a_fixed_sample_of_them():
    labels = np.zeros((100, 120), np.uint8)
    labels[:80], labels[90, 5:9] = 1, 2
    places = class_places(labels)
    assert places[2].tolist() == [90 * 120 + 5 + i for i in range(4)]
    assert len(places[1]) == MOST_PLACES == len(set(places[1].tolist()))
    assert (np.diff(places[1].astype(int)) > 0).all()
    assert (labels.reshape(-1)[places[1]] == 1).all()
    assert abs(float(places[1].mean()) - 80 * 120 / 2) < 100  # from all over it
    assert all(np.array_equal(class_places(labels)[c], places[c]) for c in (1, 2))


@pytest.mark.parametrize("size", [(5,), (100_000,), (30, 40), (3000, 2000), (20, 300, 70)])
def test_shards_are_whole_chunks(size):
    chunk, shard = chunk_of(size), shard_of((2,), size, 4)
    assert all(s % c == 0 for s, c in zip(shard, chunk, strict=True))
    assert all(s >= min(n, c) for s, c, n in zip(shard, chunk, size, strict=True))
    assert shard_rows(2, size, 4) == shard[0]
    assert together(2, size, 4) >= 1
