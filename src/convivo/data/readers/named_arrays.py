"""Files of several named arrays (HDF5, Zarr, MATLAB): which is the image, which its label.

Names decide (`image`, `x_train`, `label`, `mask` ...), shapes where there are none. What stays
ambiguous is refused, never guessed. The arrays themselves are read by `array_items`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from convivo.data.readers.array_axes import item_shape, without
from convivo.data.sample import Split
from convivo.errors import ReadError

ONE = ("image", "img", "volume", "raw", "signal", "data", "val", "ecg", "eeg")
MANY = ("images", "imgs", "volumes", "signals", "x")
LABELS = ("label", "labels", "mask", "masks", "seg", "segmentation", "segmentations", "y", "gt")
LABELS += ("target", "targets", "annotation", "annotations", "class", "classes")
SPLITS: dict[str, Split] = {"train": "train", "training": "train", "val": "val"}
SPLITS |= {"valid": "val", "validation": "val", "test": "test", "testing": "test"}
ORDER = ("train", "val", "test", None)
FACT = 16  # values; smaller arrays tell of the others (spacing, rate) and are never images
MOST_COLUMNS = 1000  # classes of a one-hot table

Kind = Literal["none", "class", "map"]


@dataclass(frozen=True)
class Entry:
    """An array of a file, not yet read; attributes: what is written about it, keys lower case."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    attributes: Mapping[str, object] = field(default_factory=dict, hash=False, compare=False)

    @property
    def folder(self) -> str:
        """Name of the group it lies in."""
        return self.name.rpartition("/")[0]

    @property
    def words(self) -> list[str]:
        """The words of its own name. The signal of a PhysioNet .mat file is called `val`."""
        return re.split(r"[_.\- ]+", self.name.rpartition("/")[2].lower())

    @property
    def role(self) -> str:
        """The word of the name that says image or label, "" for none."""
        if "names" in self.words:  # class_names
            return ""
        inner = re.split(r"[/_.\- ]+", self.folder.lower())[-1:]  # labels/neurons
        for words, roles in ((self.words, (*LABELS, *MANY, *ONE)), (inner, LABELS)):
            known = [word for word in words if word in roles]
            if known:
                return min(known, key=roles.index)
        return ""

    @property
    def split(self) -> Split | None:
        """The split that the name, or the group's, says."""
        own = [] if self.words == ["val"] else self.words
        words = [*self.folder.lower().split("/"), *own]
        return next((SPLITS[word] for word in words if word in SPLITS), None)

    @property
    def bare(self) -> str:
        """The own name without a split's: arrays that are alike but for it are one data set."""
        return "_".join(word for word in self.words if word not in SPLITS)


@dataclass(frozen=True)
class Part:
    """An image array with its label array, of which kind, and the axis along which items lie.

    axis is None where the array is one item.
    """

    image: Entry
    label: Entry | None = None
    kind: Kind = "none"
    axis: int | None = None

    @property
    def count(self) -> int:
        """How many items it holds."""
        return 1 if self.axis is None else self.image.shape[self.axis]


@dataclass(frozen=True)
class Contents:
    """The items of a file, numbered through its parts: train, val, test, then by name."""

    path: Path
    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        """How many items it holds."""
        return sum(part.count for part in self.parts)

    def place(self, index: int | None) -> tuple[Part, int]:
        """The part that holds item `index`, and the item's place in it. Raises ReadError."""
        if index is None and self.count == 1:
            index = 0
        if index is None or not 0 <= index < self.count:
            rule = f"the file holds the items 0 to {self.count - 1}"
            raise ReadError(self.path, rule, f"item {index}", "Say which item (FILE#INDEX)")
        parts = iter(self.parts)
        part = next(parts)
        while index >= part.count:
            index -= part.count
            part = next(parts)
        return part, index


def contents(path: Path, entries: Sequence[Entry]) -> Contents:
    """What the arrays of a file mean.

    An array called `images`, `x` and the like holds many items along its first axis, and so does
    one whose label array has a class per item; else an array is one item. Groups with an array
    of the same name each are items, in natural order. Names with train, val, test are splits.

    Raises:
        ReadError: no array of numbers, several that could be the image, a label that fits none.
    Example:
        >>> x, y = (Entry(n, s, np.dtype("u1")) for n, s in (("x", (5, 7, 9)), ("y", (5,))))
        >>> [(p.image.name, p.kind, p.count) for p in contents(Path("a.h5"), [x, y]).parts]
        [('x', 'class', 5)]
    """
    images = _images(path, entries)
    parts = [_part(path, image, images, entries) for image in images]
    parts.sort(key=lambda part: (ORDER.index(part.image.split), _natural(part.image.name)))
    return Contents(path, tuple(parts))


def _images(path: Path, entries: Sequence[Entry]) -> list[Entry]:
    numbers = [e for e in entries if e.dtype.kind in "biuf" and math.prod(e.shape) > FACT]
    if not numbers:
        remedy = "Save the image in it as an array, named image"
        raise ReadError(path, "the file holds an array of numbers", "none", remedy)
    found = [e for e in numbers if e.role in (*MANY, *ONE)]
    if found:  # `image` goes before `raw` where both are there
        best = min(map(_rank, found))
        found = [e for e in found if _rank(e) == best]
    else:
        found = _by_shape([e for e in numbers if e.role not in LABELS] or numbers)
    alike = len({e.bare for e in found}) == 1
    if alike and len({(e.folder, e.split) for e in found}) == len(found):
        return found
    shown = ", ".join(f"{e.name} {e.shape}" for e in numbers[:6])
    rule = "one array of the file is the image, told by its name or by its shape"
    raise ReadError(path, rule, shown, "Name the arrays image (or images) and label (or labels)")


def _by_shape(entries: list[Entry]) -> list[Entry]:
    """Of arrays without telling names those with most axes, if they are clearly the image."""
    if len({e.bare for e in entries}) == 1:
        return entries
    most = max(len(e.shape) for e in entries)
    found = [e for e in entries if len(e.shape) == most]
    floats = [e for e in found if e.dtype.kind == "f"]
    # of two arrays of one shape the fractions are the image, the whole numbers its labels
    return floats if len(floats) == 1 and len({e.shape for e in found}) == 1 else found


def _part(path: Path, image: Entry, images: list[Entry], entries: Sequence[Entry]) -> Part:
    labels = [e for e in entries if e.role in LABELS and e not in images]
    near = [e for e in labels if (e.folder, e.split) == (image.folder, image.split)]
    if not near and len(images) == 1:
        near = labels
    near.sort(key=lambda e: LABELS.index(e.role))
    fitting = [part for label in near if (part := _fitted(image, label))]
    if near and not fitting:
        rule = f"the label array fits the image array {image.name} {image.shape}"
        remedy = "Store a class per item, or a label map of the same shape"
        raise ReadError(path, rule, f"{near[0].name} {near[0].shape}", remedy)
    if not near and not image.role:  # a partner without a telling name either
        rest = [e for e in entries if e not in images and e.dtype.kind in "biu"]
        rest = [e for e in rest if math.prod(e.shape) > 1 and e.folder == image.folder]
        fitting = [part for label in rest if (part := _fitted(image, label))]
        fitting = fitting if len(fitting) == 1 else []
    several = 0 if image.role in MANY else None
    return fitting[0] if fitting else Part(image, axis=several)


def _fitted(image: Entry, label: Entry) -> Part | None:
    """The first way in which the label array belongs to the image array."""
    if math.prod(label.shape) == 1:
        return Part(image, label, "class")
    last = len(image.shape) - 1  # MATLAB keeps items there
    if image.role in MANY:
        tries = (("map", 0), ("class", 0), ("map", last), ("class", last), ("map", None))
    else:
        tries = (("map", None), ("class", 0), ("class", last), ("map", 0))
    for kind, axis in tries:
        fits = _map_fits if kind == "map" else _classes_fit
        if fits(image, label, axis):
            return Part(image, label, kind, axis)  # type: ignore[arg-type]
    return None


def _map_fits(image: Entry, label: Entry, axis: int | None) -> bool:
    own = axis if not axis else len(label.shape) - 1  # last of the images, last of the maps
    flat = len(label.shape) < 2
    if axis is not None and own is not None and (flat or label.shape[own] != image.shape[axis]):
        return False
    item = without(image.shape, axis)
    if not 1 <= len(item) <= 4 or label.dtype.kind not in "biuf":
        return False
    spatial = item_shape(item, image.attributes)[1:]
    return _long(without(label.shape, own)) == _long(spatial)


def _classes_fit(image: Entry, label: Entry, axis: int | None) -> bool:
    """One class per item, as a vector or, with few columns, one-hot."""
    count = image.shape[axis or 0]
    if len(image.shape) < 2 or count not in label.shape:
        return False
    if _long(label.shape) == _long((count,)):
        return True
    return len(label.shape) == 2 and label.shape[0] == count and label.shape[1] <= MOST_COLUMNS


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in shape if n > 1)


def _rank(entry: Entry) -> int:
    return 0 if entry.role in MANY else ONE.index(entry.role)


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    parts = re.split(r"([0-9]+)", text)
    return tuple((int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts))
