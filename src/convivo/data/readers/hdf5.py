"""HDF5 (.h5 .hdf5 .hdf) through h5py (extra `hdf5`): named arrays, read an item at a time.

Which array is image and which label: `named_arrays`. Links to other files are not followed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convivo.data.readers import array_items
from convivo.data.readers.array_axes import RATES, SPACING_MM
from convivo.data.readers.containers import stamp
from convivo.data.readers.failures import missing_extra, truncated
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.named_arrays import FACT, Contents, Entry, contents
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5", ".hdf")
FACTS = (*SPACING_MM, *RATES, "element_size_um", "resolution", "unit", "units", "axes")
MOST_UNSTORED = 2**28  # bytes that an array may promise without holding them (empty chunks)
MOST_ARRAYS = 100_000  # of a file; more are a broken or hostile table of contents


def header(path: Path, index: int | None = None) -> Header:
    """Shape, channels, spacing (attributes) of an item; nothing else is read. Raises ReadError."""
    return array_items.header_of(describe(path), index)


def read(path: Path, index: int | None = None) -> Raw:
    """Item `index` as (C, *S); of a file with one item, that one.

    Raises:
        ReadError: ambiguous arrays, no such item, a damaged file. UsageError: h5py is missing.
    """
    with opened(path) as file:
        return array_items.read_item(describe(path), index, lambda e, key: file[e.name][key])


def read_labels(path: Path, index: int | None = None) -> np.ndarray:
    """The label map (*S) of item `index` as stored. Raises ReadError."""
    with opened(path) as file:
        values: array_items.Values = lambda e, key: file[e.name][key]  # noqa: E731
        return array_items.read_item_labels(describe(path), index, values)


def read_classes(path: Path) -> list[str] | None:
    """The class of every item as text, None where there are none. Raises ReadError."""
    with opened(path) as file:
        return array_items.classes_of(describe(path), lambda e, key: file[e.name][key])


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map (*S) as the array `label`, with the spacing of `like` as its attribute.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
    """
    head = header(like)
    check_grid(labels, head.shape, like)
    array = smallest_unsigned(labels, path)
    with whole(path) as temporary, _h5py(path).File(temporary, "w") as file:
        saved = file.create_dataset("label", data=array, compression="gzip")
        if head.spacing is not None:
            saved.attrs["spacing" if head.spacing_unit == "mm" else "resolution"] = head.spacing
    return path


def describe(path: Path) -> Contents:
    """What the arrays of the file mean, kept while the file does not change. Raises ReadError."""
    return _described(*stamp(path))


@lru_cache(maxsize=64)
def _described(name: str, modified: int, size: int) -> Contents:
    path = Path(name)
    with opened(path) as file:
        return contents(path, list(entries_of(path, file)))


@contextmanager
def opened(path: Path) -> Iterator["h5py.File"]:
    """The file, open for reading. Raises UsageError where h5py is missing."""
    with _h5py(path).File(path, "r") as file:
        yield file


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise missing_extra("h5py", "hdf5", str(path)) from error
    return h5py


def entries_of(path: Path, file: "h5py.File") -> Iterator[Entry]:
    """The arrays of an open file, with the attributes that tell of them. Raises ReadError."""
    common = _facts(file.attrs)
    found = list(_datasets(path, file))
    near: dict[str, dict[str, object]] = {}
    for name, data in found:  # small arrays tell of their neighbours
        folder, _, own = name.rpartition("/")
        if data.size is not None and data.size <= FACT and own.lower() in FACTS:
            near.setdefault(folder, {})[own.lower()] = data[()]
    for name, data in found:
        facts = {**common, **near.get(name.rpartition("/")[0], {}), **_facts(data.attrs)}
        yield Entry(name, tuple(data.shape or ()), data.dtype, facts)


def _datasets(path: Path, file: "h5py.File") -> Iterator[tuple[str, "h5py.Dataset"]]:
    """Every array below the root, without links to other files (they could lead anywhere)."""
    h5py = _h5py(path)
    waiting: list[tuple[str, Any]] = [("", file)]
    seen, count = set(), 0
    while waiting:
        start, group = waiting.pop()
        if group.id.__hash__() in seen:
            continue
        seen.add(group.id.__hash__())
        for own in group:
            if isinstance(group.get(own, getlink=True), h5py.ExternalLink):
                continue
            count += 1
            if count > MOST_ARRAYS:
                rule = f"a file holds at most {MOST_ARRAYS:,} arrays"
                raise ReadError(path, rule, "more", "Replace the file")
            item = group.get(own)
            if isinstance(item, h5py.Group):
                waiting.append((f"{start}{own}/", item))
            elif isinstance(item, h5py.Dataset) and _is_own(path, item):
                yield f"{start}{own}", item


def _is_own(path: Path, data: "h5py.Dataset") -> bool:
    """Whether the values lie in this file. Raises ReadError: more are promised than it can hold."""
    if data.shape is None or data.external or data.is_virtual:
        return False
    held = data.id.get_storage_size() * 1040  # deflate shrinks at most 1032 times
    if data.nbytes > MOST_UNSTORED and data.nbytes > held:
        raise truncated(path, f"{held // 1040} bytes for {data.name} {data.shape} of {data.dtype}")
    return True


def _facts(attributes: Any) -> dict[str, object]:
    return {key.lower(): attributes[key] for key in attributes if key.lower() in FACTS}
