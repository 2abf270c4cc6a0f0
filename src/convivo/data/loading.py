"""Case -> Sample: the arrays of one case and its label map in class indices, checked together.

The step between a layout's index and everything that works on pixels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from convivo.data.joining import check_grids, read_joined
from convivo.data.numbered_maps import numbering, object_map
from convivo.data.readers import label_header, read_events, read_labels
from convivo.data.sample import Case, Events, Header, Index, Sample
from convivo.data.strays import strays_of
from convivo.errors import DataError, ShapeError

NO_STRAYS: Mapping[int, int] = MappingProxyType({})
Target = int | float | np.ndarray | Events | None


def load(case: Case, index: Index) -> Sample:
    """Read one case.

    Several image files become the channels of one image. A label map comes back as class indices
    (uint8, or int32 beyond 256 classes); as stored while the index knows no `label_values`; as
    numbers of objects (int32) where its maps hold such (see `numbered_maps`).

    Raises:
        ReadError: a file cannot be read.
        ShapeError: files of one case differ in shape, or image and label lie differently in space.
        DataError: a label value that is no class.
    """
    given = index.extra.get("channel_names", ())
    names = given if isinstance(given, tuple | list) else ()
    raw = read_joined(case.image, case.index, names=names)
    header = raw.header
    return Sample(
        id=case.id,
        image=raw.array,
        target=_target(case, index, header),
        axes=header.axes,
        spacing=header.spacing,
        spacing_unit=header.spacing_unit,
        affine=header.affine,
        channel_names=header.channel_names,
        unit=case.subject or case.id,
        source=case.image if case.label is None else (*case.image, case.label),
    )


def label_map(case: Case, path: str, *, numbered: bool = False) -> np.ndarray:
    """The label map of a case as stored in `path`, on the grid of its image. Raises ReadError.

    numbered: a mask file per object gives each a number of its own.
    """
    return read_labels(
        path, case.label_index, like=case.image[0], like_index=case.index, names=case.label_names,
        numbered=numbered,
    )  # fmt: skip


def class_map(
    labels: np.ndarray,
    values: Sequence[int],
    path: str,
    strays: Mapping[int, int] = NO_STRAYS,
) -> np.ndarray:
    """Stored values -> class indices (their place in `values`); strays are of their own class's.

    Raises:
        DataError: a value that is not listed.
    Example:
        >>> class_map(np.array([[0, 255]]), (0, 255), "m.png").tolist()
        [[0, 1]]
    """
    if strays:
        labels = labels.copy()
        for odd, owner in strays.items():
            labels[labels == odd] = owner
    known = np.asarray(values, dtype=np.int64)
    order = np.argsort(known)
    place = np.searchsorted(known, labels, sorter=order).clip(max=len(known) - 1)
    classes = order[place]
    odd = known[classes] != labels
    if odd.any():
        rule = f"label values are classes ({', '.join(map(str, values))})"
        got = f"value {int(labels[odd].flat[0])}"
        raise DataError(path, rule, got, "Correct the label map or list the value as a class")
    return classes.astype(np.uint8 if len(known) <= 256 else np.int32)


def _target(case: Case, index: Index, header: Header) -> Target:
    if case.label is None:
        return case.target
    if index.events:
        return read_events(case.label, index.classes, header)
    how = numbering(index)
    labels = label_map(case, case.label, numbered=how == "files")
    if labels.shape != header.shape:
        rule = (
            f"a label map has the shape of its image, {header.shape} ({Path(case.image[0]).name})"
        )
        remedy = "Bring both to one grid or leave the case out"
        raise ShapeError(case.label, rule, labels.shape, remedy)
    place = None if header.affine is None else label_header(case.label, case.label_index)
    if place is not None:
        _check_place(case, header, place)
    return as_indexed(labels, index, case.label)


def as_indexed(labels: np.ndarray, index: Index, path: str) -> np.ndarray:
    """A label map as stored -> class indices, or numbers of objects where the index knows of them.

    Raises:
        DataError: a value that is no class, or no number of an object.
    """
    how = numbering(index)
    if how in ("files", "values"):
        return object_map(labels, how, path)
    if index.label_values is None:
        return labels
    classes = class_map(labels, index.label_values, path, strays_of(index))
    return classes if how is None else object_map(classes, how, path)


def _check_place(case: Case, image: Header, label: Header) -> None:
    if label.affine is not None and case.label is not None:
        check_grids(case.label, image, label)
