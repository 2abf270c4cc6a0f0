"""Files -> Header, Raw, label maps: one module per format, chosen by suffix, imported when needed.

A new format is one module with `SUFFIXES`, `header(path, index)`, `read(path, index)` and, where
it makes sense, `read_labels` and `write_labels`, plus its suffixes here.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from convivo.data.readers.failures import missing, reading, saving
from convivo.data.readers.labels import as_label_map
from convivo.data.sample import Events, Header, Raw
from convivo.errors import ReadError, ShapeError, UsageError

READERS: dict[str, str] = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".hdr": "nifti",
    ".hdr.gz": "nifti",
    ".img": "nifti",
    ".img.gz": "nifti",
    ".png": "images",
    ".jpg": "images",
    ".jpeg": "images",
    ".bmp": "images",
    ".gif": "images",
    ".webp": "images",
    ".pgm": "images",
    ".ppm": "images",
    ".pnm": "images",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "arrays",
    ".npz": "arrays",
    "idx1-ubyte": "idx",
    "idx1-ubyte.gz": "idx",
    "idx2-ubyte": "idx",
    "idx2-ubyte.gz": "idx",
    "idx3-ubyte": "idx",
    "idx3-ubyte.gz": "idx",
    "idx4-ubyte": "idx",
    "idx4-ubyte.gz": "idx",
    ".idx": "idx",
    ".idx.gz": "idx",
    ".nrrd": "itk",
    ".nhdr": "itk",
    ".mha": "itk",
    ".mhd": "itk",
    ".mnc": "minc",
    ".mnc.gz": "minc",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".zarr": "zarr",
    ".mat": "matlab",
    ".edf": "edf",
    ".bdf": "edf",
    ".vhdr": "brainvision",
    ".wav": "wav",
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".ima": "dicom",
    ".hea": "wfdb",
    ".arff": "ucr",
    ".ts": "ucr",
    ".tsv": "ucr",
    ".txt": "ucr",
    ".csv": "ucr",
}
# pictures that change, waste or limit values: label maps and images of theirs are written as PNG
LOSSY = (".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pnm")
# formats of which one file is one item of a data set; .img is the second half of a .hdr
ITEMS = ("nifti", "images", "tiff", "arrays", "itk", "minc", "hdf5", "zarr")
ITEMS += ("matlab", "edf", "brainvision", "wav", "dicom")
NATIVE_HEADERS = frozenset(("itk", "minc", "hdf5", "brainvision"))  # C code reads all of it
SECOND_HALVES = (".img", ".img.gz")
FOLDERS = (".zarr",)  # an item that is a folder
# bytes that stay once a format's own library is imported; the others bring next to nothing
LIBRARIES = {"wfdb": 23 * 2**20, "itk": 30 * 2**20, "dicom": 25 * 2**20, "nifti": 10 * 2**20}


def suffix_of(path: Path | str) -> str | None:
    """The longest known suffix that the name ends in, whatever its case.

    Example:
        >>> suffix_of("a/Scan.NII.GZ"), suffix_of("a.b.png"), suffix_of("notes.md")
        ('.nii.gz', '.png', None)
    """
    return _suffix(path.name if isinstance(path, Path) else path)


def cost(paths: Iterable[Path | str]) -> int:
    """Bytes that the libraries behind these files hold once they have been read.

    Example:
        >>> cost(["a.nii.gz", "b.nii", "c.png"])
        10485760
    """
    formats = set(map(format_of, paths))
    return sum(LIBRARIES.get(one, 0) for one in formats)


def stem_of(path: Path | str) -> str:
    """The file's name without its known suffix.

    Example:
        >>> stem_of("a/scan.1.nii.gz")
        'scan.1'
    """
    name = Path(path).name
    return name[: -len(suffix_of(name) or Path(name).suffix) or None]


def is_item(path: Path | str) -> bool:
    """Whether the name is that of an image, volume or array file. Opens nothing."""
    suffix = suffix_of(path)
    return suffix is not None and READERS[suffix] in ITEMS and suffix not in SECOND_HALVES


def is_folder_item(path: Path | str) -> bool:
    """Whether the name is that of an item which is a folder. Opens nothing.

    Example:
        >>> is_folder_item("scan.ome.zarr"), is_folder_item("images")
        (True, False)
    """
    return suffix_of(path) in FOLDERS


def format_of(path: Path | str) -> str:
    """Name of the module that would read a file of this name; without a known suffix DICOM.

    Example:
        >>> format_of("a/scan.nii.gz"), format_of("a/1.2.840.7")
        ('nifti', 'dicom')
    """
    suffix = suffix_of(path)
    return "dicom" if suffix is None else READERS[suffix]


def reader_for(path: Path | str) -> ModuleType | None:
    """The module that reads files of this name, or None. Opens nothing."""
    suffix = suffix_of(path)
    return None if suffix is None else _module(READERS[suffix])


def read_header(path: Path | str, index: int | None = None) -> Header:
    """What the file says of itself, without its pixels where the format allows it.

    Raises:
        ReadError: nothing there, no known format, a damaged file.
    """
    path = Path(path)
    module = _require(path)
    with reading(path, _format(module)):
        return module.header(path, index)


def read(path: Path | str, index: int | None = None) -> Raw:
    """One item (C, *S), in native byte order, an array of its own.

    Raises:
        ReadError: nothing there, no known format, a damaged or truncated file, no such item.
    """
    path = Path(path)
    module = _require(path)
    with reading(path, _format(module)):
        raw = module.read(path, index)
        if raw.array.dtype.isnative:
            return raw
        native = raw.array.astype(raw.array.dtype.newbyteorder("="))
        return Raw(array=native, header=raw.header)


def read_labels(
    path: Path | str,
    index: int | None = None,
    *,
    like: Path | str | None = None,
    like_index: int | None = None,
    names: Sequence[str] = (),
    numbered: bool = False,
) -> np.ndarray:
    """The integer class values (*S) as stored.

    Colour whose channels agree counts as one; whole numbers in floats become integers; a folder
    is one mask file per object, merged: 1 wherever any of them is not 0.

    Args:
        like: the image of the labels: regions that are stored by their place in space (DICOM SEG,
            RT Structure Set) are laid on its grid. like_index: its place in its container.
        names: of such regions, in the order of their values 1, 2, ...
        numbered: objects of a folder keep apart: 1, 2, ... in the order of their files (int32);
            where two overlap, the first.
    Raises:
        ReadError: as `read`, and for values that are no class values.
        ShapeError: the masks of a folder differ in shape.
    """
    path = Path(path)
    if is_mask_folder(path):
        return _merged(path, numbered=numbered)
    module = _require(path)
    with reading(path, _format(module)):
        if _laid_on_image(module, path):
            image = None if like is None else Path(like)
            return module.read_labels(path, index, like=image, like_index=like_index, names=names)
        if hasattr(module, "read_labels"):
            return module.read_labels(path, index)
    return as_label_map(read(path, index).array, path)


def label_header(path: Path | str, index: int | None = None) -> Header | None:
    """The header of a label map, to compare with its image's.

    None where there is nothing to compare: a folder of masks, and regions that `read_labels` lays
    on the grid of the image. Raises ReadError.
    """
    path = Path(path)
    if is_mask_folder(path):
        return None
    module = _require(path)
    with reading(path, _format(module)):
        return None if _laid_on_image(module, path) else module.header(path, index)


def read_events(path: Path | str, classes: Sequence[str], header: Header) -> Events:
    """The labelled moments of an annotation file, in samples of the recording of this header.

    Raises:
        ReadError: a missing or damaged file, or one without annotations.
    """
    path = Path(path)
    if hasattr(reader_for(path), "read_annotations"):
        return _module("moments").read_moments(path, classes, header)
    return _module("wfdb").read_events(path, classes)


def write_labels(
    path: Path | str,
    labels: np.ndarray,
    *,
    like: Path | str,
    like_index: int | None = None,
    names: Mapping[int, str] | None = None,
    keep_identifiers: bool = False,
) -> Path:
    """Save a label map (*S) in the format and on the grid of the file `like`, whole or not at all.

    Args:
        like_index: which item of `like` is meant: a volume of a DICOM folder, or an item of a
            container, whose map is a .npy file.
        names: of the values, for formats that tell them (DICOM SEG). keep_identifiers: let such a
            format say who the patient is.
    Returns:
        the path written: of a JPEG or BMP image it ends in .png, which keeps values; of a DICOM
        series it is a DICOM SEG and ends in .dcm.
    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        ReadError: `like` cannot be read.
        UsageError: its format holds no label maps, or `path` cannot be written.
    """
    path, like = Path(path), Path(like)
    module = _require(like)
    if like_index is None and not hasattr(module, "write_labels"):
        rule, got = "the format of an image can hold its label map", like.name
        raise UsageError(path, rule, got, "Convert the images to PNG, TIFF, NIfTI or .npy")
    head = read_header(like, like_index)  # what is wrong with `like` is told from what with `path`
    with saving(path):
        if _format(module) == "dicom":
            return module.write_labels(
                path, labels, like=like, like_index=like_index, names=names,
                keep_identifiers=keep_identifiers,
            )  # fmt: skip
        if like_index is not None:  # a file of its own, whatever the container is
            return _module("arrays").write_item(path, labels, shape=head.shape, like=like)
        return module.write_labels(path, labels, like=like)


def _merged(folder: Path, *, numbered: bool) -> np.ndarray:
    merged: np.ndarray | None = None
    files = sorted(p for p in folder.iterdir() if is_item(p) and p.name[0] != ".")
    for number, file in enumerate(files, 1):
        mask = read_labels(file) != 0
        if merged is not None and mask.shape != merged.shape:
            rule = f"the masks of one image have one shape, {merged.shape}"
            raise ShapeError(file, rule, mask.shape, "Replace the mask")
        if merged is None:
            merged = np.zeros(mask.shape, np.int32 if numbered else np.uint8)
        merged[mask & (merged == 0)] = number if numbered else 1
    if merged is None:
        remedy = "Put the masks there or remove the image"
        raise ReadError(folder, "a folder of masks holds mask files", "none", remedy)
    return merged


def is_mask_folder(path: Path | str) -> bool:
    """Whether a label is a folder that holds a mask file per object."""
    path = Path(path)
    return path.is_dir() and not is_folder_item(path) and _dicom(path) is None


def _laid_on_image(module: ModuleType, path: Path) -> bool:
    return hasattr(module, "laid_on_image") and module.laid_on_image(path)


def _dicom(path: Path) -> ModuleType | None:
    """The reader of DICOM, for files without a suffix and for folders, told by what they hold."""
    module = _module("dicom")
    return module if path.exists() and module.reads(path) else None


def _require(path: Path) -> ModuleType:
    module = reader_for(path) or _dicom(path)
    if module is None:
        if not path.exists():
            raise missing(path)
        got = "a folder" if path.is_dir() else f"suffix {path.suffix!r}"
        known = f"Known: {', '.join(READERS)}"
        raise ReadError(path, "must be a file of a known format", got, known)
    if path.is_dir() and not (is_folder_item(path) or _format(module) == "dicom"):
        raise ReadError(path, "must be a file", "a folder", "Name a file in it")
    return module


def _format(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


@lru_cache(maxsize=4096)
def _suffix(name: str) -> str | None:
    name = name.lower()
    return max((s for s in READERS if name.endswith(s)), key=len, default=None)


@cache
def _module(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
