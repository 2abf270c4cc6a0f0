"""Image arrays written in the format of the file that they stand beside, or as .npy."""

from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.readers import LOSSY, is_folder_item, stem_of, suffix_of
from convivo.data.readers.failures import saving
from convivo.data.readers.writing import whole

PICTURES = (".png", *LOSSY)
TIFF, NIFTI = (".tif", ".tiff"), (".nii", ".nii.gz")


def image_suffix(like: Path | str, *, item: bool = False) -> str:
    """The suffix of a file that holds an image in the format of `like`.

    Lossy pictures become PNG; what is an item of a container, and formats that cannot be written,
    become .npy.

    Example:
        >>> image_suffix("a.JPG"), image_suffix("b.nii.gz"), image_suffix("x.hea")
        ('.png', '.nii.gz', '.npy')
    """
    suffix = suffix_of(like) or ""
    if item or is_folder_item(like):
        return ".npy"
    if suffix in PICTURES:
        return ".png"
    return suffix if suffix in (*TIFF, *NIFTI) else ".npy"


def write_image(path: Path, image: np.ndarray, *, like: Path | None = None) -> Path:
    """Save an image (C, *S) whole or not at all, in the format that the name of `path` says.

    Fractions that a PNG cannot hold, and more channels than colours, are saved as .npy.

    Args:
        like: the NIfTI file whose place in space it takes over.
    Returns:
        The path written.
    Raises:
        UsageError: `path` cannot be written.
    """
    suffix = suffix_of(path) or ""
    fitting = image.dtype in (np.uint8, np.uint16) and image.ndim == 3 and len(image) in (1, 3)
    deep = image.dtype == np.uint16 and len(image) > 1
    if suffix in PICTURES and (not fitting or deep):
        path, suffix = path.with_name(f"{stem_of(path)}.npy"), ".npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = _png if suffix in PICTURES else _tiff if suffix in TIFF else _nifti
    with saving(path), whole(path) as temporary:
        (writer if suffix in (*PICTURES, *TIFF, *NIFTI) else _npy)(temporary, image, like)
    return path


def _npy(path: Path, image: np.ndarray, like: Path | None) -> None:
    with path.open("wb") as file:
        np.save(file, image[0] if len(image) == 1 else image, allow_pickle=False)


def _png(path: Path, image: np.ndarray, like: Path | None) -> None:
    from PIL import Image

    pixels = image[0] if len(image) == 1 else np.ascontiguousarray(np.moveaxis(image, 0, -1))
    Image.fromarray(pixels).save(path, format="PNG")


def _tiff(path: Path, image: np.ndarray, like: Path | None) -> None:
    from convivo.data.readers.failures import missing_extra

    try:
        import tifffile
    except ImportError as error:
        raise missing_extra("tifffile", "tiff", str(path)) from error
    colour = len(image) == 3 and image.ndim == 3
    array = np.moveaxis(image, 0, -1) if colour else image[0] if len(image) == 1 else image
    tifffile.imwrite(path, array, photometric="rgb" if colour else "minisblack")


def _nifti(path: Path, image: np.ndarray, like: Path | None) -> None:
    import nibabel

    array = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype in (np.int64, np.uint64, np.float16):
        array = array.astype(np.float32)
    header: Any = None
    affine = np.eye(4)
    if like is not None and suffix_of(like) in NIFTI:
        source: Any = nibabel.load(like)
        header, affine = source.header.copy(), source.affine
        header.set_data_dtype(array.dtype)
        header.set_slope_inter(1.0, 0.0)
    nibabel.save(nibabel.Nifti1Image(array, affine, header), path)
