"""MATLAB files (.mat): up to v7 through SciPy, v7.3 (which is HDF5) through h5py (extra `hdf5`).

Arrays keep MATLAB's order (rows, columns, slices); the rules for names are those of HDF5. A
structure's fields are arrays in a group of its name.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.readers import array_items, hdf5
from convivo.data.readers.containers import stamp
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.named_arrays import FACT, Contents, Entry, contents
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw

SUFFIXES = (".mat",)
AXES = "YXZ"
HDF5_MARK = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 512  # bytes of MATLAB's own before the HDF5 part

Arrays = dict[str, np.ndarray]


def header(path: Path, index: int | None = None) -> Header:
    """Shape, channels, spacing or rate of an item. Files up to v7 are read whole for it.

    Raises:
        ReadError: ambiguous arrays, no such item, a damaged file.
    """
    return array_items.header_of(describe(path), index, AXES)


def read(path: Path, index: int | None = None) -> Raw:
    """Item `index` as (C, *S). Raises ReadError; UsageError where v7.3 needs h5py."""
    return array_items.read_item(describe(path), index, _values(path), AXES)


def read_labels(path: Path, index: int | None = None) -> np.ndarray:
    """The label map (*S) of item `index` as stored. Raises ReadError."""
    return array_items.read_item_labels(describe(path), index, _values(path))


def read_classes(path: Path) -> list[str] | None:
    """The class of every item as text, None where there are none. Raises ReadError."""
    return array_items.classes_of(describe(path), _values(path))


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map (*S) as the variable `label` of a v5 file, with the spacing of `like`.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
    """
    from scipy.io import savemat

    head = header(like)
    check_grid(labels, head.shape, like)
    saved: dict[str, Any] = {"label": smallest_unsigned(labels, path)}
    if head.spacing is not None:
        key = "spacing" if head.spacing_unit == "mm" else "resolution"
        saved[key] = np.asarray(head.spacing)
    with whole(path) as temporary:
        savemat(temporary, saved, appendmat=False, do_compression=True)
    return path


def describe(path: Path) -> Contents:
    """What the arrays of the file mean, kept while the file does not change. Raises ReadError."""
    return _described(*stamp(path))


@lru_cache(maxsize=64)
def _described(name: str, modified: int, size: int) -> Contents:
    path = Path(name)
    if _is_hdf5(path):
        with hdf5.opened(path) as file:
            stored = list(hdf5.entries_of(path, file))
        entries = [
            Entry(e.name, e.shape[::-1], e.dtype, e.attributes)
            for e in stored
            if not e.name.startswith("#")  # #refs#: the insides of cells
        ]
        return contents(path, entries)
    arrays = _arrays(name, modified, size)
    facts = {k.lower(): a for k, a in arrays.items() if k.lower() in hdf5.FACTS and a.size <= FACT}
    return contents(path, [Entry(k, a.shape, a.dtype, facts) for k, a in arrays.items()])


def _values(path: Path) -> array_items.Values:
    if not _is_hdf5(path):
        arrays = _arrays(*stamp(path))
        return lambda entry, key: arrays[entry.name][key]

    def values(entry: Entry, key: tuple) -> np.ndarray:
        with hdf5.opened(path) as file:
            return np.asarray(file[entry.name][key[::-1]]).T

    return values


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(USER_BLOCK + len(HDF5_MARK))
    return start.startswith(HDF5_MARK) or start.endswith(HDF5_MARK)


@lru_cache(maxsize=2)
def _arrays(name: str, modified: int, size: int) -> Arrays:
    from scipy.io import loadmat

    return dict(_flat(loadmat(name, appendmat=False, simplify_cells=True), ""))


def _flat(fields: Mapping[str, Any], start: str) -> Iterator[tuple[str, np.ndarray]]:
    for key, value in fields.items():
        if key.startswith("__"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{key}/")
        elif isinstance(value, np.ndarray | int | float | np.generic | str):
            array = np.asarray(value)
            array.setflags(write=False)  # it is kept: whoever was given a part must not change it
            yield start + key, array
