"""Dataset -> Instance: what one file is and what it promises, checked against what it holds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convivo.data.readers.dicom.elements import each, subject_of, text, whole
from convivo.data.readers.dicom.opening import class_name, sop_class, syntax_of
from convivo.data.readers.failures import truncated
from convivo.errors import ReadError

if TYPE_CHECKING:
    from pydicom import Dataset

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
CONTOURS = "1.2.840.10008.5.1.4.1.1.481.3"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", DEFLATED)
RLE = "1.2.840.10008.1.2.5"
FORMERLY_FLOAT = {32: "float32", 64: "float64"}  # FloatPixelData has no PixelRepresentation
SMALLER_AT_MOST = 10_000  # times; an empty image in JPEG 2000 or JPEG-LS comes close to it


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One file. kind: "image", "segmentation", "contours", or "other" (plans, reports, indexes).

    uid, series, place (frame of reference), sop_class: its identifiers. subject: a pseudonym made
    from the PatientID. colours: values per pixel once decoded.
    dtype: of the stored numbers. number: InstanceNumber. regions: number and name of each segment
    or contoured structure. refers: the series it belongs to; sources: the images.
    """

    path: str
    kind: str
    uid: str = ""
    series: str = ""
    series_number: int = 0
    place: str = ""
    sop_class: str = ""
    modality: str = ""
    subject: str | None = None
    created: str = ""
    image_type: tuple[str, ...] = ()
    syntax: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    photometric: str = ""
    bits: tuple[int, int, int] = (0, 0, 0)  # allocated, stored, high bit
    signed: bool = False
    table_bits: int = 0  # of a palette or of a modality table; 0 where there is none
    number: int | None = None
    announced: int | None = None  # images of the acquisition
    regions: tuple[tuple[int, str], ...] = ()
    refers: tuple[str, ...] = ()
    sources: frozenset[str] = frozenset()
    cut: str = ""  # what is left of pixels that end too early, else nothing

    @property
    def colours(self) -> int:
        """Channels after decoding: a palette gives three."""
        return 3 if self.photometric == "PALETTE COLOR" else self.samples

    @property
    def stored(self) -> np.dtype:
        """Type of the numbers in the file."""
        allocated = self.bits[0]
        if self.bits[1] == 0:
            return np.dtype(FORMERLY_FLOAT.get(allocated, "float32"))
        size = 8 if allocated == 1 else allocated
        return np.dtype(f"{'int' if self.signed else 'uint'}{size}")


def instance_of(path: Path, dataset: "Dataset", held: int) -> Instance:
    """What the header says, compared with the `held` bytes of the file after it.

    A file that cannot hold the pixels it promises is `cut`: its place in the series is known, so
    that its volume can be told to be damaged.

    Raises:
        ReadError: sizes that make no sense, or no rows and columns.
    """
    facts: dict[str, Any] = {
        "path": str(path),
        "uid": text(dataset, "SOPInstanceUID"),
        "series": text(dataset, "SeriesInstanceUID"),
        "series_number": whole(dataset, "SeriesNumber") or 0,
        "place": text(dataset, "FrameOfReferenceUID"),
        "sop_class": sop_class(dataset),
        "modality": text(dataset, "Modality"),
        "subject": subject_of(dataset),
        "created": text(dataset, "ContentDate") + text(dataset, "ContentTime"),
        "number": whole(dataset, "InstanceNumber"),
        "announced": whole(dataset, "ImagesInAcquisition"),
        "image_type": tuple(map(str, each(dataset.get("ImageType")))),
    }
    if facts["sop_class"] == CONTOURS:
        return Instance(kind="contours", **facts)
    if "Rows" not in dataset or "Columns" not in dataset:
        if is_image(facts["sop_class"]):
            raise truncated(path, "an image without rows and columns")
        return Instance(kind="other", **facts)
    kind = "segmentation" if facts["sop_class"] in SEGMENTATIONS else "image"
    instance = Instance(kind=kind, **facts, **_pixels(dataset))
    _check(path, instance)
    cut = _cut(instance, held)
    return replace(instance, cut=cut, frames=1) if cut else instance


def _pixels(dataset: "Dataset") -> dict[str, Any]:
    allocated = whole(dataset, "BitsAllocated") or 0
    stored = whole(dataset, "BitsStored") or (allocated if "PixelRepresentation" in dataset else 0)
    high = whole(dataset, "HighBit")
    return {
        "syntax": syntax_of(dataset),
        "rows": whole(dataset, "Rows") or 0,
        "columns": whole(dataset, "Columns") or 0,
        "frames": max(1, whole(dataset, "NumberOfFrames") or 1),
        "samples": whole(dataset, "SamplesPerPixel") or 1,
        "photometric": text(dataset, "PhotometricInterpretation") or "MONOCHROME2",
        "bits": (allocated, stored, stored - 1 if high is None else high),
        "signed": (whole(dataset, "PixelRepresentation") or 0) == 1,
        "table_bits": _table_bits(dataset),
    }


def _table_bits(dataset: "Dataset") -> int:
    if "RedPaletteColorLookupTableDescriptor" in dataset:
        return int(dataset.RedPaletteColorLookupTableDescriptor[2])
    if dataset.get("ModalityLUTSequence"):
        return int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
    return 0


def _check(path: Path, one: Instance) -> None:
    remedy = "Export the file again, or leave it out"
    allocated, stored, high = one.bits
    sizes = min(one.rows, one.columns) >= 1 and one.samples in (1, 3, 4)
    if not sizes or allocated not in (1, 8, 16, 32, 64) or not stored <= high + 1 <= allocated:
        got = f"{one.rows} x {one.columns} x {one.samples}, bits {one.bits}"
        raise ReadError(path, "rows, columns, samples and bits make sense", got, remedy)


def _cut(one: Instance, held: int) -> str:
    """What is there where it cannot be all pixels that the header promises, else nothing."""
    allocated = one.bits[0]
    needed = one.rows * one.columns * one.samples * one.frames * allocated // 8
    if one.photometric == "YBR_FULL_422":  # colour at every second column only
        needed = needed * 2 // 3
    native = one.syntax in NATIVE and one.syntax != DEFLATED
    if held <= 0 or needed > held * (1 if native else SMALLER_AT_MOST):
        planes = f"{one.frames} x {one.rows} x {one.columns}"
        return f"{max(held, 0):,} bytes for {planes} pixels of {allocated} bits"
    return ""


def is_image(sop_class: str) -> bool:
    """Whether objects of this class are images: of "CT Image Storage", not of "RT Plan Storage"."""
    return "Image Storage" in class_name(sop_class)
