"""NRRD and MetaImage (.nrrd .nhdr .mha .mhd) through SimpleITK (extra `itk`).

ITK speaks of LPS millimetres; here, as for NIfTI, an affine leads to RAS and axes are i, j, k.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.readers.failures import missing_extra, truncated
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError, UsageError

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
DETACHED = {".nhdr": ".nrrd", ".mhd": ".mha"}  # a header alone, and its kind in one file
IMAGE_IO = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}
PLAIN = re.compile(
    rb"^(encoding:\s*(raw|ascii|text|txt|hex)|CompressedData\s*=\s*False)", re.I | re.M
)
PLACED = re.compile(rb"^(space( dimension)?:|TransformMatrix|Rotation|Orientation)", re.I | re.M)
BEGINNINGS = {"NrrdImageIO": rb"NRRD000\d", "MetaImageIO": rb"(?s).*\bNDims\s*=\s*\d"}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
HEADER_BYTES = 65536
FILE_LINE = re.compile(rb"^(?:data ?file:|ElementDataFile\s*=)\s*(.*?)\s*$", re.I | re.M)
SHRINK = 1040  # deflate shrinks at most 1032 times


def header(path: Path, index: int | None = None) -> Header:
    """Shape (i, j, k), channels (vectors or a fourth axis), spacing and affine in mm.

    Raises:
        ReadError: no such format, its data file missing or outside its folder, truncated data,
            axes beyond three and one of channels. UsageError: SimpleITK is missing.
    """
    return _header(path, _reader(path))


def read(path: Path, index: int | None = None) -> Raw:
    """The volume as (C, i, j, k), or the image as (C, i, j). Raises as `header` does."""
    reader = _reader(path)
    head = _header(path, reader)
    with _one_line(path):
        stored = _itk(path).GetArrayFromImage(reader.Execute())  # (..., k, j, i), vectors last
    array = np.moveaxis(stored, -1, 0) if reader.GetNumberOfComponents() > 1 else stored
    array = array.reshape(head.channels, *reversed(_sizes(reader)))
    if len(head.shape) > 2:  # images stay rows x columns, as in every other format of images
        array = array.transpose(0, 3, 2, 1)
    return Raw(array=np.ascontiguousarray(array), header=head)


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map on the grid of `like`, in one compressed file: .nhdr gives .nrrd, .mhd .mha.

    Comments and other fields of the header are left out: they may identify a patient.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        UsageError: `path` is of another format than `like`.
    """
    itk, source = _itk(like), _reader(like)
    check_grid(labels, _header(like, source).shape, like)
    suffix = path.suffix.lower()
    kinds = {DETACHED.get(end, end) for end in (suffix, like.suffix.lower())}
    if len(kinds) > 1:
        rule = f"a label map has the file format of its image ({like.name})"
        raise UsageError(path, rule, path.name, "Keep the suffix of the image")
    array = smallest_unsigned(labels, path)
    image = itk.GetImageFromArray(array.transpose() if array.ndim > 2 else array)
    dims, size = labels.ndim, source.GetDimension()
    image.SetSpacing(source.GetSpacing()[:dims])
    image.SetOrigin(source.GetOrigin()[:dims])
    matrix = np.reshape(source.GetDirection(), (size, size))[:dims, :dims]
    image.SetDirection(matrix.reshape(-1).tolist())
    path = path.with_suffix(kinds.pop())
    with whole(path) as temporary:
        itk.WriteImage(image, str(temporary), True)
    return path


def _itk(path: Path) -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise missing_extra("SimpleITK", "volumes", str(path)) from error
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _reader(path: Path) -> Any:
    """The file's header, read and checked; `Execute` reads the voxels."""
    itk = _itk(path)
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    kind = IMAGE_IO.get(path.suffix.lower(), "MetaImageIO")
    _check_text(path, kind)
    reader = itk.ImageFileReader()
    reader.SetImageIO(kind)
    reader.SetFileName(str(path))
    with _one_line(path):
        reader.ReadImageInformation()
    _check_size(path, reader, itk)
    return reader


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """What the toolkit says on many lines, as one ReadError."""
    try:
        yield
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        rule, got = "must be a readable NRRD or MetaImage file", lines[-1][-200:]
        raise ReadError(path, rule, got, "Replace the file or leave it out") from error


def _text(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    return head.split(b"\n\n")[0] if head.startswith(b"NRRD") else head


def _check_text(path: Path, kind: str) -> None:
    """The data file of a detached header lies beside it: never elsewhere, never a pattern."""
    head = _text(path)
    if not re.match(BEGINNINGS[kind], head):
        rule = f"must be a readable {kind.removesuffix('ImageIO')} file"
        got = f"{head[:12]!r}" if head else "an empty file"
        raise ReadError(path, rule, got, "Replace the file or leave it out")
    named = FILE_LINE.search(head)
    name = named[1].decode("utf-8", errors="replace") if named else "LOCAL"
    if name.upper() == "LOCAL":
        return
    if "/" in name or "\\" in name or "%" in name or name.upper().startswith("LIST"):
        rule = "a header names one data file of its own folder"
        raise ReadError(path, rule, repr(name), "Save the volume as one .nrrd or .mha file")
    if not (path.parent / name).is_file():
        remedy = "Put both in one folder"
        raise ReadError(path, "its data file lies beside it", f"no {name}", remedy)


def _check_size(path: Path, reader: Any, itk: Any) -> None:
    """Refuse more voxels than the files can hold, before memory is taken for them."""
    head = _text(path)
    named = FILE_LINE.search(head)
    if named and named[1].upper() != b"LOCAL":
        held = (path.parent / named[1].decode()).stat().st_size
    else:  # the data follow the header
        start = len(head) + 2 if head.startswith(b"NRRD") else named.end() + 1 if named else 0
        held = max(0, path.stat().st_size - start)
    size = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
    needed = size * _dtype(path, reader, itk).itemsize
    if held * (1 if PLAIN.search(head) else SHRINK) < needed:
        raise truncated(path, f"{held} bytes for {needed} bytes of voxels")


def _dtype(path: Path, reader: Any, itk: Any) -> np.dtype:
    name = itk.GetPixelIDValueAsString(reader.GetPixelID())
    match = re.search(r"(8|16|32|64)-bit (unsigned integer|signed integer|float)", name)
    if match is None or "complex" in name:
        raise ReadError(path, "voxels are real numbers", name, "Save the magnitude")
    kind = {"u": "u", "s": "i", "f": "f"}[match[2][0]]
    return np.dtype(f"{kind}{int(match[1]) // 8}")


def _sizes(reader: Any) -> list[int]:
    """Sizes of the spatial axes, as the file orders them."""
    return [int(n) for n in reader.GetSize()[:3]]


def _header(path: Path, reader: Any) -> Header:
    sizes, parts = _sizes(reader), int(reader.GetNumberOfComponents())
    rest = [int(n) for n in reader.GetSize()[3:] if n > 1]
    if len(sizes) < 2 or len(rest) > 1 or (rest and parts > 1):
        rule = "a volume has two or three spatial axes and at most one of channels"
        got = f"shape {reader.GetSize()} of {parts} values"
        raise ReadError(path, rule, got, "Save one volume per file")
    spacing = [float(s) for s in reader.GetSpacing()[:3]]
    flat = len(sizes) == 2
    affine = None if flat or not PLACED.search(_text(path)) else _affine(path, reader)
    return Header(
        shape=tuple(reversed(sizes)) if flat else tuple(sizes),
        channels=rest[0] if rest else parts,
        dtype=_dtype(path, reader, _itk(path)).name,
        axes="YX" if flat else _codes(affine),
        spacing=tuple(reversed(spacing)) if flat else tuple(spacing),
        spacing_unit="mm",
        affine=affine,
    )


def _codes(affine: np.ndarray | None) -> str:
    if affine is None:
        return "IJK"
    import nibabel

    return "".join(map(str, nibabel.aff2axcodes(affine)))


def _affine(path: Path, reader: Any) -> np.ndarray:
    """Index -> world in RAS mm. Raises ReadError where it places voxels nowhere."""
    size = reader.GetDimension()
    direction = np.reshape(reader.GetDirection(), (size, size))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(direction)) < 1e-4:
        rule = "the header places every voxel in space (an invertible matrix)"
        raise ReadError(path, rule, direction.tolist(), "Repair the header")
    return LPS_TO_RAS @ affine
