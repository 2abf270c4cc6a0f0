"""Regions of a label object laid on the grid of an image: segments and contours become one map."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convivo.data.readers.dicom.catalogue import volume_at
from convivo.errors import ReadError


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where labels are laid: the sizes (i, j, k), the matrix to RAS mm, and the planes' uids.

    flat: the image is (rows, columns), so that the map is turned before it is handed out.
    """

    sizes: tuple[int, int, int]
    matrix: np.ndarray | None
    uids: tuple[str, ...] = ()
    flat: bool = False

    def hand_out(self, labels: np.ndarray) -> np.ndarray:
        """(i, j, k) -> the axes of the image."""
        return np.ascontiguousarray(labels[:, :, 0].T) if self.flat else labels


def grid_of(path: Path, index: int | None) -> Grid:
    """The grid of an image, DICOM or any volume with an affine.

    Raises:
        ReadError: it cannot be read, or does not say where it lies.
    """
    from convivo.data.readers import read_header
    from convivo.data.readers.dicom import reads

    if reads(path):
        volume = volume_at(path, index)
        uids = tuple(plane.file.uid for plane in volume.planes)
        flat = len(volume.header.shape) == 2
        return Grid(sizes=volume.grid, matrix=volume.matrix, uids=uids, flat=flat)
    header = read_header(path, index)
    if header.affine is None or len(header.shape) != 3:
        rule, remedy = "labels from DICOM need an image with a place", "Give the DICOM series"
        raise ReadError(path, rule, f"axes {header.axes}, no affine", remedy)
    i, j, k = header.shape
    return Grid(sizes=(i, j, k), matrix=header.affine)


def values_of(
    regions: Sequence[tuple[int, str]], names: Sequence[str], path: Path
) -> dict[int, int]:
    """Number of each region -> its value in the map.

    With `names` the place of its name in them, counted from 1. Without: its name where all names
    are whole numbers (maps written without class names), else its own number.

    Raises:
        ReadError: a region that is not among `names`.
    """
    if names:
        unknown = [name for _, name in regions if name not in names]
        if unknown:
            rule = f"regions are classes ({', '.join(names)})"
            raise ReadError(path, rule, repr(unknown[0]), "Add the class or remove the region")
        return {number: names.index(name) + 1 for number, name in regions}
    if regions and all(name.isascii() and name.isdecimal() for _, name in regions):
        return {number: int(name) for number, name in regions}
    return {number: number for number, _ in regions}


def painted(places: Mapping[int, Iterable[np.ndarray]], sizes: tuple[int, int, int]) -> np.ndarray:
    """Regions as flat indices by value -> one map (i, j, k).

    Where regions overlap, the smaller one is kept: it would be lost under the larger.
    """
    joined = {value: np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64)
              for value, parts in places.items()}  # fmt: skip
    largest = max(joined, default=0)
    labels = np.zeros(sizes, np.uint8 if largest < 256 else np.uint16 if largest < 65536 else int)
    flat = labels.reshape(-1)
    for value in sorted(joined, key=lambda value: (-len(joined[value]), value)):
        flat[joined[value]] = value
    return labels
