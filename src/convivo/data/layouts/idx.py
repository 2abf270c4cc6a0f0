"""IDX pairs as MNIST has them: images and labels, for train and, where given, for test."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convivo.data.layouts.listing import given_splits
from convivo.data.readers import read_header
from convivo.data.readers.failures import reading
from convivo.data.readers.idx import values as idx_values
from convivo.data.sample import Case, Header, Index, Split
from convivo.errors import ReadError

NAME = "idx"

IMAGES = re.compile(r"^(?P<part>.*)images?[-._]idx[2-4](-ubyte)?(\.gz)?$", re.IGNORECASE)
LABELS = re.compile(r"^(?P<part>.*)labels?[-._]idx1(-ubyte)?(\.gz)?$", re.IGNORECASE)
PARTS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "test": "test"}
PARTS |= {"t10k": "test", "validation": "val"}


def matches(root: Path) -> bool:
    """Whether the folder holds a file of images and one of labels (a file: its folder does)."""
    if root.is_file():
        return IMAGES.match(root.name) is not None and bool(_found(root.parent, LABELS))
    return root.is_dir() and bool(_found(root, IMAGES)) and bool(_found(root, LABELS))


def index(root: Path) -> Index:
    """Every image with its label; `train-` and `t10k-` or `test-` are the given split.

    Raises:
        ReadError: images without labels, numbers that differ, a damaged file.
    """
    folder = root.parent if root.is_file() else root
    images, labels = _found(folder, IMAGES), _found(folder, LABELS)
    if root.is_file():
        images = {part: path for part, path in images.items() if path.name == root.name}
    headers = {path: read_header(path) for path in images.values()}
    dims = {len(header.shape) for header in headers.values()}
    if len(dims) != 1:
        raise ReadError(root, "all images have as many axes", sorted(dims), "Choose one data set")
    targets = {part: _labels(part, path, headers[path], labels) for part, path in images.items()}
    values = np.unique(np.concatenate(list(targets.values())))
    ordered = sorted(images, key=lambda part: (_split(part) != "train", part))
    cases = (
        case
        for part in ordered
        for case in _cases(images[part], part, headers[images[part]], targets[part], values)
    )
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=dims.pop(),
        cases=given_splits(cases),
        classes=tuple(str(value) for value in values.tolist()),
    )


def _found(folder: Path, kind: re.Pattern[str]) -> dict[str, Path]:
    """Name before "images" or "labels" -> file; the plain file where both are there."""
    found = {}
    for path in sorted(folder.iterdir(), reverse=True):
        match = kind.match(path.name)
        if match and path.name[0] != "." and path.is_file():
            found[match["part"].lower()] = path
    return found


def _labels(part: str, path: Path, header: Header, labels: dict[str, Path]) -> np.ndarray:
    if part not in labels:
        raise ReadError(path, "images have a file of labels beside them", "none", "Add the labels")
    with reading(labels[part], "idx"):
        values = idx_values(labels[part])
    if values.ndim != 1 or len(values) != header.count or values.dtype.kind not in "iu":
        rule = f"one whole number for each of the {header.count} images of {path.name}"
        got = f"shape {values.shape} of {values.dtype}"
        raise ReadError(labels[part], rule, got, "Choose the labels of these images")
    return values


def _split(part: str) -> Split | None:
    return PARTS.get(part.strip("-._"))


def _cases(
    path: Path, part: str, header: Header, labels: np.ndarray, values: np.ndarray
) -> Iterator[Case]:
    image, name, split = (str(path.absolute()),), path.name, _split(part)
    for place, target in enumerate(np.searchsorted(values, labels).tolist()):
        yield Case(
            id=f"{name}#{place}",
            image=image,
            index=place,
            target=target,
            split=split,
            header=header,
        )
