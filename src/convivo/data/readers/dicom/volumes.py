"""Planes -> volumes: which planes belong together, in which order, and where the block lies.

A volume has one series, matrix, orientation and moment. Its planes are ordered by their position
along the normal, never by name; what is wrong with the stack is kept as faults.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convivo.data.readers.dicom.ordering import Fault, ordered_stacks
from convivo.data.readers.dicom.planes import Plane
from convivo.data.readers.dicom.values import type_of
from convivo.data.readers.failures import truncated
from convivo.data.sample import Header
from convivo.errors import ReadError

STACKED = ("CT", "MR", "PT")  # series of these are stacks even where no file has a position
LPS_TO_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
TURNED = 1e-3  # difference of directions (cosines) that is more than rounding
TILTED = 0.02  # shift from slice to slice, as a part of their distance
UNEVEN = 0.05  # difference of distances, as a part of the usual one
SHIFTED = 0.5  # pixels that a slice may lie beside the line of the others


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Planes in order, and the grid they make.

    header: shape (columns, rows, planes) with the affine in RAS mm as in NIfTI files; a single
    plane is an image: (rows, columns), no affine. matrix: (i, j, k) -> RAS mm of volumes and of
    placed single planes. faults: what is wrong, `fatal` ones first.
    """

    planes: tuple[Plane, ...]
    header: Header
    matrix: np.ndarray | None
    faults: tuple[Fault, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Paths in the order of the planes, each once."""
        return tuple(dict.fromkeys(plane.file.path for plane in self.planes))

    @property
    def grid(self) -> tuple[int, int, int]:
        """Columns, rows, planes: the axes of `matrix`."""
        file = self.planes[0].file
        return file.columns, file.rows, len(self.planes)

    def require_whole(self) -> None:
        """Raises ReadError where slices are missing or cut: what lies beyond would be wrong."""
        for fault in self.faults:
            if fault.fatal and fault.path:
                raise truncated(fault.path, fault.message)
            if fault.fatal:
                rule = "the slices of a series are complete"
                raise ReadError(self.files[0], rule, fault.message, fault.remedy)


def volumes_of(planes: Iterable[Plane]) -> list[Volume]:
    """All volumes among the planes, by series number, series, and first file; whatever their order.

    Raises:
        ReadError: scales that give no number type.
    """
    groups: dict[tuple, list[list[Plane]]] = {}
    for plane in sorted(planes, key=lambda plane: (plane.file.path, plane.frame)):
        alike = groups.setdefault(_key(plane), [])
        group = next((g for g in alike if _parallel(g[0], plane)), None)
        if group is None:
            alike.append([plane])
        else:
            group.append(plane)
    return [
        _volume(stack, faults)
        for _, alike in sorted(groups.items())
        for group in alike
        for stack, faults in ordered_stacks(group)
    ]


def _key(plane: Plane) -> tuple:
    """What all planes of a volume share to the letter."""
    file = plane.file
    alone = not plane.placed and not (file.modality in STACKED and file.frames == 1)
    if plane.location is not None and file.frames == 1:
        alone = False
    return (
        file.series_number,
        file.series,
        file.uid if alone or not file.series else "",
        file.rows,
        file.columns,
        file.colours,
        "LOCALIZER" in file.image_type,
        plane.stack,
        plane.placed,
        file.stored.str,
    )


def _parallel(one: Plane, other: Plane) -> bool:
    if not (one.placed and other.placed):
        return True
    turned = np.abs(np.subtract(one.directions or (), other.directions or ())).max()
    scaled = np.abs(np.divide(one.spacing or (), other.spacing or ()) - 1).max()
    return bool(turned <= TURNED and scaled <= TURNED)


def _volume(planes: Sequence[Plane], faults: Sequence[Fault]) -> Volume:
    first = planes[0]
    flat = len(planes) == 1 and first.file.frames == 1 and first.file.modality != "RTDOSE"
    matrix, spacing, found = _place(planes)
    shape = (first.file.columns, first.file.rows, len(planes))
    header = Header(
        shape=(first.file.rows, first.file.columns) if flat else shape,
        channels=first.file.colours,
        dtype=type_of(planes).name,
        axes="YX" if flat else _codes(matrix),
        spacing=first.spacing if flat else spacing,
        spacing_unit="mm" if first.spacing else "px",
        affine=None if flat else matrix,
        subject=first.file.subject,
    )
    found = [*_cut(planes), *found]
    every = sorted((*faults, *found), key=lambda fault: not fault.fatal)
    return Volume(planes=tuple(planes), header=header, matrix=matrix, faults=tuple(every))


def _cut(planes: Sequence[Plane]) -> Iterator[Fault]:
    for file in {plane.file.path: plane.file for plane in planes}.values():
        if file.cut:
            remedy = "Copy or download the file again"
            yield Fault("truncated", file.cut, remedy, fatal=True, path=file.path)


def _codes(matrix: np.ndarray | None) -> str:
    import nibabel

    return "IJK" if matrix is None else "".join(map(str, nibabel.aff2axcodes(matrix)))


def _place(
    planes: Sequence[Plane],
) -> tuple[np.ndarray | None, tuple[float, ...] | None, list[Fault]]:
    """The matrix to RAS mm, the spacing (i, j, k), and faults of the stack."""
    first, number = planes[0], len(planes)
    if not first.placed:
        gap = first.gap or first.thickness
        known = (first.spacing[1], first.spacing[0], abs(gap)) if first.spacing and gap else None
        return None, known, []
    matrix = first.matrix()
    faults: list[Fault] = []
    if number == 1:
        matrix[:3, 2] *= abs(first.gap or first.thickness or 1.0)
    else:
        places = np.array([plane.position for plane in planes])
        matrix[:3, 2], faults = _step(places, matrix[:3, 2], min(first.spacing or (1.0,)))
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return LPS_TO_RAS @ matrix, tuple(map(float, spacing)), faults


def _step(places: np.ndarray, normal: np.ndarray, pixel: float) -> tuple[np.ndarray, list[Fault]]:
    """From one slice to the next, in LPS mm, and what speaks against a regular stack."""
    distances = np.diff(places @ normal)
    usual = float(np.median(distances))
    step = (places[-1] - places[0]) / (len(places) - 1)
    # a hundredth of a millimetre is how coarsely positions are often written
    if np.abs(distances - usual).max() > max(UNEVEN * usual, 0.011):
        return _irregular(distances, step, normal)
    return step, list(_shifts(places, step, normal, pixel))


def _irregular(
    distances: np.ndarray, step: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, list[Fault]]:
    least = distances.min()
    unit = float(distances[distances < 1.5 * least].mean())
    whole = np.round(distances / unit)
    shown = f"from {least:.4g} to {distances.max():.4g} mm"
    if np.abs(distances / unit - whole).max() > 0.1:
        message = f"the slices lie unevenly, {shown} apart: the volume is read as if evenly"
        return step, [Fault("uneven-slices", message, "Resample the series or leave it out")]
    number, gaps = int((whole - 1).sum()), int((whole > 1).sum())
    message = f"{number} missing among {len(distances) + 1} slices ({gaps} gaps; {shown} apart)"
    remedy = "Export the series again, whole"
    along = step / (step @ normal) * unit
    return along, [Fault("missing-slices", message, remedy, fatal=True)]


def _shifts(
    places: np.ndarray, step: np.ndarray, normal: np.ndarray, pixel: float
) -> Iterator[Fault]:
    """Slices that do not lie straight above each other."""
    line = places[0] + np.arange(len(places))[:, None] * step
    aside = float(np.linalg.norm(places - line, axis=1).max())
    if aside > SHIFTED * pixel:
        message = f"slices lie up to {aside:.4g} mm beside the line of the others"
        yield Fault("uneven-slices", message, "Resample the series or leave it out")
    along = float(step @ normal)
    across = float(np.linalg.norm(step - along * normal))
    if across > TILTED * along:
        angle = np.degrees(np.arctan2(across, along))
        message = f"the gantry was tilted: slices are sheared by {angle:.1f} degrees"
        remedy = "Nothing need be done: the shear is in the affine. Resample for upright voxels"
        yield Fault("gantry-tilt", message, remedy)
