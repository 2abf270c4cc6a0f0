"""Instance -> its planes: where each lies, how its numbers are scaled, what tells it from others.

A classic file holds one plane; an enhanced or multi-frame file many, each with a place of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convivo.data.readers.dicom.elements import numbers, text, whole
from convivo.data.readers.dicom.instance import Instance
from convivo.data.readers.failures import truncated
from convivo.errors import ReadError

if TYPE_CHECKING:
    from pydicom import Dataset

MARKS = (
    "echo",
    "image type",
    "diffusion",
    "temporal position",
    "acquisition number",
    "trigger time",
    "acquisition time",
    "content time",
)
"""What can tell planes at one place apart, in order of trust."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """One plane of pixels. frame: its place in the file.

    position (3,), directions (along a row, along a column; 3 + 3): in LPS mm, None where the file
    does not say. spacing: mm between rows and between columns. thickness, gap: of the slice, from
    slice to slice. marks: one per MARKS. segment: of a segmentation.
    """

    file: Instance
    frame: int = 0
    position: tuple[float, ...] | None = None
    directions: tuple[float, ...] | None = None
    spacing: tuple[float, ...] | None = None
    thickness: float | None = None
    gap: float | None = None
    location: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    stack: str = ""
    marks: tuple[str, ...] = ("",) * len(MARKS)
    segment: int = 0

    @property
    def placed(self) -> bool:
        """Whether position, directions and spacing are all known."""
        return self.position is not None and self.directions is not None and bool(self.spacing)

    def matrix(self) -> np.ndarray:
        """(4, 4) from (column, row, slice) to LPS mm; the third axis is the unit normal."""
        assert self.position is not None, "callers ask `placed` first"
        assert self.directions is not None
        assert self.spacing
        along_row, along_column = np.array(self.directions[:3]), np.array(self.directions[3:])
        matrix = np.eye(4)
        matrix[:3, 0] = along_row * self.spacing[1]
        matrix[:3, 1] = along_column * self.spacing[0]
        matrix[:3, 2] = np.cross(along_row, along_column)
        matrix[:3, 3] = self.position
        return matrix


def planes_of(file: Instance, dataset: "Dataset") -> tuple[Plane, ...]:
    """The planes of a file in stored order.

    Raises:
        ReadError: fewer descriptions than frames, a mosaic, a scale of zero.
    """
    if "MOSAIC" in file.image_type:
        rule, remedy = "a file holds planes of its volume", "Convert it (dcm2niix) to NIfTI"
        raise ReadError(file.path, rule, "a mosaic: many slices in one image", remedy)
    each = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if each and not file.cut:
        if len(each) < file.frames:
            got = f"{len(each)} descriptions of {file.frames} frames"
            raise truncated(file.path, got)
        planes = _enhanced(file, dataset, each)
    elif (file.frames > 1 or file.modality == "RTDOSE") and not file.cut:
        planes = _frames(file, dataset)
    else:
        planes = [_single(file, dataset)]
    if any(plane.slope == 0 for plane in planes):
        rule, remedy = "the scale of the pixels is not 0", "Correct RescaleSlope"
        raise ReadError(file.path, rule, "slope 0", remedy)
    return tuple(planes)


def _single(file: Instance, dataset: "Dataset") -> Plane:
    return Plane(
        file=file,
        position=numbers(dataset, "ImagePositionPatient", 3),
        directions=_directions(dataset),
        spacing=_spacing(dataset),
        thickness=_one(dataset, "SliceThickness"),
        gap=_one(dataset, "SpacingBetweenSlices"),
        location=_one(dataset, "SliceLocation"),
        slope=_one(dataset, "DoseGridScaling") or _or(_one(dataset, "RescaleSlope"), 1.0),
        intercept=_or(_one(dataset, "RescaleIntercept"), 0.0),
        marks=(
            text(dataset, "EchoNumbers") or text(dataset, "EchoTime"),
            "/".join(file.image_type),
            text(dataset, "DiffusionBValue") + text(dataset, "DiffusionGradientOrientation"),
            text(dataset, "TemporalPositionIdentifier"),
            text(dataset, "AcquisitionNumber"),
            text(dataset, "TriggerTime"),
            text(dataset, "AcquisitionDate") + text(dataset, "AcquisitionTime"),
            text(dataset, "ContentTime"),
        ),
    )


def _frames(file: Instance, dataset: "Dataset") -> list[Plane]:
    """Frames of an object without functional groups: doses and tomograms know their places."""
    first = _single(file, dataset)
    gap = first.gap
    detector = (dataset.get("DetectorInformationSequence") or [None])[0]
    offsets = numbers(dataset, "GridFrameOffsetVector", file.frames)
    if detector is not None and first.position is None and gap:
        position, directions = numbers(detector, "ImagePositionPatient", 3), _directions(detector)
        first = replace(first, position=position, directions=directions)
        offsets = tuple(gap * n for n in range(file.frames))
    if offsets is None or not first.placed:
        return [replace(first, frame=n, position=None) for n in range(file.frames)]
    assert first.position is not None
    # the first offset is 0, or the coordinate of the first plane itself
    normal, origin = first.matrix()[:3, 2], np.array(first.position)
    places = [origin + normal * (offset - offsets[0]) for offset in offsets]
    return [
        replace(first, frame=n, position=tuple(map(float, place))) for n, place in enumerate(places)
    ]


def _enhanced(file: Instance, dataset: "Dataset", each: Sequence[Any]) -> list[Plane]:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    return [_frame(file, n, _Groups(each[n], shared)) for n in range(file.frames)]


class _Groups:
    """The functional groups of one frame: its own, else those that all frames share."""

    def __init__(self, own: "Dataset", shared: "Dataset | None") -> None:
        self._places = [own] if shared is None else [own, shared]

    def __call__(self, keyword: str) -> "Dataset":
        from pydicom import Dataset

        for place in self._places:
            if place.get(keyword):
                return place[keyword].value[0]
        return Dataset()


def _frame(file: Instance, number: int, group: _Groups) -> Plane:
    measures, content = group("PixelMeasuresSequence"), group("FrameContentSequence")
    values, echo = group("PixelValueTransformationSequence"), group("MREchoSequence")
    diffusion, kind = group("MRDiffusionSequence"), group("MRImageFrameTypeSequence")
    direction = (diffusion.get("DiffusionGradientDirectionSequence") or [{}])[0]
    return Plane(
        file=file,
        frame=number,
        position=numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        directions=_directions(group("PlaneOrientationSequence")),
        spacing=_spacing(measures),
        thickness=_one(measures, "SliceThickness"),
        gap=_one(measures, "SpacingBetweenSlices"),
        slope=_or(_one(values, "RescaleSlope"), 1.0),
        intercept=_or(_one(values, "RescaleIntercept"), 0.0),
        stack=text(content, "StackID"),
        marks=(
            text(echo, "EffectiveEchoTime"),
            text(kind, "FrameType") + text(kind, "ComplexImageComponent"),
            text(diffusion, "DiffusionBValue")
            + str(direction.get("DiffusionGradientOrientation") or ""),
            text(content, "TemporalPositionIndex"),
            text(content, "FrameAcquisitionNumber"),
            text(group("CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime"),
            text(content, "FrameAcquisitionDateTime"),
            text(content, "FrameReferenceDateTime"),
        ),
        segment=whole(group("SegmentIdentificationSequence"), "ReferencedSegmentNumber") or 0,
    )


def _directions(dataset: "Dataset") -> tuple[float, ...] | None:
    """Two unit vectors at a right angle, None where the file has no such pair."""
    found = numbers(dataset, "ImageOrientationPatient", 6)
    if found is None:
        return None
    pair = np.array(found).reshape(2, 3)
    lengths = np.linalg.norm(pair, axis=1)
    if (abs(lengths - 1) > 0.02).any() or abs(pair[0] @ pair[1]) > 0.02:
        return None
    return tuple(map(float, (pair / lengths[:, None]).reshape(-1)))


def _spacing(dataset: "Dataset") -> tuple[float, ...] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = numbers(dataset, keyword, 2)
        if found and min(found) > 0:
            return found
    return None


def _one(dataset: "Dataset", keyword: str) -> float | None:
    found = numbers(dataset, keyword, 1)
    return found[0] if found else None


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
