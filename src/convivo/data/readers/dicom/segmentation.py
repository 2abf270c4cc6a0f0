"""DICOM SEG -> label map: each frame is laid on the plane of the image that it was drawn on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from convivo.data.readers.dicom.instance import SEGMENTATIONS
from convivo.data.readers.dicom.opening import open_whole
from convivo.data.readers.dicom.planes import Plane
from convivo.data.readers.dicom.regions import Grid, grid_of, painted, values_of
from convivo.data.readers.dicom.scanning import scan
from convivo.data.readers.dicom.values import require_decoder, stored_frame
from convivo.data.readers.dicom.volumes import LPS_TO_RAS, volumes_of
from convivo.data.readers.failures import truncated
from convivo.errors import ReadError

HALF = 0.5  # of a fractional segmentation, from where a pixel belongs to the segment
ASIDE = 0.1  # voxels that a pixel may lie beside a voxel's centre
LABEL_MAP = SEGMENTATIONS[1]


def segmentation_labels(
    path: Path, like: Path | None, like_index: int | None, names: Sequence[str]
) -> np.ndarray:
    """The map on the grid of `like`, or of the segmentation's own planes.

    Raises:
        ReadError: another grid, pixels beyond it, fewer frames than described.
    """
    one = scan(path)
    if one.file.cut:
        raise truncated(path, one.file.cut)
    planes = one.planes
    grid = _own_grid(planes) if like is None else grid_of(like, like_index)
    values = values_of(one.file.regions, names, path)
    places: dict[int, list[np.ndarray]] = {value: [] for value in values.values()}
    for plane, frame in _frames(path, planes, strict=like is not None):
        for number, mask in _masks(plane, frame):
            if number not in values:
                rule, remedy = "every frame is of a described segment", "Export the file again"
                raise ReadError(path, rule, f"segment {number}", remedy)
            places[values[number]].append(_laid(path, plane, mask, grid))
    return grid.hand_out(painted(places, grid.sizes))


def _own_grid(planes: Sequence[Plane]) -> Grid:
    seen = {plane.position or plane.frame: plane for plane in planes}
    volume = volumes_of(seen.values())[0]
    flat = len(volume.header.shape) == 2
    return Grid(sizes=volume.grid, matrix=volume.matrix, flat=flat)


def _frames(
    path: Path, planes: Sequence[Plane], *, strict: bool
) -> Iterator[tuple[Plane, np.ndarray]]:
    """Frames as masks; strict: all that are described must be there."""
    dataset = open_whole(path)
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if strict and described > len(planes):
        raise truncated(path, f"{len(planes)} frames of {described} that are described")
    require_decoder(path, dataset)
    full = int(dataset.get("MaximumFractionalValue") or 1)
    fractional = str(dataset.get("SegmentationType")) == "FRACTIONAL"
    for plane in planes:
        frame = stored_frame(dataset, plane)
        yield plane, frame >= HALF * full if fractional else frame


def _masks(plane: Plane, frame: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Segment number and where it is; frames of a label map hold all segments."""
    if plane.file.sop_class != LABEL_MAP:
        yield plane.segment or 1, frame != 0
        return
    for number in np.unique(frame[frame != 0]):
        yield int(number), frame == number


def _laid(path: Path, plane: Plane, mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Flat indices on the grid of the pixels of a mask (rows, columns)."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.empty(0, np.int64)
    if grid.matrix is None or not plane.placed:
        voxels = _by_matrix(path, plane, grid, columns, rows)
    else:
        to_grid = np.linalg.inv(grid.matrix) @ LPS_TO_RAS @ plane.matrix()
        points = to_grid[:3, :2] @ np.stack([columns, rows]) + to_grid[:3, 3:]
        voxels = np.round(points).astype(np.int64)
        aside = float(np.abs(points - voxels).max())
        outside = (voxels < 0) | (voxels >= np.array(grid.sizes)[:, None])
        if outside.any() or aside > ASIDE or _scaled(to_grid):
            rule = "a segmentation lies on the voxels of its image"
            got = "pixels outside of it" if outside.any() else f"pixels {aside:.2g} voxels aside"
            remedy = "Resample it to the image, or leave it out"
            raise ReadError(path, rule, "another pixel size" if _scaled(to_grid) else got, remedy)
    return np.ravel_multi_index(tuple(voxels), grid.sizes)


def _scaled(to_grid: np.ndarray) -> bool:
    """Whether a pixel's sides are not one voxel long."""
    return bool(np.abs(np.linalg.norm(to_grid[:3, :2], axis=0) - 1).max() > 0.01)


def _by_matrix(
    path: Path, plane: Plane, grid: Grid, columns: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Without places: pixel for pixel on an image of one plane and the same matrix."""
    if grid.sizes != (plane.file.columns, plane.file.rows, 1):
        got = f"{plane.file.columns} x {plane.file.rows} without a place, for {grid.sizes}"
        rule, remedy = "a segmentation says where its pixels lie", "Resample it to the image"
        raise ReadError(path, rule, got, remedy)
    return np.stack([columns, rows, np.zeros_like(rows)])
