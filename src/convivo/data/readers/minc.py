"""MINC 1 and 2 (.mnc) through nibabel: volumes with a place in the world. Read, not written.

MINC 2 is HDF5 inside and needs the extra `hdf5`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.readers.failures import missing_extra
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES = (".mnc", ".mnc.gz")
HDF5 = b"\x89HDF\r\n\x1a\n"
LEAST_VOLUME = 1e-9  # of a voxel, in mm^3


def header(path: Path, index: int | None = None) -> Header:
    """Shape in the file's own order of axes, spacing and affine in mm.

    Raises:
        ReadError: no MINC file, more than three axes, an affine that places voxels nowhere.
        UsageError: MINC 2 without the package h5py.
    """
    return _header(path, _load(path))


def read(path: Path, index: int | None = None) -> Raw:
    """The values as (1, i, j, k), scaled as the file says (image-min, image-max)."""
    image = _load(path)
    array = np.asarray(image.dataobj, dtype=np.float32)
    return Raw(array=np.ascontiguousarray(array)[np.newaxis], header=_header(path, image))


def _load(path: Path) -> Any:
    import nibabel

    with path.open("rb") as file:
        modern = file.read(len(HDF5)) == HDF5
    if not modern:
        return nibabel.Minc1Image.from_filename(path)
    try:
        import h5py  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_extra("h5py", "hdf5", f"{path} (MINC 2)") from error
    return nibabel.Minc2Image.from_filename(path)


def _header(path: Path, image: Any) -> Header:
    import nibabel

    shape = tuple(map(int, image.shape))
    if len(shape) != 3 or min(shape) < 1:
        rule, remedy = "a volume has three spatial axes", "Save one volume per file"
        raise ReadError(path, rule, f"shape {shape}", remedy)
    affine = np.array(image.affine, dtype=np.float64)
    volume = abs(np.linalg.det(affine[:3, :3])) if np.isfinite(affine).all() else 0.0
    if volume < LEAST_VOLUME:
        rule = "the header places every voxel in space (an invertible affine)"
        raise ReadError(path, rule, f"voxels of {volume:.3g} mm^3", "Repair steps and cosines")
    return Header(
        shape=shape,
        channels=1,
        dtype="float32",
        axes="".join(map(str, nibabel.aff2axcodes(affine))),
        spacing=tuple(map(float, np.linalg.norm(affine[:3, :3], axis=0))),
        spacing_unit="mm",
        affine=affine,
    )
