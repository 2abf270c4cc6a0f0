"""Opens a DICOM file: with or without preamble, with or without its pixels, nothing else of it.

First step of the DICOM reader: path -> Dataset. Nothing that a file refers to is followed.
"""

import logging
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from convivo.data.readers.dicom.elements import text
from convivo.data.readers.failures import missing_extra
from convivo.errors import ReadError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

FOREIGN = r"(pydicom|highdicom)(\.|$)"
_LOCK = threading.Lock()


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM does, with or without the preamble. Reads 140 bytes.

    Without a preamble it begins with an element of group 2 or 8, whose type or length makes sense.
    """
    try:
        with path.open("rb") as file:
            start = file.read(140)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    return start[128:132] == b"DICM" or _bare(start, size)


def _bare(start: bytes, size: int) -> bool:
    if len(start) < 16:
        return False
    for order in ("little", "big"):
        group, element = (int.from_bytes(start[i : i + 2], order) for i in (0, 2))
        if group in (2, 8) and element <= 0x18:
            typed = start[4:6] in (b"UL", b"CS", b"UI", b"OB", b"DA", b"TM", b"SH")
            return typed or int.from_bytes(start[4:8], order) < min(size, 1024)
    return False


def pydicom() -> Any:
    """The package, silenced: what it would warn of is checked here, and told in one message.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import pydicom as package
    except ModuleNotFoundError as error:
        raise missing_extra("pydicom", "dicom", "reading DICOM") from error
    logger = logging.getLogger("pydicom")
    with _LOCK:
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        if not any(getattr(f[3], "pattern", None) == FOREIGN for f in warnings.filters):
            warnings.filterwarnings("ignore", module=FOREIGN)
    return package


def open_header(path: Path) -> tuple["Dataset", int]:
    """All elements before the pixels, and how many bytes follow them.

    Raises:
        ReadError: no DICOM, or nothing that identifies the object.
    """
    with path.open("rb") as file:
        dataset = _parsed(path, file, stop_before_pixels=True)
        head = 8 if dataset.original_encoding[0] else 12  # bytes before the pixels themselves
        return dataset, os.fstat(file.fileno()).st_size - file.tell() - head


def open_whole(path: Path) -> "Dataset":
    """The whole file, with a transfer syntax even where the file names none. Raises ReadError."""
    with path.open("rb") as file:
        dataset = _parsed(path, file, stop_before_pixels=False)
    dataset.file_meta.TransferSyntaxUID = syntax_of(dataset)
    return dataset


def _parsed(path: Path, file: BinaryIO, *, stop_before_pixels: bool) -> "Dataset":
    package = pydicom()
    rule = "must be a DICOM file"
    if not is_dicom(path):
        raise ReadError(path, rule, "another beginning", "Check the file or leave it out")
    dataset = package.dcmread(file, force=True, stop_before_pixels=stop_before_pixels)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = package.dataset.FileMetaDataset()
    if not sop_class(dataset).startswith("1.2.840.10008."):
        remedy = "Export the file again, or leave it out"
        raise ReadError(path, f"{rule} that says what it holds (SOP class)", "none", remedy)
    return dataset


def syntax_of(dataset: "Dataset") -> "UID":
    """The transfer syntax; where none is named, the one that the bytes were read with."""
    from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    named = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if named:
        return UID(named)
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else explicit


def class_name(sop_class: str) -> str:
    """The name the standard gives to a class of objects."""
    from pydicom.uid import UID

    return UID(sop_class).name


def sop_class(dataset: "Dataset") -> str:
    own = text(dataset, "SOPClassUID")
    return own or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
