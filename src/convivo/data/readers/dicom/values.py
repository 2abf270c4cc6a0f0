"""Stored numbers -> values: scaled, inverted or coloured, in the smallest type that holds them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convivo.data.readers.dicom import lossless
from convivo.data.readers.dicom.instance import NATIVE, RLE, Instance
from convivo.data.readers.dicom.opening import class_name, open_whole
from convivo.data.readers.dicom.planes import Plane
from convivo.errors import ReadError

if TYPE_CHECKING:
    from pydicom import Dataset

INTEGERS = (np.int16, np.int32)
EXACT_IN_FLOAT32 = 16  # stored bits; more, scaled, go to float64


def type_of(planes: Sequence[Plane]) -> np.dtype:
    """The number type that holds every value of the planes after scaling.

    Whole scales keep integers (CT stays int16); others give float32, or float64 for numbers of
    more than 16 bits.
    """
    file = planes[0].file
    if file.kind == "segmentation":
        return np.dtype(np.uint8 if file.bits[0] <= 8 else np.uint16)
    if file.photometric == "PALETTE COLOR":
        return np.dtype(np.uint8)
    if file.table_bits:
        return np.dtype(np.uint8 if file.table_bits == 8 else np.uint16)
    scales = {(plane.slope, plane.intercept) for plane in planes}
    if file.stored.kind == "f" or scales == {(1.0, 0.0)} or file.colours > 1:
        return file.stored
    if not all(slope.is_integer() and start.is_integer() for slope, start in scales):
        return np.dtype(np.float32 if file.bits[1] <= EXACT_IN_FLOAT32 else np.float64)
    ends = [end * slope + start for slope, start in scales for end in _range(file)]
    for kind in (file.stored, *INTEGERS):
        if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float64)


def _range(file: Instance) -> tuple[int, int]:
    bits = file.bits[1]
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if file.signed else (0, 2**bits - 1)


def decoded(planes: Sequence[Plane]) -> Iterator[np.ndarray]:
    """Each plane's values in turn, (C, rows, columns) in the type of `type_of`.

    Raises:
        ReadError: no decoder for the compression, or pixels that cannot be decoded.
    """
    kind = type_of(planes)
    for path, group in groupby(planes, key=lambda plane: plane.file.path):
        dataset = open_whole(Path(path))
        require_decoder(Path(path), dataset)
        for plane in group:
            yield _values(plane, stored_frame(dataset, plane), dataset, kind)


def require_decoder(path: Path, dataset: "Dataset") -> None:
    """Refuse a compression for which no decoder is installed. Raises ReadError."""
    from pydicom.pixels import get_decoder

    lossless.register()
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    rule = f"pixels compressed as {class_name(syntax)} ({syntax}) have a decoder"
    remedy = "pip install 'convivo[dicom]', or save the file uncompressed"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ReadError(path, rule, "none known", remedy) from error
    if not decoder.is_available:
        missing = "; ".join(decoder.missing_dependencies)
        raise ReadError(path, rule, f"none installed ({missing})", remedy)


def stored_frame(dataset: "Dataset", plane: Plane) -> np.ndarray:
    """One frame as stored, (rows, columns) or (rows, columns, samples), colours as RGB."""
    from pydicom.pixels import pixel_array

    file = plane.file
    if file.bits[0] == 1 and file.syntax in NATIVE:
        return _bits(dataset.PixelData, plane)
    frame = np.asarray(pixel_array(dataset, index=plane.frame))
    if frame.dtype.kind in "iu" and file.syntax in (*NATIVE, RLE):
        frame = _own_bits(frame, file)
    return frame


def _bits(data: bytes, plane: Plane) -> np.ndarray:
    """A frame of one bit a pixel; frames follow each other without filling up the last byte."""
    rows, columns = plane.file.rows, plane.file.columns
    first = plane.frame * rows * columns
    last = first + rows * columns
    held = np.frombuffer(data[first // 8 : -(-last // 8)], np.uint8)
    bits = np.unpackbits(held, bitorder="little")[first % 8 : first % 8 + rows * columns]
    return bits.reshape(rows, columns)


def _own_bits(frame: np.ndarray, file: Instance) -> np.ndarray:
    """Without what else was stored in the bits that pixels do not use (overlays)."""
    allocated, stored, high = file.bits
    if allocated == 1 or stored == allocated or file.samples > 1:
        return frame
    size = frame.dtype.itemsize * 8
    pushed = np.left_shift(frame, size - 1 - high)  # what lies above falls off
    return np.right_shift(pushed, size - stored)  # keeps the sign of signed numbers


def _values(plane: Plane, frame: np.ndarray, dataset: Any, kind: np.dtype) -> np.ndarray:
    """(rows, columns[, samples]) -> (C, rows, columns)."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    file = plane.file
    if file.photometric == "PALETTE COLOR":
        frame = apply_color_lut(frame, dataset)[..., :3]
        frame = frame >> 8 if frame.dtype.itemsize == 2 else frame  # colours have eight bits
    if frame.ndim == 3:
        return np.moveaxis(frame, -1, 0).astype(kind, copy=False)
    if file.photometric == "MONOCHROME1" and frame.dtype.kind in "iu":
        low, high = _range(file)
        frame = (low + high - frame.astype(np.int64)).astype(frame.dtype)
    if file.table_bits and file.photometric != "PALETTE COLOR":
        frame = apply_modality_lut(frame, dataset)
    elif (plane.slope, plane.intercept) != (1.0, 0.0):
        wide = np.float64 if kind.kind == "f" else np.int64
        frame = frame.astype(wide) * wide(plane.slope) + wide(plane.intercept)
    return frame[np.newaxis].astype(kind, copy=False)
