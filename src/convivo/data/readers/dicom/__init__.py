"""DICOM in and out: files, folders of slices, segmentations, contours (extra `dicom`).

opening, elements -> instance, planes, scanning (one file) -> ordering, volumes, catalogue (a grid
in RAS mm) -> values (pixels); references, regions, segmentation, contours (labels on that grid);
writing (a label map as DICOM SEG).

Paths: a file, or a folder whose files at any depth make one volume or, with an index, several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convivo.data.readers.dicom.catalogue import (
    SUFFIXES,
    may_be_dicom,
    visible_files,
    volume_at,
    volumes_in,
)
from convivo.data.readers.dicom.scanning import scan
from convivo.data.readers.dicom.values import decoded, type_of
from convivo.data.readers.dicom.volumes import Volume
from convivo.data.readers.dicom.writing import write_segmentation
from convivo.data.sample import Header, Raw

__all__ = [
    "SUFFIXES",
    "header",
    "laid_on_image",
    "read",
    "read_labels",
    "reads",
    "write_labels",
    "write_segmentation",
]


def reads(path: Path) -> bool:
    """Whether a file or folder is DICOM, by its name or its beginning; of a folder, a file in it.

    Example:
        >>> reads(Path("a/1.dcm")), reads(Path("a/1.png"))
        (True, False)
    """
    if path.is_dir():
        return any(may_be_dicom(file) for file in visible_files(path))
    return may_be_dicom(path)


def laid_on_image(path: Path) -> bool:
    """Whether `read_labels` lays the file on the grid of its image. Raises ReadError."""
    return path.is_file() and scan(path).file.kind in ("segmentation", "contours")


def header(path: Path, index: int | None = None) -> Header:
    """Shape, spacing and affine of a volume; of several without an index, the first and `count`.

    A volume is (columns, rows, slices) with the affine in RAS mm, the convention of NIfTI files;
    a single plane is an image (rows, columns). subject: a pseudonym, made from the PatientID.

    Raises:
        ReadError: no image, a damaged or truncated file, slices missing, no such volume.
        UsageError: the package pydicom is missing.
    """
    if index is not None:
        return volume_at(path, index).header
    found = volumes_in(path)
    if len(found) == 1:
        found[0].require_whole()
    return replace(found[0].header, count=len(found))


def read(path: Path, index: int | None = None) -> Raw:
    """The values of a volume, (C, columns, rows, slices), or of an image, (C, rows, columns).

    Scaled (RescaleSlope, RescaleIntercept, tables, dose), MONOCHROME1 inverted so that bright is
    much, colours as RGB. A segmentation is read as its map of segment numbers.

    Raises:
        ReadError: as `header`; a compression without a decoder; several volumes and no index.
    """
    volume = volume_at(path, index)
    if volume.planes[0].file.kind == "segmentation":
        array = read_labels(path)[np.newaxis]
        return Raw(array=array, header=replace(volume.header, dtype=array.dtype.name))
    return Raw(array=_stacked(volume), header=volume.header)


def read_labels(
    path: Path,
    index: int | None = None,
    *,
    like: Path | None = None,
    like_index: int | None = None,
    names: Sequence[str] = (),
) -> np.ndarray:
    """The label map on the grid of the image `like`, class values as integers.

    Args:
        path: a DICOM SEG, an RT Structure Set, or an image whose values are the labels.
        names: of the regions, in the order of their values 1, 2, ...; without them a region has
            its own number (its name, where that is one).
    Raises:
        ReadError: regions that do not fit the image, or are none of `names`.
    """
    from convivo.data.readers.dicom.contours import contour_labels
    from convivo.data.readers.dicom.segmentation import segmentation_labels
    from convivo.data.readers.labels import as_label_map

    kind = scan(path).file.kind if path.is_file() else "image"
    if kind == "segmentation":
        return segmentation_labels(path, like, like_index, names)
    if kind == "contours":
        return contour_labels(path, like, like_index, names)
    return as_label_map(read(path, index).array, path)


def write_labels(
    path: Path,
    labels: np.ndarray,
    *,
    like: Path,
    like_index: int | None = None,
    names: Mapping[int, str] | None = None,
    keep_identifiers: bool = False,
) -> Path:
    """Save a map as DICOM SEG of the series `like`; each value is a segment.

    Args:
        names: of the segments by value; else each is called by its value.
        keep_identifiers: take over what the images say of the patient.

    Returns:
        the path written, which ends in .dcm.
    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        UsageError: the image lacks what a segmentation must refer to; a package is missing.
    """
    largest = int(labels.max()) if labels.size else 0
    values = np.unique(labels[labels > 0]) if labels.dtype.kind in "iub" else np.empty(0, int)
    found = {int(value): str(value) for value in values} or {max(largest, 1): "1"}
    return write_segmentation(
        path, labels, like=like, classes=names or found, like_index=like_index,
        keep_identifiers=keep_identifiers,
    )  # fmt: skip


def _stacked(volume: Volume) -> np.ndarray:
    """All planes of a volume, in the axes of its header."""
    planes, file = volume.planes, volume.planes[0].file
    if len(volume.header.shape) == 2:
        return next(decoded(planes))
    array = np.empty((file.colours, len(planes), file.rows, file.columns), type_of(planes))
    for place, plane in enumerate(decoded(planes)):
        array[:, place] = plane
    return np.ascontiguousarray(array.transpose(0, 3, 2, 1))
