"""A label map -> DICOM SEG that refers to its series, through highdicom."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convivo import __version__
from convivo.data.readers.dicom.catalogue import volume_at
from convivo.data.readers.dicom.elements import subject_of
from convivo.data.readers.dicom.opening import open_header, pydicom
from convivo.data.readers.dicom.volumes import Volume
from convivo.data.readers.failures import missing_extra
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.writing import whole
from convivo.errors import UsageError

if TYPE_CHECKING:
    from pydicom import Dataset

SUFFIX = ".dcm"
SERIES_ON = 1000  # added to the number of the series, so that viewers list it after all others
COPIED = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "Modality", "ImageType", "Rows",
    "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence",
    "DimensionIndexSequence", "DimensionOrganizationType",
)  # fmt: skip
"""What a segmentation is told of its images. All else, names first, stays in their headers."""
REQUIRED = (
    "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "PatientID",
)  # fmt: skip
"""Elements that a segmentation must have; they may be empty."""


def write_segmentation(
    path: Path,
    labels: np.ndarray,
    *,
    like: Path,
    classes: Mapping[int, str] | Sequence[str],
    like_index: int | None = None,
    keep_identifiers: bool = False,
) -> Path:
    """Save a map as a segmentation of the series `like`, whole or not at all.

    Of patient and study it takes over the identifiers (UIDs) it must refer to; PatientID becomes
    the pseudonym that splits and reports use; name, dates and all the rest are left empty.

    Args:
        labels: (columns, rows, slices) as the series is read, or (rows, columns) of one image.
        classes: name by value of the map, or the names of all class indices, the first of which
            is the background. Each is a segment, numbered from 1 in this order.
        keep_identifiers: take over what else the images say of patient and study.
    Returns:
        the path written, which ends in .dcm.
    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        UsageError: a value without a name, an image without a place, a package that is missing.
    """
    volume = volume_at(like, like_index)
    check_grid(labels, volume.header.shape, like)
    names = _names(classes)
    numbered = _numbered(smallest_unsigned(labels, path), names, path)
    frames = numbered[np.newaxis] if numbered.ndim == 2 else numbered.transpose(2, 1, 0)
    _require_place(volume, like)
    sources = _sources(volume, keep_identifiers=keep_identifiers)
    target = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
    segmentation = _segmentation(volume, frames, sources, list(names.values()))
    with whole(target) as temporary:
        segmentation.save_as(temporary)
    return target


def _names(classes: Mapping[int, str] | Sequence[str]) -> dict[int, str]:
    if isinstance(classes, Mapping):
        return dict(sorted(classes.items()))
    return dict(enumerate(classes[1:], start=1))


def _numbered(labels: np.ndarray, names: Mapping[int, str], path: Path) -> np.ndarray:
    """Values -> segment numbers 1, 2, ... as the standard asks for."""
    values = np.array([0, *names])
    known = np.isin(labels, values)
    if not known.all():
        rule = f"values to write have a name ({', '.join(map(str, names))})"
        raise UsageError(path, rule, labels[~known].flat[0], "Name the value among the classes")
    return np.searchsorted(values, labels).astype(np.uint8 if len(values) < 256 else np.uint16)


def _require_place(volume: Volume, like: Path) -> None:
    first = volume.planes[0]
    if not first.placed or not first.file.place:
        rule = "a segmentation refers to an image with a position and a frame of reference"
        raise UsageError(like, rule, "none", "Convert the series, or write another format")


def _sources(volume: Volume, *, keep_identifiers: bool) -> "list[Dataset]":
    """The headers of the volume's files, with what a segmentation may take over from them."""
    found = []
    for name in volume.files:
        dataset, _ = open_header(Path(name))
        one = dataset if keep_identifiers else _copied(dataset)
        for keyword in REQUIRED:
            if keyword not in one:
                setattr(one, keyword, "")
        if one.get("SliceThickness") is None:
            one.SliceThickness = _thickness(volume)
        found.append(one)
    return found


def _copied(dataset: "Dataset") -> "Dataset":
    from pydicom import Dataset

    one = Dataset()
    one.file_meta = dataset.file_meta
    for keyword in COPIED:
        if keyword in dataset:
            one[keyword] = dataset[keyword]
    one.PatientID = subject_of(dataset) or ""
    return one


def _segmentation(
    volume: Volume, frames: np.ndarray, sources: "list[Dataset]", names: list[str]
) -> Any:
    """The object: frames (planes, rows, columns) of segment numbers, each at its plane's place."""
    first = volume.planes[0]
    package = _highdicom()
    positions = [
        package.PlanePositionSequence("PATIENT", plane.position) for plane in volume.planes
    ]
    return package.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=[_described(package, n, name) for n, name in enumerate(names, 1)],
        series_instance_uid=package.UID(),
        series_number=first.file.series_number + SERIES_ON,
        sop_instance_uid=package.UID(),
        instance_number=1,
        manufacturer="convivo",
        manufacturer_model_name="convivo",
        software_versions=__version__,
        device_serial_number="0",
        content_description="Segmentation by a network",
        plane_positions=positions,
        plane_orientation=package.PlaneOrientationSequence("PATIENT", first.directions),
        pixel_measures=_measures(package, volume),
        omit_empty_frames=bool(frames.any()),
    )


def _thickness(volume: Volume) -> float:
    """Of a slice, in mm: as the files say, else the way from one to the next."""
    assert volume.matrix is not None, "placed planes have a matrix"
    return volume.planes[0].thickness or float(np.linalg.norm(volume.matrix[:3, 2]))


def _measures(package: Any, volume: Volume) -> Any:
    assert volume.matrix is not None
    gap = float(np.linalg.norm(volume.matrix[:3, 2]))
    return package.PixelMeasuresSequence(volume.planes[0].spacing, _thickness(volume), gap)


def _described(package: Any, number: int, name: str) -> Any:
    from pydicom.sr.codedict import codes

    algorithm = package.AlgorithmIdentificationSequence(
        name="convivo", family=codes.DCM.ArtificialIntelligence, version=__version__
    )
    return package.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.AnatomicalStructure,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
    )


def _highdicom() -> Any:
    pydicom()
    try:
        import highdicom
    except ModuleNotFoundError as error:
        raise missing_extra("highdicom", "dicom", "writing DICOM SEG") from error
    return highdicom
