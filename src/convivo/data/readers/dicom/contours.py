"""RT Structure Set -> label map: contours filled slice by slice on the grid of their series."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convivo.data.readers.dicom.elements import whole
from convivo.data.readers.dicom.opening import open_header
from convivo.data.readers.dicom.references import closed, drawn_items
from convivo.data.readers.dicom.regions import Grid, grid_of, painted, values_of
from convivo.data.readers.dicom.scanning import scan
from convivo.data.readers.dicom.volumes import LPS_TO_RAS
from convivo.errors import ReadError

if TYPE_CHECKING:
    from pydicom import Dataset

ASIDE = 0.5  # slices that the points of a contour may lie beside its slice


def contour_labels(
    path: Path, like: Path | None, like_index: int | None, names: Sequence[str]
) -> np.ndarray:
    """The map on the grid of `like`: a voxel is inside where its centre is.

    A contour within another of its structure cuts a hole (even-odd rule); contours are not
    continued to slices between them.

    Raises:
        ReadError: no image to draw on, one without a place, contours beside or across its slices.
    """
    if like is None:
        rule, remedy = "contours are drawn on an image", "Give the folder of the series with them"
        raise ReadError(path, rule, "contours alone", remedy)
    grid = grid_of(like, like_index)
    if grid.matrix is None:
        rule, remedy = "contours need slices with a position", "Export the series again"
        raise ReadError(like, rule, "none", remedy)
    values = values_of(scan(path).file.regions, names, path)
    dataset, _ = open_header(path)
    places: dict[int, list[np.ndarray]] = {value: [] for value in values.values()}
    for item in drawn_items(dataset):
        number = whole(item, "ReferencedROINumber")
        if number in values:
            places[values[number]].append(_filled(path, item, grid))
    return grid.hand_out(painted(places, grid.sizes))


def _filled(path: Path, item: "Dataset", grid: Grid) -> np.ndarray:
    """Flat indices of the voxels inside one structure."""
    slices: dict[tuple[int, int], np.ndarray] = {}
    for contour in item.ContourSequence:
        if not closed(contour):
            continue
        points = _points(path, contour, grid)
        across, place, flat = _slice_of(path, points, grid)
        mask = slices.setdefault((across, place), np.zeros(_without(grid.sizes, across), bool))
        mask ^= _inside(flat, mask.shape)
    parts = []
    for (across, place), mask in slices.items():
        inside = list(np.nonzero(mask))
        inside.insert(across, np.full(len(inside[0]), place))
        parts.append(np.ravel_multi_index(tuple(inside), grid.sizes))
    return np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64)


def _points(path: Path, contour: "Dataset", grid: Grid) -> np.ndarray:
    """The corners (n, 3) as indices of the grid."""
    data = np.array(contour.get("ContourData") or [], dtype=np.float64)
    if data.size % 3 or not np.isfinite(data).all():
        rule, remedy = "contours are points of three coordinates", "Export the file again"
        raise ReadError(path, rule, f"{data.size} numbers", remedy)
    assert grid.matrix is not None
    to_grid = np.linalg.inv(grid.matrix) @ LPS_TO_RAS
    return data.reshape(-1, 3) @ to_grid[:3, :3].T + to_grid[:3, 3]


def _slice_of(path: Path, points: np.ndarray, grid: Grid) -> tuple[int, int, np.ndarray]:
    """The axis across the contour's slice, the slice, and the corners (n, 2) within it.

    A contour lies in a slice, so one index is the same for all corners: that of the last axis, or
    of another where the grid was cut otherwise than the series that was drawn on.
    """
    if not len(points):
        return 2, 0, points[:, :2]
    spread = np.ptp(points, axis=0)
    across = 2 if spread[2] < ASIDE else int(np.argmin(spread))
    place = round(float(points[:, across].mean()))
    aside = float(np.abs(points[:, across] - place).max())
    rule, remedy = "contours lie in the slices of their series", "Resample them, or leave them out"
    if aside > ASIDE + 1e-6:
        raise ReadError(path, rule, f"corners {aside:.2g} slices aside", remedy)
    if not 0 <= place < grid.sizes[across]:
        raise ReadError(path, rule, f"slice {place} of {grid.sizes[across]}", remedy)
    return across, place, np.delete(points, across, axis=1)


def _without(sizes: tuple[int, int, int], axis: int) -> tuple[int, int]:
    first, second = (size for place, size in enumerate(sizes) if place != axis)
    return first, second


def _inside(corners: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(n, 2) -> bool (a, b): centres within the polygon, or on its first-met edges."""
    from skimage.draw import polygon2mask

    if len(corners) < 3:
        return np.zeros(shape, bool)
    return polygon2mask(shape, corners)
