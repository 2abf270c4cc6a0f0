"""Zarr folders (.zarr), versions 2 and 3, and OME-Zarr images with their labels.

Of an OME-Zarr pyramid the finest level counts; axes and spacing come from its `multiscales`.
"""

import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.readers import array_items
from convivo.data.readers.array_axes import PER_MM
from convivo.data.readers.failures import truncated
from convivo.data.readers.hdf5 import FACTS, MOST_UNSTORED
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.named_arrays import FACT, Contents, Entry, contents
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError, UsageError

SUFFIXES = (".zarr",)
FOLDERS = True  # an item is a folder
METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")


@dataclass(frozen=True)
class _Store:
    """Contents, the opened arrays by entry name, and of each the axes that are left out."""

    found: Contents
    arrays: Mapping[str, Any]
    dropped: Mapping[str, tuple[bool, ...]]


def header(path: Path, index: int | None = None) -> Header:
    """Shape, channels and spacing of an item, from metadata alone. Raises ReadError."""
    return array_items.header_of(_store(path).found, index)


def read(path: Path, index: int | None = None) -> Raw:
    """Item `index` as (C, *S). Raises ReadError: ambiguous arrays, no such item, damage."""
    store = _store(path)
    return array_items.read_item(store.found, index, _values(store))


def read_labels(path: Path, index: int | None = None) -> np.ndarray:
    """The label map (*S): of an OME-Zarr image the first of its `labels`. Raises ReadError."""
    store = _store(path)
    return array_items.read_item_labels(store.found, index, _values(store))


def read_classes(path: Path) -> list[str] | None:
    """The class of every item as text, None where there are none. Raises ReadError."""
    store = _store(path)
    return array_items.classes_of(store.found, _values(store))


def describe(path: Path) -> Contents:
    """What the arrays of the folder mean. Raises ReadError."""
    return _store(path).found


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map (*S) as a Zarr array with the spacing of `like`; a folder is replaced.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        UsageError: something is at `path` that is no Zarr folder.
    """
    import zarr

    head = header(like)
    check_grid(labels, head.shape, like)
    array = smallest_unsigned(labels, path)
    if path.exists() and not any((path / name).is_file() for name in METADATA):
        raise UsageError(path, "a label map replaces a Zarr folder only", "another", "Rename it")
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.tmp-{path.name}")
    try:
        chunks = tuple(min(n, 128) for n in array.shape)
        saved = zarr.create_array(temporary, shape=array.shape, dtype=array.dtype, chunks=chunks)
        saved[...] = array
        if head.spacing is not None:
            key = "spacing" if head.spacing_unit == "mm" else "resolution"
            saved.attrs[key] = list(head.spacing)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def _values(store: _Store) -> array_items.Values:
    def values(entry: Entry, key: tuple) -> np.ndarray:
        rest = iter(key)
        dropped = store.dropped.get(entry.name) or (False,) * len(key)
        full = tuple(0 if gone else next(rest) for gone in dropped)
        return np.asarray(store.arrays[entry.name][full])

    return values


def _store(path: Path) -> _Store:
    files = [path / name for name in METADATA if (path / name).is_file()]
    if not files:
        got = f"none of {', '.join(METADATA)} in it"
        raise ReadError(path, "a Zarr folder describes its arrays", got, "Copy the whole folder")
    return _opened(os.fspath(path), tuple(file.stat().st_mtime_ns for file in files))


@lru_cache(maxsize=64)
def _opened(name: str, modified: tuple[int, ...]) -> _Store:
    import zarr

    path = Path(name)
    root: Any = zarr.open(path, mode="r")
    if isinstance(root, zarr.Array):
        _check_size(path, root)
        entry = Entry("", tuple(root.shape), np.dtype(root.dtype), _facts(root.attrs))
        return _Store(contents(path, [entry]), {"": root}, {})
    if pyramid := _pyramid(root):
        return _ome(path, root, pyramid)
    arrays = dict(_arrays(root, ""))
    for array in arrays.values():
        _check_size(path, array)
    entries = list(_entries(root, arrays))
    return _Store(contents(path, entries), arrays, {})


def _check_size(path: Path, array: Any) -> None:
    """Refuse an array far larger than what its chunks can hold."""
    if array.nbytes > MOST_UNSTORED and array.nbytes > (held := array.nbytes_stored()) * 1040:
        got = f"{held} bytes for {array.name} {array.shape} of {array.dtype}"
        raise truncated(path, got)


def _arrays(group: Any, start: str) -> Iterator[tuple[str, Any]]:
    for own in sorted(group.array_keys()):
        yield start + own, group[own]
    for own in sorted(group.group_keys()):
        yield from _arrays(group[own], f"{start}{own}/")


def _entries(root: Any, arrays: Mapping[str, Any]) -> Iterator[Entry]:
    common = _facts(root.attrs)
    for name, array in arrays.items():
        folder = name.rpartition("/")[0]
        near = {
            other.rpartition("/")[2].lower(): fact[...]
            for other, fact in arrays.items()
            if math.prod(fact.shape) <= FACT and other.rpartition("/")[0] == folder
        }
        facts = {**common, **_facts(near), **_facts(array.attrs)}
        yield Entry(name, tuple(array.shape), np.dtype(array.dtype), facts)


def _facts(attributes: Mapping[str, object]) -> dict[str, object]:
    return {key.lower(): value for key, value in attributes.items() if key.lower() in FACTS}


def _pyramid(group: Any) -> dict[str, Any] | None:
    """The first `multiscales` of a group; version 0.5 keeps it under `ome`."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    found = (inner if isinstance(inner, dict) else attributes).get("multiscales")
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, dict) else None


def _ome(path: Path, root: Any, pyramid: dict[str, Any]) -> _Store:
    """The finest level as the array `image`, the first label pyramid as the array `label`."""
    pyramids = {"image": (root, pyramid)}
    if "labels" in root:
        for name in sorted(root["labels"].group_keys()):
            group = root["labels"][name]
            if inner := _pyramid(group):
                pyramids.setdefault("label", (group, inner))
    arrays, dropped, entries = {}, {}, []
    for name, (group, levels) in pyramids.items():
        level = levels["datasets"][0]
        arrays[name] = group[level["path"]]
        _check_size(path, arrays[name])
        letters = _letters(path, levels, arrays[name].ndim)
        sizes = arrays[name].shape
        gone = tuple(n == 1 and a not in "yx" for n, a in zip(sizes, letters, strict=True))
        dropped[name] = gone
        kept = "".join(a for a, out in zip(letters, gone, strict=True) if not out)
        if set(kept) - set("czyx") or len(set(kept)) < len(kept):
            rule = "an image has rows, columns, at most one axis of slices and one of channels"
            got = f"axes {letters} of {sizes}"
            raise ReadError(path, rule, got, "Save each moment as an image of its own")
        facts = {"axes": kept, **_spacing(levels, level, letters, kept)}
        shape = tuple(n for n, out in zip(sizes, gone, strict=True) if not out)
        entries.append(Entry(name, shape, np.dtype(arrays[name].dtype), facts))
    return _Store(contents(path, entries), arrays, dropped)


def _letters(path: Path, levels: dict[str, Any], dims: int) -> str:
    axes = levels.get("axes")
    if not axes:
        return "tczyx"[-dims:] if dims <= 5 else "?" * dims
    names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    letters = "".join(str(name).lower()[:1] for name in names)
    if len(letters) != dims:
        rule, got = f"multiscales names the {dims} axes of the array", letters
        raise ReadError(path, rule, got, "Correct the metadata")
    return letters


def _spacing(
    levels: dict[str, Any], level: dict[str, Any], letters: str, kept: str
) -> dict[str, object]:
    """`spacing` in mm, or `resolution` where a spatial axis has no known unit."""
    scale = np.ones(len(letters))
    for step in (*level.get("coordinateTransformations", ()),
                 *levels.get("coordinateTransformations", ())):  # fmt: skip
        if step.get("type") == "scale" and len(step.get("scale", ())) == len(letters):
            scale = scale * np.asarray(step["scale"], dtype=float)
    axes = levels.get("axes") or []
    units = {
        letter: PER_MM.get(str(axis.get("unit", "")).lower())
        for letter, axis in zip(letters, axes, strict=False)
        if isinstance(axis, dict)
    }
    spatial = [letter for letter in kept if letter in "zyx"]
    values = [float(scale[letters.index(letter)]) for letter in spatial]
    factors = [units.get(letter) for letter in spatial]
    if None in factors:
        return {"resolution": values} if set(values) != {1.0} else {}
    return {"spacing": [v * f for v, f in zip(values, factors, strict=True) if f is not None]}
