"""MedMNIST and its like: one .npz with train_images, train_labels and so on for val and test."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from convivo.data.layouts.listing import given_splits
from convivo.data.readers import read_header
from convivo.data.readers.arrays import SPLITS, canonical, container_keys, members
from convivo.data.readers.failures import reading
from convivo.data.sample import Case, Header, Index, Split
from convivo.errors import ReadError

NAME = "medmnist"


@dataclass(frozen=True)
class _Part:
    """One split: its name, where its items start in the global count, labels (n, L)."""

    split: Split
    start: int
    labels: np.ndarray


def matches(root: Path) -> bool:
    """Whether the file, or a file of the folder, is such a container."""
    return bool(_files(root))


def index(root: Path) -> Index:
    """Every image of train, val and test, numbered through in this order: `file.npz#17`.

    Several labels a case (multi-label) leave `Case.target` None: `extra` then holds
    `multi_label` True and `targets`, a uint8 array (cases, L), and the classes are "0" to "L-1".

    Raises:
        ReadError: several such files, or labels that do not fit the images.
    """
    file = _only(root)
    with reading(file, "npz"):
        header = read_header(file)
        parts = list(_parts(file))
    columns = {part.labels.shape[1] for part in parts}
    if len(columns) != 1:
        got = f"{sorted(columns)} labels a case"
        raise ReadError(file, "all splits have as many labels a case", got, "Make them alike")
    multi = columns != {1}
    values = _values(parts, multi)
    extra = {"multi_label": True, "targets": _stacked(file, parts)} if multi else {}
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=len(header.shape),
        cases=given_splits(c for p in parts for c in _cases(file, p, header, values, multi)),
        classes=tuple(str(value) for value in values),
        extra=extra,
    )


def _files(root: Path) -> list[Path]:
    paths = [root] if root.is_file() else sorted(root.glob("[!.]*.[nN][pP][zZ]"))
    return [path for path in paths if path.suffix.lower() == ".npz" and _is_container(path)]


def _is_container(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            return {"train_images", "train_labels"} <= set(canonical(names).values())
    except (OSError, zipfile.BadZipFile):
        return False


def _only(root: Path) -> Path:
    files = _files(root)
    if len(files) != 1:
        got = ", ".join(path.name for path in files) or "none"
        raise ReadError(root, "one container of train_images and train_labels", got, "Name one")
    return files[0]


def _parts(file: Path) -> Iterator[_Part]:
    stacks, start = members(file), 0
    for split in SPLITS:
        if f"{split}_images" not in container_keys(stacks):
            continue
        count = len(stacks[f"{split}_images"])
        key = f"{split}_labels"
        if key not in stacks or len(stacks[key]) != count:
            got = f"{len(stacks[key])} labels" if key in stacks else "no labels"
            rule = f"{split}_images holds {count} items, each with a label in {key}"
            raise ReadError(file, rule, got, "Complete the file")
        labels = stacks[key].array()
        _must_not_be_maps(file, key, labels, stacks[f"{split}_images"].shape)
        labels = labels.reshape(count, -1)
        # numbers to predict may be fractions, classes may not
        if labels.dtype.kind not in ("iub" if labels.shape[1] > 1 else "iubf"):
            rule, remedy = "labels are numbers, several a case whole ones", "Save them so"
            raise ReadError(file, rule, f"{key} of {labels.dtype}", remedy)
        yield _Part(split, start, labels)  # type: ignore[arg-type]
        start += count


def _must_not_be_maps(file: Path, key: str, labels: np.ndarray, images: tuple[int, ...]) -> None:
    """Refuse label maps, which would be taken for as many labels a case as there are samples.

    Raises:
        ReadError: a label for each sample.
    """
    size, channels_last = labels.shape[1:], images[1:-1]
    if size and prod(size) > 1 and size in (images[1:], images[2:], channels_last):
        rule, got = "labels are of whole cases", f"{key} of shape {labels.shape}, a label a sample"
        remedy = "Save images/NAME.npy and labels/NAME.npy, a pair for each case"
        raise ReadError(file, rule, got, remedy)


def _values(parts: list[_Part], multi: bool) -> list[float]:
    """The label values in order: position is class index; of multi-label the column numbers."""
    if multi:
        return list(range(parts[0].labels.shape[1]))
    values = np.unique(np.concatenate([part.labels[:, 0] for part in parts]))
    if values.dtype.kind == "f" and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    return values.tolist()


def _stacked(file: Path, parts: list[_Part]) -> np.ndarray:
    targets = np.concatenate([part.labels for part in parts])
    odd = targets[(targets != 0) & (targets != 1)]
    if odd.size:
        raise ReadError(file, "several labels a case are 0 or 1", odd[0], "Correct the labels")
    return targets.astype(np.uint8)


def _cases(
    file: Path, part: _Part, header: Header, values: list[float], multi: bool
) -> Iterator[Case]:
    image, name = (str(file.absolute()),), file.name
    targets = [None] * len(part.labels)
    if not multi:
        targets = np.searchsorted(values, part.labels[:, 0]).tolist()
    for place, target in enumerate(targets, part.start):
        yield Case(
            id=f"{name}#{place}",
            image=image,
            index=place,
            target=target,
            split=part.split,
            header=header,
        )
