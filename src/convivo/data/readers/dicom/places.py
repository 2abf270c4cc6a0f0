"""Volumes of a DICOM folder -> items: the path and index that each is read by, and its id."""

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.readers.dicom.catalogue import dicom_files, image_planes
from convivo.data.readers.dicom.scanning import Scan, scan_all
from convivo.data.readers.dicom.volumes import Volume, volumes_of


@dataclass(frozen=True, kw_only=True)
class Item:
    """A volume of the data set. path, index: what the reader is given. id: relative to DATA."""

    id: str
    path: str
    index: int | None
    volume: Volume


def items_of(root: Path, scans: Sequence[Scan]) -> list[Item]:
    """Every volume: by its file where it has one file, else by the folder that holds its files.

    A folder that holds several volumes is a container: the volume's place in it is its index.
    """
    in_order = sorted(scans, key=lambda one: one.file.path)
    paths = [one.file.path for one in in_order]
    held: dict[str, dict[tuple, int]] = {}
    items = []
    for volume in volumes_of(image_planes(in_order)):
        where = os.path.commonpath(volume.files)
        if where not in held:
            inside = _inside(where, paths, in_order)
            found = volumes_of(image_planes(inside))
            held[where] = {_key(one): place for place, one in enumerate(found)}
        single = len(held[where]) == 1
        index = None if single else held[where][_key(volume)]
        name = Path(os.path.relpath(where, root)).as_posix()
        name = root.name if name == "." else name  # DATA itself is the series
        identity = name if single else f"{name}#{index}"
        items.append(Item(id=identity, path=where, index=index, volume=volume))
    return items


def series_below(root: Path) -> list[tuple[str, Path, int | None]]:
    """Id, path and index of every volume of a folder of DICOM files, and of files not readable.

    What is wrong with them, and with a volume that lacks slices, is told when they are read.
    """
    files = list(dicom_files(root))
    seen = scan_all(files) if files else []
    volumes = items_of(root, [one for one in seen if isinstance(one, Scan)])
    broken = [p for p, one in zip(files, seen, strict=True) if not isinstance(one, Scan)]
    return [
        *((one.id, Path(one.path), one.index) for one in volumes),
        *((path.relative_to(root).as_posix(), path, None) for path in broken),
    ]


def _inside(where: str, paths: Sequence[str], scans: Sequence[Scan]) -> Sequence[Scan]:
    """What lies at or below a path; `paths` are sorted and belong to `scans`."""
    if where in paths[(at := bisect_left(paths, where)) : at + 1]:
        return scans[at : at + 1]
    start = where.rstrip(os.sep) + os.sep
    return scans[bisect_left(paths, start) : bisect_left(paths, start + "\U0010ffff")]


def _key(volume: Volume) -> tuple:
    return tuple((plane.file.path, plane.frame) for plane in volume.planes)
