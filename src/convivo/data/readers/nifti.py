"""NIfTI-1 and -2 (.nii, .nii.gz, .hdr/.img) through nibabel: volumes with a place in the world."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convivo.data.readers.failures import truncated
from convivo.data.readers.labels import check_grid, smallest_unsigned
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError, UsageError

if TYPE_CHECKING:
    import nibabel

SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img", ".img.gz", ".hdr.gz")
MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
VOXEL_MM = (1e-6, 1e4)
# texts and extensions of a scan may name the patient; statistics describe its intensities
CLEARED = ("descrip", "aux_file", "db_name", "intent_name")


def header(path: Path, index: int | None = None) -> Header:
    """Shape (i, j, k), channels (last axis of 4D), spacing and affine in mm.

    A file that says nothing of its orientation (qform and sform codes 0) has affine None and
    axes "IJK".

    Raises:
        ReadError: no NIfTI, more data promised than there are, a senseless affine, more axes.
    """
    return _header(path, _load(path))


def read(path: Path, index: int | None = None) -> Raw:
    """The volume as (C, i, j, k), scaled by the header's slope where it has one."""
    image = _load(path)
    head = _header(path, image)
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:  # RGB24, RGBA32
        data = np.stack([data[name] for name in data.dtype.names[:3]], axis=-1)
    if data.dtype.kind == "c":
        raise ReadError(path, "voxels are real numbers", data.dtype, "Save the magnitude")
    data = data.reshape(*head.shape, head.channels)
    array = np.ascontiguousarray(np.moveaxis(data, -1, 0))
    return Raw(array=array, header=head)


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map (i, j, k) on the grid of `like`: its header, codes, zooms, affine to the bit.

    Free texts and extensions of the header are left out: they may identify a patient.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
        UsageError: `path` asks for a pair of files where `like` is single, or the reverse.
    """
    source = _load(like)
    check_grid(labels, _header(like, source).shape, like)
    array = smallest_unsigned(labels, path)
    head: Any = source.header.copy()
    head.set_data_dtype(array.dtype)
    head.extensions.clear()
    for name in (*CLEARED, "cal_max", "cal_min", "intent_code", "vox_offset"):
        if name in head:  # NIfTI-2 has fewer fields
            head[name] = b"" if name in CLEARED else 0
    # with affine None nibabel leaves both transforms of the header as they are
    _save(type(source)(array, None, head), path, like)
    return path


def _save(image: "nibabel.Nifti1Pair", path: Path, like: Path) -> None:
    single = bool(image.header.is_single)
    name = path.name.lower()
    if single != name.endswith((".nii", ".nii.gz")):
        rule = f"a label map has the file format of its image ({like.name})"
        raise UsageError(path, rule, path.name, "Keep the suffix of the image")
    if single:
        with whole(path) as temporary:
            image.to_filename(temporary)
        return
    suffix = ".gz" if name.endswith(".gz") else ""
    stem = path.name[: -len(".img" + suffix)]
    pair = [path.with_name(f"{stem}{kind}{suffix}") for kind in (".hdr", ".img")]
    with whole(pair[0]) as head_file, whole(pair[1]) as data_file:
        image.file_map["header"].filename = str(head_file)
        image.file_map["image"].filename = str(data_file)
        image.to_file_map()


def _load(path: Path) -> "nibabel.Nifti1Pair":
    import nibabel

    # it logs each repair of a header to stderr; what matters of them is checked here
    nibabel.imageglobals.logger.setLevel("CRITICAL")
    image = nibabel.load(path, mmap=False)
    if not isinstance(image, nibabel.Nifti1Pair):
        rule, remedy = "must be a NIfTI file", "Convert it to NIfTI (.nii.gz)"
        raise ReadError(path, rule, type(image).__name__, remedy)
    _check_size(path, image)
    return image


def _check_size(path: Path, image: "nibabel.Nifti1Pair") -> None:
    shape = image.header.get_data_shape()
    if not shape or min(shape) < 1:
        raise ReadError(path, "every axis has at least one voxel", shape, "Replace the file")
    file = Path(image.file_map["image"].filename or path)
    if not file.exists():
        rule, remedy = "a header (.hdr) has its data (.img) beside it", "Put both in one folder"
        raise ReadError(path, rule, f"no {file.name}", remedy)
    dtype = image.header.get_data_dtype()
    needed = math.prod(int(n) for n in shape) * dtype.itemsize
    held = file.stat().st_size
    if file.name.lower().endswith(".gz"):
        held *= 1040  # deflate shrinks at most 1032 times
    else:
        needed += int(getattr(image.dataobj, "offset", 0))
    if held < needed:
        raise truncated(path, f"a file too short for {tuple(map(int, shape))} voxels of {dtype}")


def _header(path: Path, image: "nibabel.Nifti1Pair") -> Header:
    import nibabel

    head = image.header
    spatial, channels = _axes(path, tuple(int(n) for n in head.get_data_shape()))
    stored = head.get_data_dtype()
    if stored.names:
        channels, stored = 3, np.dtype(np.uint8)
    scale = MM_PER_UNIT.get(str(head.get_xyzt_units()[0]), 1.0)
    affine = _affine(path, image, scale)
    known = int(head["qform_code"]) > 0 or int(head["sform_code"]) > 0
    codes = "".join(map(str, nibabel.aff2axcodes(affine))) if known else "IJK"
    return Header(
        shape=spatial,
        channels=channels,
        dtype=stored.newbyteorder("=").name,
        axes=codes[: len(spatial)],
        spacing=tuple(float(z) * scale for z in head.get_zooms()[: len(spatial)]),
        spacing_unit="mm",
        affine=affine if known else None,
    )


def _axes(path: Path, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Spatial shape and channels: axes beyond three are channels if only one of them is long."""
    rest = [n for n in shape[3:] if n > 1]
    if len(shape) < 2 or len(rest) > 1:
        rule = "a volume has two or three spatial axes and at most one of channels"
        raise ReadError(path, rule, f"shape {shape}", "Save one volume per file")
    return shape[:3], rest[0] if rest else 1


def _affine(path: Path, image: "nibabel.Nifti1Pair", scale: float) -> np.ndarray:
    """Index -> world in mm. Raises ReadError where it places voxels nowhere."""
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= scale
    remedy = "Repair the header (qform, sform, pixdim)"
    rule = "the header places every voxel in space (an invertible affine)"
    if not np.isfinite(affine).all():
        raise ReadError(path, rule, "values that are not finite", remedy)
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not ((sizes > VOXEL_MM[0]) & (sizes < VOXEL_MM[1])).all():
        raise ReadError(path, rule, f"voxels of {[float(f'{s:.3g}') for s in sizes]} mm", remedy)
    if abs(np.linalg.det(affine[:3, :3] / sizes)) < 1e-4:
        raise ReadError(path, rule, "axes that lie in one plane", remedy)
    return affine
