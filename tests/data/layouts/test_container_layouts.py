"""MedMNIST containers and IDX pairs."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.errors import ReadError


def container(path: Path, shape=(7, 9), splits=("train", "val", "test"), **changes) -> Path:
    arrays = {}
    for number, split in enumerate(splits, 3):
        images = np.arange(number * np.prod(shape)).reshape(number, *shape)
        arrays[f"{split}_images"] = images.astype(np.uint8)
        arrays[f"{split}_labels"] = np.arange(number)[:, np.newaxis] % 2
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize(("shape", "dims"), [((7, 9), 2), ((7, 9, 3), 2), ((7, 9, 11), 3)])
def test_container_ids_count_through_the_splits(tmp_path, shape, dims):
    path = container(tmp_path / "a.npz", shape)
    (tmp_path / "README.md").write_text("read me")
    for place in (path, tmp_path):
        index = detect(place)
        assert (index.layout, index.task, index.spatial_dims) == ("medmnist", "classify", dims)
        assert index.classes == ("0", "1")
        assert [case.id for case in index.cases] == [f"a.npz#{i}" for i in range(12)]
        assert [case.split for case in index.cases] == ["train"] * 3 + ["val"] * 4 + ["test"] * 5
        assert [case.target for case in index.cases][:7] == [0, 1, 0, 0, 1, 0, 1]
        assert index.cases[0].header is index.cases[-1].header
        sample = load(index.cases[4], index)
        with np.load(path) as arrays:
            stored = arrays["val_images"][1]
        np.testing.assert_array_equal(sample.image.reshape(-1).sum(), stored.sum())
        assert sample.target == 1


def test_train_alone_is_no_split_and_gaps_in_labels_close(tmp_path):
    labels = np.array([7, 3, 7])
    index = detect(container(tmp_path / "a.npz", splits=("train",), train_labels=labels))
    assert index.classes == ("3", "7")
    assert [(case.target, case.split) for case in index.cases] == [(1, None), (0, None), (1, None)]


def test_several_labels_a_case(tmp_path):
    labels = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]])
    path = container(tmp_path / "a.npz", splits=("train",), train_labels=labels)
    index = detect(path)
    assert index.classes == ("0", "1", "2")
    assert index.extra["multi_label"] is True
    np.testing.assert_array_equal(index.extra["targets"], labels)
    assert {case.target for case in index.cases} == {None}
    container(path, splits=("train",), train_labels=labels * 2)
    with pytest.raises(ReadError, match="several labels a case are 0 or 1; got 2"):
        detect(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None}, "val_images holds 4 items.*got no labels"),
        ({"test_labels": np.zeros((4, 1), int)}, "test_images holds 5 items.*got 4 labels"),
        ({"val_labels": np.zeros((4, 2), int)}, "all splits have as many labels a case"),
        ({"val_labels": np.array(["a"] * 4)}, "arrays hold numbers"),
        ({"val_images": np.zeros((4, 5, 5), np.uint8)}, "all splits hold items of one shape"),
    ],
)
def test_containers_that_contradict_themselves(tmp_path, changes, message):
    with pytest.raises(ReadError, match=message):
        detect(container(tmp_path / "a.npz", **changes))


def test_two_containers_ask_for_one(tmp_path):
    container(tmp_path / "a.npz")
    container(tmp_path / "b.npz")
    with pytest.raises(ReadError, match=r"got a\.npz, b\.npz\. Name one"):
        detect(tmp_path)


def idx(path: Path, array: np.ndarray) -> Path:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def digits(root: Path, suffix: str = "-ubyte.gz") -> Path:
    for part, count in (("train", 5), ("t10k", 3)):
        idx(root / f"{part}-images-idx3{suffix}", np.full((count, 7, 9), count))
        idx(root / f"{part}-labels-idx1{suffix}", np.arange(count) + 4)
    return root


@pytest.mark.parametrize("suffix", ["-ubyte.gz", "-ubyte"])
def test_idx_pairs(tmp_path, suffix):
    index = detect(digits(tmp_path, suffix))
    assert (index.layout, index.task, index.spatial_dims) == ("idx", "classify", 2)
    assert index.classes == ("4", "5", "6", "7", "8")
    assert [case.split for case in index.cases] == ["train"] * 5 + ["test"] * 3
    assert index.cases[-1].id == f"t10k-images-idx3{suffix}#2"
    assert index.cases[0].header is index.cases[4].header
    sample = load(index.cases[-1], index)
    assert (sample.image.shape, sample.image.max(), sample.target) == ((1, 7, 9), 3, 2)


def test_one_idx_file_brings_its_labels(tmp_path):
    index = detect(digits(tmp_path) / "train-images-idx3-ubyte.gz")
    assert len(index.cases) == 5
    assert {case.split for case in index.cases} == {None}


def test_idx_labels_that_do_not_fit(tmp_path):
    digits(tmp_path)
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.arange(4))
    with pytest.raises(ReadError, match="one whole number for each of the 5 images"):
        detect(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ReadError, match="images have a file of labels beside them; got none"):
        detect(tmp_path)


def test_idx_labels_that_are_damaged(tmp_path):
    path = digits(tmp_path) / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ReadError, match=r"train-labels-idx1-ubyte\.gz: .*truncated"):
        detect(tmp_path)
