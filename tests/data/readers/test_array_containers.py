"""NumPy and IDX files: one item or many, held or streamed, and damaged ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import containers, read, read_header, read_labels, write_labels
from convivo.errors import DataError, ReadError, ShapeError, UsageError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def save_npy(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def idx_bytes(array: np.ndarray) -> bytes:
    head = struct.pack(
        f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape
    )
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("shape", "channels", "axes"),
    [((11,), 1, "T"), ((7, 9), 1, "YX"), ((7, 9, 11), 1, "ZYX"), ((2, 7, 9, 11), 2, "ZYX")],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_dimensions_decide_what_axes_are(tmp_path, shape, channels, axes, kind):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = tmp_path / f"a.{kind}"
    save_npy(path, array) if kind == "npy" else np.savez_compressed(path, array)
    header, raw = read_header(path), read(path)
    assert (header.channels, header.axes, header.dtype) == (channels, axes, "float32")
    np.testing.assert_array_equal(raw.array, array.reshape(channels, *header.shape))
    assert raw.array.flags.writeable


def test_fortran_order_and_byte_order_change_nothing(tmp_path):
    array = np.asfortranarray(np.arange(63, dtype=">i4").reshape(7, 9))
    np.savez(tmp_path / "a.npz", array)
    for path in (save_npy(tmp_path / "a.npy", array), tmp_path / "a.npz"):
        raw = read(path)
        assert raw.array.dtype.isnative
        np.testing.assert_array_equal(raw.array[0], array)


def test_pickled_objects_are_never_loaded(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", objects)
    for name in ("a.npy", "a.npz"):
        for function in (read_header, read):
            with pytest.raises(ReadError, match=rf"{name}: "):
                function(tmp_path / name)


def test_truncated_and_foreign_files(tmp_path):
    path = save_npy(tmp_path / "a.npy", np.arange(63.0))
    path.write_bytes(path.read_bytes()[:-1])
    for function in (read_header, read):
        with pytest.raises(ReadError, match=r"a\.npy: .*truncated"):
            function(path)
    np.savez(tmp_path / "a.npz", np.arange(63.0))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-60])
    (tmp_path / "b.npy").write_bytes(b"text, long enough for a header")
    for name in ("a.npz", "b.npy"):
        with pytest.raises(ReadError, match=rf"{name}: "):
            read(tmp_path / name)


@pytest.mark.parametrize("shape", [(), (2, 2, 2, 2, 2), (0, 3)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(ReadError, match=r"a\.npy: "):
        read(save_npy(tmp_path / "a.npy", np.zeros(shape)))


def test_texts_and_complex_numbers_are_refused(tmp_path):
    for array in (np.array(["a"]), np.array([1j])):
        with pytest.raises(ReadError, match="arrays hold numbers"):
            read_header(save_npy(tmp_path / "a.npy", array))


def test_labels_of_arrays(tmp_path):
    image = save_npy(tmp_path / "a.npy", np.zeros((7, 9), np.float32))
    labels = np.arange(63).reshape(7, 9)
    written = write_labels(tmp_path / "m.npy", labels, like=image)
    assert read_labels(written).dtype == np.uint8
    np.testing.assert_array_equal(read_labels(written), labels)
    with pytest.raises(ShapeError, match="shape of its image"):
        write_labels(tmp_path / "m.npy", labels.T, like=image)
    with pytest.raises(UsageError, match=r"are \.npy files; got \.npz"):
        write_labels(tmp_path / "m.npz", labels, like=image)
    with pytest.raises(DataError, match="65535; got 70062"):
        write_labels(tmp_path / "m.npy", labels + 70000, like=image)


def container(path: Path, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    arrays = {}
    for number, (split, count) in enumerate((("train", 5), ("val", 2), ("test", 3))):
        start = np.arange(count * np.prod(shape)).reshape(count, *shape) + number
        arrays[f"{split}_images"] = start.astype(np.uint8)
        arrays[f"{split}_labels"] = np.arange(count)[:, np.newaxis] % 2
    np.savez_compressed(path, **arrays)
    return arrays


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3), (7, 9, 11)])
@pytest.mark.parametrize("held", [True, False])
def test_container_index_runs_over_train_val_test(tmp_path, monkeypatch, shape, held):
    if not held:
        monkeypatch.setattr(containers.shelf, "most", 0)
    arrays = container(tmp_path / "a.npz", shape)
    together = np.concatenate([arrays[f"{split}_images"] for split in ("train", "val", "test")])
    assert read_header(tmp_path / "a.npz").count == 10
    for index in (0, 9, 4, 5, 6, 7, 1):  # forwards and backwards
        item = together[index]
        expected = np.moveaxis(item, -1, 0) if shape[-1] == 3 else item[np.newaxis]
        np.testing.assert_array_equal(read(tmp_path / "a.npz", index).array, expected)
    for index in (10, -1, None):
        with pytest.raises(ReadError, match=f"items 0 to 9; got {index}"):
            read(tmp_path / "a.npz", index)


def test_containers_are_held_within_a_budget_and_the_last_one_used_stays(tmp_path, monkeypatch):
    paths = [tmp_path / f"{name}.idx" for name in "abc"]
    for number, path in enumerate(paths):
        path.write_bytes(idx_bytes(np.full((10, 10, 10), number, np.uint8)))
    monkeypatch.setattr(containers, "shelf", containers.Shelf(2000))
    opened = []  # how often a file's bytes were begun anew
    unfold = containers.Stack._decode
    monkeypatch.setattr(
        containers.Stack, "_decode", lambda s, *a: opened.append(s.path.stem) or unfold(s, *a)
    )
    for name in "ababcacab":
        path = tmp_path / f"{name}.idx"
        assert read(path, 3).array.max() == "abc".index(name)
    assert "".join(opened) == "abcab", "the one used longest ago goes"
    containers.shelf.clear()
    assert read(paths[1], 7).array.max() == 1
    assert "".join(opened) == "abcabb", "what was let go is read anew"
    monkeypatch.setattr(containers.shelf, "most", 0)
    read(paths[0], 3)
    read(paths[0], 4)
    assert opened[-2:] == ["a", "a"], "an item at a time"


def test_items_are_arrays_of_their_own(tmp_path):
    container(tmp_path / "a.npz", (7, 9))
    read(tmp_path / "a.npz", 3).array[:] = 77
    assert not (read(tmp_path / "a.npz", 3).array == 77).all()


def test_a_rewritten_file_is_read_anew(tmp_path):
    path = tmp_path / "a.idx"
    path.write_bytes(idx_bytes(np.zeros((2, 7, 9), np.uint8)))
    assert read(path, 1).array.max() == 0
    path.write_bytes(idx_bytes(np.ones((3, 7, 9), np.uint8)))
    assert read(path, 2).array.min() == 1


@pytest.mark.parametrize("kind", list(CODES))
@pytest.mark.parametrize("suffix", [".idx", "-idx3-ubyte", ".idx3-ubyte.gz"])
def test_idx_of_every_type(tmp_path, monkeypatch, kind, suffix):
    array = np.arange(4 * 7 * 9).reshape(4, 7, 9).astype(kind)
    content = idx_bytes(array)
    path = tmp_path / f"train-images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert (read_header(path).count, read_header(path).shape) == (4, (7, 9))
    np.testing.assert_array_equal(read(path, 2).array[0], array[2])
    monkeypatch.setattr(containers.shelf, "most", 0)
    np.testing.assert_array_equal(read(path, 1).array[0], array[1])
    with pytest.raises(ReadError, match="items are numbered 0 to 3; got 4"):
        read(path, 4)
    with pytest.raises(ReadError, match="an IDX file holds many items"):
        read(path)


def test_damaged_idx_files(tmp_path):
    content = idx_bytes(np.zeros((4, 7, 9), np.uint8))
    cases = {
        "magic.idx": (b"\1\2\3\4" + content[4:], "starts with 0, 0, a type code"),
        "empty.idx": (b"", "truncated"),
        "short.idx": (content[:-1], "truncated"),
        "long.idx": (content + b"\0", r"the header promises 268 bytes; got 269 bytes"),
        "sizes.idx": (content[:9], "truncated"),
        "short.idx.gz": (gzip.compress(content[:-1]), "truncated"),
        "cut.idx.gz": (gzip.compress(content)[:-6], "truncated"),
        "long.idx.gz": (gzip.compress(content + b"\0"), "got more bytes"),
        "plain.idx.gz": (content, "not a gzipped file"),
    }
    for name, (bad, message) in cases.items():
        (tmp_path / name).write_bytes(bad)
        with pytest.raises(ReadError, match=message):
            read(tmp_path / name, 0)


@pytest.mark.parametrize("suffix", [".h5", ".zarr", ".npz"])
def test_maps_of_items_are_npy_files(suffix: str, tmp_path: Path) -> None:
    stack, like = np.arange(3 * 5 * 6, dtype=np.uint8).reshape(3, 5, 6), tmp_path / f"s{suffix}"
    if suffix == ".npz":
        np.savez(like, test_images=stack)
    elif suffix == ".h5":
        with pytest.importorskip("h5py").File(like, "w") as file:
            file["images"] = stack
    else:
        pytest.importorskip("zarr").open_group(like, mode="w").create_array("images", data=stack)
    count = read_header(like).count
    index = 2 if count == 3 else 0
    shape = read_header(like, index).shape
    labels = np.ones(shape, np.uint8)
    path = write_labels(tmp_path / "s#2.npy", labels, like=like, like_index=index)
    np.testing.assert_array_equal(np.load(path), labels)
    with pytest.raises(ShapeError, match=r"a label map has the shape of its image"):
        write_labels(tmp_path / "t.npy", labels[1:], like=like, like_index=index)
