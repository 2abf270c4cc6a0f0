"""Items of a file of named arrays -> Header, Raw, labels; shared by HDF5, Zarr and MATLAB.

Each of these formats only lists its arrays and reads a part of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convivo.data.readers.array_axes import (
    channels_first,
    item_shape,
    spacing_of,
    without,
)
from convivo.data.readers.containers import item_header
from convivo.data.readers.labels import as_label_map
from convivo.data.readers.named_arrays import Contents, Entry, Part
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

Values = Callable[[Entry, tuple], np.ndarray]
"""Reads a part of an array: (entry, key of slices and places) -> values."""

AXES = {1: "T", 2: "YX", 3: "ZYX"}


def header_of(found: Contents, index: int | None, axes: str = "ZYX") -> Header:
    """The header of an item; without `index`, of the first, with `count` of them all.

    axes: names of the axes of a volume in this format.
    Raises:
        ReadError: no such item, or axes that are no signal, image or volume.
    """
    part, _ = found.place(0 if index is None else index)
    stored = without(part.image.shape, part.axis)
    if not 1 <= len(stored) <= 4 or 0 in stored:
        rule = "an item has one to three spatial axes, and one of channels"
        got = f"{part.image.name} with items of shape {stored}"
        raise ReadError(found.path, rule, got, "Save one image, volume or signal per item")
    shape = item_shape(stored, part.image.attributes)
    head = item_header(shape, part.image.dtype, count=found.count)
    spacing, unit = spacing_of(part.image.attributes, len(shape) - 1)
    names = AXES[len(shape) - 1] if len(shape) < 4 else axes
    return replace(head, spacing=spacing, spacing_unit=unit, axes=names)


def read_item(found: Contents, index: int | None, values: Values, axes: str = "ZYX") -> Raw:
    """An item as (C, *S). Raises ReadError: no such item, or several and none named."""
    part, place = found.place(index)
    head = header_of(found, 0 if index is None else index, axes)
    array = np.asarray(values(part.image, _key(part, part.image, place)))
    return Raw(array=channels_first(array, part.image.attributes), header=head)


def read_item_labels(found: Contents, index: int | None, values: Values) -> np.ndarray:
    """The label map (*S) of an item; of a file without a label array, its image array is the map.

    Raises:
        ReadError: no such item, labels that are a class per item, values that are no classes.
    """
    part, place = found.place(index)
    if part.kind == "class":
        rule = "the file holds a label map"
        got = f"a class per item in {part.label.name if part.label else ''}"
        raise ReadError(found.path, rule, got, "Use it for classification")
    entry = part.label or part.image
    array = np.asarray(values(entry, _key(part, entry, place)))
    if part.label is None:
        return as_label_map(channels_first(array, entry.attributes), found.path)
    item = without(part.image.shape, part.axis)
    return as_label_map(array.reshape(1, *item_shape(item, part.image.attributes)[1:]), found.path)


def classes_of(found: Contents, values: Values) -> list[str] | None:
    """The class of every item as text, in order; None where the file has none.

    Rows of zeros with a single one are one-hot. Names of bytes are UTF-8.

    Raises:
        ReadError: classes of some parts only, or rows that are no class.
    """
    kinds = {part.kind for part in found.parts}
    if "class" not in kinds:
        return None
    if len(kinds) > 1:
        got = ", ".join(sorted(kinds))
        raise ReadError(found.path, "all parts have labels of one kind", got, "Make them alike")
    texts: list[str] = []
    for part in found.parts:
        assert part.label is not None, "a part of kind class has a label"
        whole = (slice(None),) * len(part.label.shape)
        texts += _texts(found.path, np.asarray(values(part.label, whole)), part.count)
    return texts


def _texts(path: Path, stored: np.ndarray, count: int) -> list[str]:
    if stored.size == count:
        return [_text(value) for value in stored.reshape(-1).tolist()]
    table = stored.reshape(count, -1)
    if not (((table == 0) | (table == 1)).all() and (table.sum(axis=1) == 1).all()):
        rule, got = "an item has one class", f"a table of labels {table.shape} that is not one-hot"
        raise ReadError(path, rule, got, "Store a class number or name per item")
    return [str(place) for place in table.argmax(axis=1).tolist()]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _key(part: Part, entry: Entry, place: int) -> tuple:
    """The slices that cut item `place` out of an array."""
    full: Sequence[slice] = (slice(None),) * len(entry.shape)
    if part.axis is None:
        return tuple(full)
    axis = part.axis if part.axis == 0 else len(entry.shape) - 1
    return (*full[:axis], place, *full[axis + 1 :])
