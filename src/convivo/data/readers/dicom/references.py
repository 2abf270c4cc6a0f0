"""What a segmentation or a set of contours says of itself: its regions and the images it is for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from convivo.data.readers.dicom.elements import text, whole

if TYPE_CHECKING:
    from pydicom import Dataset

BACKGROUND = 0


def references_of(dataset: "Dataset") -> dict[str, Any]:
    """The fields `regions`, `refers`, `sources` (and for contours `place`) of an Instance."""
    if "StructureSetROISequence" in dataset:
        return _of_contours(dataset)
    series = list(dataset.get("ReferencedSeriesSequence") or ())
    images = [i for s in series for i in s.get("ReferencedInstanceSequence") or ()]
    return {
        "regions": tuple(_named(dataset.get("SegmentSequence") or (), "SegmentNumber")),
        "refers": tuple(text(s, "SeriesInstanceUID") for s in series),
        "sources": frozenset(text(i, "ReferencedSOPInstanceUID") for i in images),
    }


def _of_contours(dataset: "Dataset") -> dict[str, Any]:
    frames = list(dataset.get("ReferencedFrameOfReferenceSequence") or ())
    studies = [s for f in frames for s in f.get("RTReferencedStudySequence") or ()]
    series = [s for study in studies for s in study.get("RTReferencedSeriesSequence") or ()]
    images = [i for s in series for i in s.get("ContourImageSequence") or ()]
    drawn = {whole(item, "ReferencedROINumber") for item in drawn_items(dataset)}
    named = _named(dataset.StructureSetROISequence, "ROINumber")
    return {
        "regions": tuple((number, name) for number, name in named if number in drawn),
        "refers": tuple(text(s, "SeriesInstanceUID") for s in series),
        "sources": frozenset(text(i, "ReferencedSOPInstanceUID") for i in images),
        "place": text(dataset, "FrameOfReferenceUID") or _first_place(frames),
    }


def drawn_items(dataset: "Dataset") -> Iterator["Dataset"]:
    """The structures with at least one closed contour; points and open lines bound no region."""
    for item in dataset.get("ROIContourSequence") or ():
        if any(closed(contour) for contour in item.get("ContourSequence") or ()):
            yield item


def closed(contour: "Dataset") -> bool:
    """Whether the contour bounds a piece of a plane."""
    kinds = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR")
    return text(contour, "ContourGeometricType") in kinds


def _first_place(frames: list["Dataset"]) -> str:
    return next((text(frame, "FrameOfReferenceUID") for frame in frames), "")


def _named(items: Any, number_of: str) -> Iterator[tuple[int, str]]:
    name_of = {"SegmentNumber": "SegmentLabel", "ROINumber": "ROIName"}[number_of]
    for item in items:
        number = whole(item, number_of) or 0
        if number != BACKGROUND or number_of == "ROINumber":
            yield number, text(item, name_of) or f"region {number}"
