"""A file or a folder of DICOM files -> the volumes in it, in an order that a case can count on.

A folder is a container: its items are the volumes of all files below it. Where it holds one, it is
that volume; else a case names the volume by its place (`folder#2`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from convivo.data.readers.dicom.opening import class_name, is_dicom
from convivo.data.readers.dicom.planes import Plane
from convivo.data.readers.dicom.scanning import Scan, scan, scan_all
from convivo.data.readers.dicom.volumes import Volume, volumes_of
from convivo.errors import ReadError

SUFFIXES = (".dcm", ".dicom", ".ima")
INDEXES = ("dicomdir",)
NOTHING = "Name a file or folder with CT, MR or other images"


def volumes_in(path: Path) -> list[Volume]:
    """The volumes of a file, or of all files at any depth of a folder.

    Files that are no DICOM are passed over. So is a damaged one that does not say of which series
    it is, unless the folder holds one volume: then it is an error, as its slice may be missing.
    A segmentation counts only where it is named itself.

    Raises:
        ReadError: no image there, or a file that cannot be read.
    """
    if path.is_file():
        one = scan(path)
        found = volumes_of(_once(one) if one.file.kind == "segmentation" else one.planes)
        if not found:
            raise _no_image(path, one)
        return found
    seen = scan_all(list(dicom_files(path)))
    scans = [one for one in seen if isinstance(one, Scan)]
    found = volumes_of(image_planes(scans))
    errors = [one for one in seen if isinstance(one, ReadError)]
    if len(found) < 2 and errors:
        raise errors[0]
    if not found:
        rule, got = "a folder of DICOM files holds an image", f"{len(scans)} files of other kinds"
        raise ReadError(path, rule, got, NOTHING)
    return found


def volume_at(path: Path, index: int | None) -> Volume:
    """One volume; `index` is needed where there are several.

    Raises:
        ReadError: as `volumes_in`; several and no index; no such index; slices missing.
    """
    found = volumes_in(path)
    if index is None and len(found) > 1:
        rule = "one volume (series, orientation, moment)"
        remedy = f"Name one of them, {path.name}#0 to {path.name}#{len(found) - 1}"
        raise ReadError(path, rule, f"{len(found)} volumes", remedy)
    if not 0 <= (index or 0) < len(found):
        rule = f"an item from 0 to {len(found) - 1}"
        raise ReadError(path, rule, index, "Give the place of a volume in the folder")
    volume = found[index or 0]
    volume.require_whole()
    return volume


def image_planes(scans: Sequence[Scan]) -> list[Plane]:
    """The planes of all images; of doses only where there is nothing else."""
    planes = [p for one in scans if one.file.kind == "image" for p in one.planes]
    return [p for p in planes if p.file.modality != "RTDOSE"] or planes


def dicom_files(folder: Path) -> Iterator[Path]:
    """Every file below that is DICOM by suffix, or by its beginning where it has none we know."""
    return (path for path in visible_files(folder) if may_be_dicom(path))


def may_be_dicom(path: Path) -> bool:
    """Whether a file is to be taken for DICOM; a file of another known format is not opened."""
    from convivo.data.readers import suffix_of

    if path.suffix.lower() in SUFFIXES:
        return True
    if suffix_of(path) is not None or path.name.lower() in INDEXES:
        return False
    return is_dicom(path)


def visible_files(folder: Path) -> Iterator[Path]:
    """Files at any depth in the order of their names; hidden ones and links to folders left out.

    A folder that is an item of another format (Zarr) is handed out as one.
    """
    from convivo.data.readers import is_folder_item

    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        rule, got = "the folder can be opened", error.strerror or "an error"
        raise ReadError(folder, rule, got, "Check the path and your rights") from error
    inner = []
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_file() or is_folder_item(entry):
            yield entry
        elif entry.is_dir() and not entry.is_symlink():
            inner.append(entry)
    for entry in inner:
        yield from visible_files(entry)


def _once(one: Scan) -> list[Plane]:
    """The planes of a segmentation, each place once, whatever the segment."""
    seen = {plane.position or plane.frame: replace(plane, marks=()) for plane in one.planes}
    return list(seen.values())


def _no_image(path: Path, one: Scan) -> ReadError:
    rule = "a DICOM file holds an image"
    if one.file.kind == "contours":
        remedy = "Give the folder of the series: contours are labels of its slices"
        return ReadError(path, rule, "contours (RT Structure Set)", remedy)
    return ReadError(path, rule, class_name(one.file.sop_class) or "an unknown class", NOTHING)
