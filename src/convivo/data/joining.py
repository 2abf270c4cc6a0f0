"""The files of one case -> one image: its channels, checked to lie on the same voxels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convivo.data.readers import read
from convivo.data.sample import Header, Raw
from convivo.errors import ShapeError

GRID_TOLERANCE = 0.5  # voxels that the corners of two files may lie apart


def read_joined(
    paths: Sequence[str | Path], index: int | None = None, *, names: Sequence[str] = ()
) -> Raw:
    """One image (C, *S) of one file, or of a file for each channel or several.

    Args:
        names: of all channels, where the files do not name them.
    Returns:
        the channels in the order of the files, with the first file's header; its channels and
        their names are those of all.
    Raises:
        ReadError: a file cannot be read. ShapeError: the files differ in shape or place.
    """
    raws = [read(path, index) for path in paths]
    for path, raw in zip(paths[1:], raws[1:], strict=True):
        _check_alike(path, raw.header, raws[0].header)
    array = raws[0].array if len(raws) == 1 else np.concatenate([raw.array for raw in raws])
    known = _names([raw.header for raw in raws], names, len(array))
    return Raw(
        array=array, header=replace(raws[0].header, channels=len(array), channel_names=known)
    )


def _check_alike(path: str | Path, one: Header, first: Header) -> None:
    if one.shape != first.shape:
        rule = f"the channels of one case have one shape, {first.shape}"
        raise ShapeError(path, rule, one.shape, "Bring them to one grid")
    if first.affine is not None and one.affine is not None:
        check_grids(path, first, one)


def check_grids(path: str | Path, one: Header, other: Header) -> None:
    """Refuse grids of one shape that lie differently: voxel k is not the same place in both.

    A shift as a whole is let pass (origins are often lost in conversion), a turn or flip is not.

    Raises:
        ShapeError: they do; it names `path`, the file of `other`.
    """
    assert one.affine is not None
    assert other.affine is not None
    difference = (one.affine[:3, :3] - other.affine[:3, :3]) * np.asarray(one.shape[:3])
    apart = np.abs(difference).max()
    if one.axes == other.axes and apart <= GRID_TOLERANCE * min(one.spacing or (1.0,)):
        return
    rule = f"files of a case lie on the same voxels (axes {one.axes}, spacing {one.spacing})"
    got = f"axes {other.axes}, spacing {other.spacing}, corners {apart:.3g} mm apart"
    raise ShapeError(path, rule, got, "Resample or reorient one to the other")


def _names(headers: Sequence[Header], given: Sequence[str], channels: int) -> tuple[str, ...]:
    own = tuple(name for header in headers for name in header.channel_names)
    if len(own) == channels:
        return own
    return tuple(map(str, given)) if len(given) == channels else ()
