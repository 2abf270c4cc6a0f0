"""NumPy files: .npy holds one item, .npz one item or a container of splits (MedMNIST).

Without axis names the number of dimensions decides: 1 to 3 are spatial axes, 4 are (C, Z, Y, X).
Pickled objects are never loaded.
"""

import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy_format

from convivo.data.readers.containers import Stack, item_header, stamp
from convivo.data.readers.failures import truncated
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError, UsageError

SUFFIXES = (".npy", ".npz")
SPLITS = ("train", "val", "test")


def header(path: Path, index: int | None = None) -> Header:
    """The header of the item, without its values. Raises ReadError."""
    if path.suffix.lower() == ".npy":
        mapped = _mapped(path)
        return item_header(_item_shape(mapped.shape, path), mapped.dtype)
    stacks = members(path)
    if not container_keys(stacks):
        single = _single(stacks, path)
        return item_header(_item_shape(single.shape, path), single.dtype)
    shape, dtype, count = container_items(path)
    return _shared_header(shape, dtype, count)


def read(path: Path, index: int | None = None) -> Raw:
    """The item as (C, *S).

    In a container `index` counts through its train, val and test images, in this order.

    Raises:
        ReadError: no such item, no numbers, a damaged file, a number of dimensions beyond four.
    """
    if path.suffix.lower() == ".npy":
        array = np.array(_mapped(path), order="C")
    elif container_keys(members(path)):
        return _read_from_container(path, index)
    else:
        array = _single(members(path), path).array().copy()
    array = np.ascontiguousarray(array).reshape(_item_shape(array.shape, path))
    return Raw(array=array, header=item_header(array.shape, array.dtype))


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map (*S) as .npy beside nothing else; the grid is that of `like`.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        UsageError: `path` is not a .npy file.
    """
    return write_item(path, labels, shape=header(like).shape, like=like)


def write_item(path: Path, labels: np.ndarray, *, shape: Sequence[int], like: Path) -> Path:
    """The same for an item of this shape, of a container `like` of any format."""
    if path.suffix.lower() != ".npy":
        raise UsageError(path, "label maps of arrays are .npy files", path.suffix, "Rename it")
    check_grid(labels, tuple(shape), like)
    with whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, smallest_unsigned(labels, path), allow_pickle=False)
    return path


def members(path: Path) -> dict[str, Stack]:
    """The arrays of an .npz by key, opened but not read. Raises ReadError."""
    return _members(*stamp(path))


def canonical(names: Sequence[str]) -> dict[str, str]:
    """The names of an .npz's arrays -> those of a container, where they are x and y.

    Example:
        >>> canonical(["x", "y"]), canonical(["y_test", "X_test", "x_train", "Y_train"])["y_test"]
        ({'x': 'train_images', 'y': 'train_labels'}, 'test_labels')
    """
    found = {}
    for name in names:
        letter, _, split = name.lower().partition("_")
        known = letter in ("x", "y") and split in ("", *SPLITS)
        part = "images" if letter == "x" else "labels"
        found[name] = f"{split or 'train'}_{part}" if known else name
    both = {"train_images", "train_labels"} <= set(found.values())
    return found if both and len(set(found.values())) == len(found) else {n: n for n in names}


def container_keys(keys: object) -> tuple[str, ...]:
    """The image arrays of a MedMNIST-like container in the order of its global index.

    Example:
        >>> container_keys(["test_images", "train_labels", "train_images"])
        ('train_images', 'test_images')
    """
    known = set(keys)  # type: ignore[call-overload]
    return tuple(f"{s}_images" for s in SPLITS if f"{s}_images" in known)


def container_items(path: Path) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape (C, *S), dtype and number of the items of a container.

    Raises:
        ReadError: the splits differ in shape or dtype.
    """
    stacks = [members(path)[key] for key in container_keys(members(path))]
    kinds = {(s.shape[1:], s.dtype) for s in stacks}
    if len(kinds) != 1:
        got = "; ".join(f"{shape} {dtype}" for shape, dtype in sorted(kinds, key=str))
        raise ReadError(path, "all splits hold items of one shape", got, "Make the splits alike")
    shape, dtype = kinds.pop()
    return _channels_first(shape, path), dtype, sum(len(s) for s in stacks)


def _read_from_container(path: Path, index: int | None) -> Raw:
    stacks = members(path)
    shape, dtype, count = container_items(path)
    if index is None or not 0 <= index < count:
        rule = f"the container holds items 0 to {count - 1}"
        raise ReadError(path, rule, index, "Say which item (FILE#INDEX)")
    for key in container_keys(stacks):
        if index < len(stacks[key]):
            break
        index -= len(stacks[key])
    array = stacks[key].item(index)
    if array.ndim == len(shape):  # (*S, C) as stored
        array = np.ascontiguousarray(np.moveaxis(array, -1, 0))
    return Raw(array=array.reshape(shape), header=_shared_header(shape, dtype, count))


@lru_cache(maxsize=64)
def _shared_header(shape: tuple[int, ...], dtype: np.dtype, count: int) -> Header:
    return item_header(shape, dtype, count=count)


@lru_cache(maxsize=4)
def _members(name: str, modified: int, size: int) -> dict[str, Stack]:
    path = Path(name)
    with zipfile.ZipFile(path) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
        known = canonical(names)
        return {known[n]: _member(path, archive, f"{n}.npy") for n in names}


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Stack:
    with archive.open(name) as stream:
        version = npy_format.read_magic(stream)
        parse = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }.get(version)
        if parse is None:
            got = f"format version {version} in {name}"
            raise ReadError(path, "arrays of numbers are of format 1.0 or 2.0", got, "Save it anew")
        shape, fortran, dtype = parse(stream)
        offset = stream.tell()
    size = archive.getinfo(name).file_size
    needed = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not dtype.hasobject and size < needed:
        raise truncated(path, f"{size} bytes in {name} where {needed} are promised")
    return Stack(
        path,
        lambda: cast(BinaryIO, zipfile.ZipFile(path).open(name)),
        offset=offset,
        shape=shape or (1,),
        dtype=_numeric(dtype, path),
        fortran=fortran,
    )


def _mapped(path: Path) -> np.memmap:
    # mapping checks that the file is as long as its header says, without reading it
    mapped = npy_format.open_memmap(path, mode="r")
    _numeric(mapped.dtype, path)
    return mapped


def _single(stacks: dict[str, Stack], path: Path) -> Stack:
    if len(stacks) != 1:
        rule = "an .npz item holds one array, a container train_images and train_labels"
        got = f"arrays {', '.join(sorted(stacks)) or 'none'}"
        raise ReadError(path, rule, got, "Save one array per file")
    return next(iter(stacks.values()))


def _item_shape(shape: tuple[int, ...], path: Path) -> tuple[int, ...]:
    if not 1 <= len(shape) <= 4 or 0 in shape:
        rule = "an array item has one to three spatial axes, with channels first where it has four"
        raise ReadError(path, rule, f"shape {shape}", "Save one item per file")
    return shape if len(shape) == 4 else (1, *shape)


def _channels_first(shape: tuple[int, ...], path: Path) -> tuple[int, ...]:
    """(*S, C) with 3 or 4 colours last, else (*S): MedMNIST stores colour last, in 2D and 3D."""
    if len(shape) in (3, 4) and shape[-1] in (3, 4):
        return (shape[-1], *shape[:-1])
    if not 1 <= len(shape) <= 3 or 0 in shape:
        rule = "container items have one to three spatial axes, colours last"
        raise ReadError(path, rule, f"item shape {shape}", "Save the items in that order")
    return (1, *shape)


def _numeric(dtype: np.dtype, path: Path) -> np.dtype:
    if dtype.kind not in "biuf":
        rule = "arrays hold numbers (never pickled objects)"
        raise ReadError(path, rule, f"dtype {dtype}", "Save the array as integers or floats")
    return dtype
