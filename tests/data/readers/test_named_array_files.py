"""HDF5, Zarr and MATLAB: which array is the image, which its label, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import read, read_header, read_labels, write_labels
from convivo.data.readers.array_axes import channel_axis, spacing_of
from convivo.data.readers.hdf5 import describe
from convivo.data.readers.hdf5 import read_classes as hdf5_classes
from convivo.data.readers.matlab import read_classes as matlab_classes
from convivo.data.readers.named_arrays import Entry, contents
from convivo.data.readers.zarr import read_classes as zarr_classes
from convivo.errors import ReadError, ShapeError, UsageError

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")

SHAPES = {1: (64,), 2: (21, 33), 3: (7, 9, 11)}


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def save_h5(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


def save_zarr(path: Path, **arrays: np.ndarray) -> Path:
    root = zarr.open_group(path, mode="w")
    for name, array in arrays.items():
        place = root.create_array(name.replace("__", "/"), shape=array.shape, dtype=array.dtype)
        place[...] = array
    return path


def save_mat(path: Path, **arrays: np.ndarray) -> Path:
    from scipy.io import savemat

    nested: dict = {}
    for name, array in arrays.items():
        folder, _, own = name.rpartition("__")
        (nested.setdefault(folder, {}) if folder else nested)[own] = array
    savemat(path, nested)
    return path


SAVERS = {"a.h5": save_h5, "a.zarr": save_zarr, "a.mat": save_mat}
CLASSES = {"a.h5": hdf5_classes, "a.zarr": zarr_classes, "a.mat": matlab_classes}


@pytest.fixture(params=sorted(SAVERS))
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_an_image_and_its_label_map(tmp_path, name, spatial_dims):
    image, shape = values(*SHAPES[spatial_dims]), SHAPES[spatial_dims]
    label = (image > 0).astype(np.uint8)
    path = SAVERS[name](tmp_path / name, image=image, label=label, other=values(3, 5, 7, 2))
    raw = read(path)
    np.testing.assert_array_equal(raw.array, image[None])
    assert (raw.header.shape, raw.header.channels, raw.header.count) == (shape, 1, 1)
    np.testing.assert_array_equal(read_labels(path), label)
    assert read_header(path) == raw.header


def test_items_along_the_first_axis_with_a_class_each(tmp_path, name):
    images, classes = values(6, 21, 33, 3), np.array([2, 0, 1, 1, 0, 2])
    path = SAVERS[name](tmp_path / name, x=images, y=classes)
    head = read_header(path)
    assert (head.count, head.shape, head.channels) == (6, (21, 33), 3)
    np.testing.assert_array_equal(read(path, 4).array, images[4].transpose(2, 0, 1))
    assert CLASSES[name](path) == ["2", "0", "1", "1", "0", "2"]
    with pytest.raises(ReadError, match=r"holds the items 0 to 5; got item 6"):
        read(path, 6)
    with pytest.raises(ReadError, match=r"holds the items 0 to 5; got item None"):
        read(path)
    with pytest.raises(ReadError, match="holds a label map; got a class per item in y"):
        read_labels(path, 0)


def test_groups_of_one_name_are_items_in_natural_order(tmp_path, name):
    arrays = {}
    for number in (10, 9, 1):
        arrays[f"p{number}__image"] = values(7, 9 + number, 11)
        arrays[f"p{number}__mask"] = np.full((7, 9 + number, 11), number, np.uint8)
    path = SAVERS[name](tmp_path / name, **arrays)
    assert [read_header(path, i).shape[1] for i in range(3)] == [10, 18, 19]
    assert [int(read_labels(path, i).max()) for i in range(3)] == [1, 9, 10]


def test_splits_by_name_are_numbered_train_val_test(tmp_path, name):
    sizes = {"test": 2, "train": 4, "val": 3}
    arrays = {f"x_{part}": values(n, 21, 33) for part, n in sizes.items()}
    arrays |= {f"y_{part}": np.full(n, n) for part, n in sizes.items()}
    path = SAVERS[name](tmp_path / name, **arrays)
    assert CLASSES[name](path) == ["4"] * 4 + ["3"] * 3 + ["2"] * 2
    np.testing.assert_array_equal(read(path, 8).array[0], arrays["x_test"][1])


def test_one_hot_and_named_classes(tmp_path):
    path = save_h5(tmp_path / "a.h5", images=values(4, 21, 33), labels=np.eye(5)[[4, 0, 1, 0]])
    assert hdf5_classes(path) == ["4", "0", "1", "0"]
    names = np.array([b"cat", b"d\xc3\xb6g", b"cat", b"cat"])
    assert hdf5_classes(save_h5(tmp_path / "b.h5", images=values(4, 21, 33), labels=names)) == [
        "cat", "dög", "cat", "cat",
    ]  # fmt: skip
    several = np.ones((4, 5))
    path = save_h5(tmp_path / "c.h5", images=values(4, 21, 33), labels=several)
    with pytest.raises(ReadError, match=r"an item has one class; got a table of labels \(4, 5\)"):
        hdf5_classes(path)


def test_what_is_ambiguous_is_refused(tmp_path, name):
    path = SAVERS[name](tmp_path / name, first=values(7, 9, 11), second=values(7, 9, 11))
    with pytest.raises(ReadError, match=r"one array of the file is the image.* got first \(7, 9"):
        read(path)
    path = SAVERS[name](tmp_path / f"b{name}", image=values(7, 9, 11), label=np.ones((7, 9, 12)))
    with pytest.raises(ReadError, match=r"fits the image array image \(7, 9, 11\); got label"):
        read(path)


def test_unnamed_arrays_go_by_shape_and_kind(tmp_path, name):
    ones = np.ones((7, 9, 11), np.uint8)
    path = SAVERS[name](tmp_path / name, a=values(7, 9, 11), b=ones)
    assert read(path).array.dtype == np.float32
    np.testing.assert_array_equal(read_labels(path), ones)


def test_a_file_of_one_map_is_a_label_map(tmp_path, name):
    ones = np.ones((7, 9, 11), np.uint8)
    np.testing.assert_array_equal(read_labels(SAVERS[name](tmp_path / name, mask=ones)), ones)
    path = SAVERS[name](tmp_path / f"b{name}", mask=values(7, 9, 11))
    with pytest.raises(ReadError, match="labels are whole numbers"):
        read_labels(path)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_label_maps_are_written_in_the_images_format(tmp_path, name, spatial_dims):
    shape = SHAPES[spatial_dims]
    path = SAVERS[name](
        tmp_path / name, image=values(*shape), spacing=np.arange(1.0, 4.0)[: len(shape)]
    )
    labels = np.arange(np.prod(shape)).reshape(shape) % 5
    out = write_labels(tmp_path / f"out_{name}", labels, like=path)
    assert out == write_labels(tmp_path / f"out_{name}", labels, like=path)  # again, over it
    np.testing.assert_array_equal(read_labels(out), labels)
    assert read_header(out).spacing == read_header(path).spacing
    with pytest.raises(ShapeError, match="a label map has the shape of its image"):
        write_labels(tmp_path / f"out_{name}", labels[1:], like=path)


def test_attributes_give_axes_and_spacing(tmp_path):
    path = save_h5(tmp_path / "a.h5", image=values(9, 2, 11, 7))
    with h5py.File(path, "a") as file:
        file["image"].attrs.update({"axes": "zcyx", "element_size_um": [4.0, 0.5, 0.5]})
    raw = read(path)
    assert raw.array.shape == (2, 9, 11, 7)
    assert (raw.header.spacing, raw.header.spacing_unit) == ((0.004, 0.0005, 0.0005), "mm")
    path = save_h5(tmp_path / "b.h5", signal=values(12, 2000), fs=np.array(500.0))
    head = read_header(path)
    assert (head.channels, head.shape, head.spacing, head.spacing_unit) == (
        12,
        (2000,),
        (0.002,),
        "s",
    )


def test_sizes_tell_channels_where_nothing_else_does():
    cases = {(64, 64, 3): 2, (3, 64, 64): 0, (2, 9, 9): None, (1, 9, 9): 0, (9, 9, 30): None}
    cases |= {(240, 240, 155, 4): 3, (4, 30, 40, 50): 0, (5000, 12): 1, (12, 90): None, (64,): None}
    assert {shape: channel_axis(shape, {}) for shape in cases} == cases
    assert spacing_of({"resolution": [40, 4, 4], "unit": "nm"}, 3) == ((4e-5, 4e-6, 4e-6), "mm")
    assert spacing_of({"resolution": [40, 4, 4]}, 3) == ((40.0, 4.0, 4.0), "px")
    assert spacing_of({"spacing": [1.0, 0.0, 1.0]}, 3) == (None, "px")
    assert spacing_of({"spacing": "wide"}, 2) == (None, "px")


def test_links_to_other_files_are_not_followed(tmp_path):
    save_h5(tmp_path / "secret.h5", image=values(7, 9, 11))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "image")
        file["loop"] = h5py.SoftLink("/")
    with pytest.raises(ReadError, match="holds an array of numbers; got none"):
        read(tmp_path / "a.h5")


def test_values_that_lie_in_other_files_are_not_read(tmp_path):
    (tmp_path / "secret.raw").write_bytes(bytes(7 * 9 * 11))
    save_h5(tmp_path / "secret.h5", image=values(7, 9, 11))
    source = h5py.VirtualSource(str(tmp_path / "secret.h5"), "image", shape=(7, 9, 11))
    layout = h5py.VirtualLayout(shape=(7, 9, 11), dtype="f4")
    layout[...] = source
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("image", layout)
        outside = [(str(tmp_path / "secret.raw"), 0, 7 * 9 * 11)]
        file.create_dataset("raw", shape=(7, 9, 11), dtype="u1", external=outside)
    with pytest.raises(ReadError, match="holds an array of numbers; got none"):
        read(tmp_path / "a.h5")


def test_an_array_larger_than_its_file_is_truncated(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", shape=(4000, 4000, 4000), chunks=(100, 100, 100), dtype="f4")
    with pytest.raises(ReadError, match=r"it is truncated\); got 0 bytes for /image"):
        read(tmp_path / "a.h5")


def test_a_zarr_array_larger_than_its_chunks_is_truncated(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(4000, 4000, 4000), chunks=(100,) * 3, dtype="f4")
    with pytest.raises(ReadError, match=r"it is truncated\); got \d+ bytes for"):
        read(tmp_path / "a.zarr")


@pytest.mark.parametrize("suffix", [".h5", ".mat"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_damaged_files_are_one_error(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(ReadError, match=rf"a\{suffix}: "):
        read(tmp_path / f"a{suffix}")


def test_a_folder_that_is_no_zarr(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ReadError, match="describes its arrays; got none of zarr"):
        read(tmp_path / "a.zarr")


def ome(path: Path, version: int) -> np.ndarray:
    """An image (t=1, c=2, z, y, x) of two levels with one label image."""
    image = np.arange(2 * 5 * 8 * 6, dtype=np.uint16).reshape(1, 2, 5, 8, 6)
    root = zarr.open_group(path, mode="w", zarr_format=version)
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]

    def describe_group(group, letters, scale):
        kept = [axis for axis in axes if axis["name"] in letters]
        step = {"type": "scale", "scale": scale}
        levels = [{"path": "0", "coordinateTransformations": [step]}, {"path": "1"}]
        found = {"multiscales": [{"version": "0.4", "axes": kept, "datasets": levels}]}
        group.attrs.update(found if version == 2 else {"ome": found})

    for level, array in (("0", image), ("1", image[..., ::2])):
        root.create_array(level, shape=array.shape, dtype=array.dtype)[...] = array
    describe_group(root, "tczyx", [1, 1, 2.0, 0.5, 0.25])
    labels = root.create_group("labels").create_group("cells")
    labels.create_array("0", shape=(5, 8, 6), dtype="uint8")[...] = (image[0, 0] > 9).astype("u1")
    describe_group(labels, "zyx", [2.0, 0.5, 0.25])
    return image


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path, version):
    image = ome(tmp_path / "a.ome.zarr", version)
    raw = read(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(raw.array, image[0])
    assert raw.header.axes == "ZYX"
    assert (raw.header.spacing, raw.header.spacing_unit) == ((0.002, 0.0005, 0.00025), "mm")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.ome.zarr"), image[0, 0] > 9)


def test_ome_zarr_of_several_moments_is_refused(tmp_path):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.create_array("0", shape=(3, 5, 8, 6), dtype="uint8")[...] = 1
    axes = [{"name": n} for n in "tzyx"]
    root.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    with pytest.raises(ReadError, match=r"at most one axis of slices .* got axes tzyx of \(3, 5"):
        read(tmp_path / "a.zarr")


def test_matlab_keeps_its_order_and_items_on_the_last_axis(tmp_path):
    images, labels = values(21, 33, 6), np.arange(6)[:, None]
    path = save_mat(tmp_path / "a.mat", images=images, labels=labels)
    assert (read_header(path).count, read_header(path).shape) == (6, (21, 33))
    np.testing.assert_array_equal(read(path, 5).array[0], images[..., 5])
    volume = read_header(save_mat(tmp_path / "b.mat", image=values(7, 9, 11)))
    assert (volume.shape, volume.axes) == ((7, 9, 11), "YXZ")


def test_matlab_of_version_7_3_is_hdf5_in_the_other_order(tmp_path):
    image = values(7, 9, 11)
    inner = tmp_path / "inner.h5"
    with h5py.File(inner, "w", userblock_size=512) as file:
        file["image"] = image.T  # column-major
        file["label"] = (image.T > 0).astype(np.uint8)
        file["#refs#/a"] = values(3, 3, 3, 3)
    inner.rename(tmp_path / "a.mat")
    np.testing.assert_array_equal(read(tmp_path / "a.mat").array, image[None])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.mat"), image > 0)


def test_contents_of_a_cached_file_follow_its_change(tmp_path):
    path = save_h5(tmp_path / "a.h5", image=values(7, 9, 11))
    assert describe(path).count == 1
    path.unlink()
    save_h5(path, images=values(7, 9, 11))
    assert describe(path).count == 7


def test_names_that_list_classes_are_no_labels():
    entries = [
        Entry("images", (5, 21, 33), np.dtype("u1")),
        Entry("class_names", (3,), np.dtype("S5")),
    ]
    (part,) = contents(Path("a.h5"), entries).parts
    assert (part.kind, part.count) == ("none", 5)


@pytest.mark.parametrize(
    ("package", "suffix", "extra"),
    [("h5py", ".h5", "hdf5"), ("SimpleITK", ".mha", "volumes"), ("mne", ".vhdr", "eeg")],
)
def test_a_missing_package_names_its_extra(tmp_path, monkeypatch, package, suffix, extra):
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    with pytest.raises(UsageError, match=rf"pip install 'convivo\[{extra}\]'"):
        read(tmp_path / f"a{suffix}")
