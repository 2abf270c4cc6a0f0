"""DICOM files by script: series, enhanced images, segmentations, contours, in any orientation."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom")

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

NAME = "Beeblebrox^Zaphod"
MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
LPS = np.diag((-1.0, -1.0, 1.0, 1.0))
ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def affine_of(order: Sequence[int], signs: Sequence[int]) -> np.ndarray:
    """RAS mm of a volume whose axes run so; unequal spacing."""
    affine = np.zeros((4, 4))
    for column, (row, sign, size) in enumerate(zip(order, signs, (0.5, 2.0, 3.0), strict=True)):
        affine[row, column] = sign * size
    affine[:, 3] = (-12.5, 33.0, 7.25, 1.0)
    return affine


def volume(shape: Sequence[int] = (7, 9, 5)) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 50


def header(sop_class: str, **elements: Any) -> Dataset:
    """A data set of a named patient, with everything an image of its class should say."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PatientName, dataset.PatientID = NAME, "P-17"
    dataset.PatientBirthDate, dataset.PatientSex = "19520311", "M"
    dataset.ReferringPhysicianName = "Marvin^Robot"
    dataset.StudyInstanceUID = "1.2.3.4"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20200119", "010313", "4"
    dataset.AccessionNumber, dataset.Modality = "", "MR"
    dataset.FrameOfReferenceUID = "1.2.3.4.5"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def pixels(dataset: Dataset, array: np.ndarray, photometric: str = "MONOCHROME2") -> Dataset:
    """(rows, columns), (frames, rows, columns) or, colour, (..., 3) into the data set."""
    colour = photometric in ("RGB", "YBR_FULL")
    dataset.Rows, dataset.Columns = array.shape[-3:-1] if colour else array.shape[-2:]
    if array.ndim > 2 + colour:
        dataset.NumberOfFrames = len(array)
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    bits = array.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.PixelData = array.tobytes()
    if bits == 8 and len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def place(dataset: Dataset, affine: np.ndarray, k: int) -> Dataset:
    """Position, orientation and spacing of plane k."""
    lps = LPS @ affine
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    along = lps[:3, :2] / sizes[:2]
    dataset.ImageOrientationPatient = [*along[:, 0], *along[:, 1]]
    dataset.ImagePositionPatient = [*(lps @ (0, 0, k, 1))[:3]]
    dataset.PixelSpacing = [sizes[1], sizes[0]]
    return dataset


def write_series(
    folder: Path,
    array: np.ndarray,
    affine: np.ndarray | None = None,
    *,
    series: str = "1.2.3.4.6",
    name: str = "{}.dcm",
    change: Callable[[Dataset, int], object] | None = None,
    **elements: Any,
) -> Path:
    """(i, j, k) as one file per k; names and InstanceNumber do not follow the place."""
    affine = np.diag((0.5, 2.0, 3.0, 1.0)) if affine is None else affine
    for k in range(array.shape[2]):
        number = (k * 3 + 1) % array.shape[2] if array.shape[2] % 3 else k
        dataset = header(MR, SeriesInstanceUID=series, SeriesNumber=2, InstanceNumber=number)
        place(pixels(dataset, np.ascontiguousarray(array[:, :, k].T)), affine, k)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        if change:
            change(dataset, k)
        save(dataset, folder / name.format(number))
    return folder


def write_enhanced(path: Path, array: np.ndarray, affine: np.ndarray, **elements: Any) -> Path:
    """(i, j, k) as the frames of one file, out of order, place per frame."""
    dataset = header(ENHANCED, SeriesInstanceUID="1.2.3.4.9", InstanceNumber=1, **elements)
    order = np.random.default_rng(3).permutation(array.shape[2])
    pixels(dataset, np.ascontiguousarray(array[:, :, order].transpose(2, 1, 0)))
    shared, groups = Dataset(), []
    for k in order:
        placed, item = place(Dataset(), affine, int(k)), Dataset()
        position, orientation, measures = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = placed.ImagePositionPatient
        orientation.ImageOrientationPatient = placed.ImageOrientationPatient
        measures.PixelSpacing, measures.SliceThickness = placed.PixelSpacing, 3.0
        values = Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 2, int(k), "US"
        item.PlanePositionSequence, item.PixelValueTransformationSequence = [position], [values]
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
        groups.append(item)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups
    return save(dataset, path)


def write_contours(
    path: Path, regions: dict[str, list[np.ndarray]], *, series: str = "1.2.3.4.6"
) -> Path:
    """Closed contours (n, 3) in RAS mm by the name of their structure; numbers do not follow."""
    dataset = header("1.2.840.10008.5.1.4.1.1.481.3", SeriesInstanceUID=generate_uid())
    dataset.Modality = "RTSTRUCT"
    refer, study, frame = Dataset(), Dataset(), Dataset()
    refer.SeriesInstanceUID = series
    study.RTReferencedSeriesSequence = [refer]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = "1.2.3.4.5", [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, polygons) in enumerate(regions.items(), start=7):
        region, drawn = Dataset(), Dataset()
        region.ROINumber, region.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in polygons:
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR" if len(points) > 1 else "POINT"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [float(f"{v:.6f}") for v in (points * (-1, -1, 1)).reshape(-1)]
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(region)
        dataset.ROIContourSequence.append(drawn)
    return save(dataset, path)


@pytest.fixture(scope="session")
def dicom() -> SimpleNamespace:
    """The functions of this file."""
    return SimpleNamespace(
        header=header, pixels=pixels, save=save, place=place, series=write_series,
        enhanced=write_enhanced, contours=write_contours, affine_of=affine_of, volume=volume,
        name=NAME, mr=MR, ct=CT, capture=CAPTURE, lps=LPS, orientations=ORIENTATIONS,
    )  # fmt: skip
