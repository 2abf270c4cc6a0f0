"""One case with what is mechanically mended: Case -> Mended, for a cleaned copy of a data set.

What needs judgement (a wrong label, a subject on both sides of a split) is not touched.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convivo.arrays.orientation import canonical
from convivo.data.joining import GRID_TOLERANCE
from convivo.data.loading import as_indexed, label_map
from convivo.data.numbered_maps import numbering
from convivo.data.readers import is_item, label_header, read
from convivo.data.sample import Case, Header, Index
from convivo.errors import ShapeError

NEAR = 1e-3  # mm, between the affines of an image and of its label map once both are turned


@dataclass(frozen=True, kw_only=True)
class Mended:
    """image: (C, *S). labels: (*S) class indices, None without a label map. affine: of both.

    changes: what was done, in words. as_is: whether the image's file can be copied byte by byte.
    """

    image: np.ndarray
    labels: np.ndarray | None
    affine: np.ndarray | None
    header: Header
    changes: tuple[str, ...]
    as_is: bool


def mended(case: Case, index: Index) -> Mended:
    """Read a case and mend it.

    - Volumes that say how they lie in space are turned to right, anterior, superior; a label map on
      the same voxels in another order is turned with them.
    - Values that are not finite become the lowest finite value of their image.
    - Label maps get the classes' indices: 0, 1, 2 ..., strays their class's.

    Raises:
        ReadError: a file cannot be read. ShapeError: image and label map are of different grids.
        DataError: a label value that is no class.
    """
    raws = [read(path, case.index) for path in case.image]
    header, changes = raws[0].header, []
    image = raws[0].array if len(raws) == 1 else np.concatenate([raw.array for raw in raws])
    image, affine = _turned(image, header.affine)
    if header.affine is not None and header.axes != "RAS":
        changes.append(f"turned from {header.axes} to RAS")
    bad = ~np.isfinite(image) if image.dtype.kind == "f" else np.zeros(1, bool)
    if bad.any():
        image = np.where(bad, image[~bad].min(initial=np.inf) if not bad.all() else 0, image)
        changes.append(f"{int(bad.sum()):,} values that are not finite replaced by the lowest")
    plain = len(case.image) == 1 and case.index is None and is_item(case.image[0])
    labels = None if case.label is None else _labels(case, index, header, image.shape[1:], affine)
    if labels is not None and index.label_values != tuple(range(len(index.classes))):
        changes.append("label values became the classes' indices")
    return Mended(
        image=image,
        labels=labels,
        affine=affine,
        header=header,
        changes=tuple(changes),
        as_is=plain and Path(case.image[0]).is_file() and not _touched(changes),
    )


def _touched(changes: list[str]) -> bool:
    return any(not change.startswith("label") for change in changes)


def _turned(array: np.ndarray, affine: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    if affine is None or array.ndim < 3 or len(array.shape[-3:]) != 3:
        return array, affine
    turned, at, _ = canonical(array, affine)
    return np.ascontiguousarray(turned), at


def _labels(
    case: Case, index: Index, header: Header, shape: tuple[int, ...], affine: np.ndarray | None
) -> np.ndarray:
    assert case.label is not None
    labels = label_map(case, case.label, numbered=numbering(index) == "files")
    place = None if header.affine is None else label_header(case.label, case.label_index)
    own = header.affine if place is None or place.affine is None else place.affine
    labels, at = _turned(labels, own)
    apart = 0.0 if at is None or affine is None else float(np.abs((at - affine)[:3, :3]).max())
    near = max(NEAR, GRID_TOLERANCE * min(header.spacing or (1.0,)) / max(shape))
    if labels.shape != shape or apart > near:
        rule = f"a label map has the voxels of its image, {shape}"
        raise ShapeError(case.label, rule, f"{labels.shape}, {apart:.3g} mm apart", "Resample it")
    return as_indexed(labels, index, case.label)
