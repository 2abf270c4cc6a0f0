"""`convivo inspect --fix OUT`: a cleaned copy of images or volumes, with a manifest.

Only remedies that need no judgement are carried out; everything else is left out, or left alone,
and listed.
"""

import csv
import hashlib
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from convivo.data.inspection import Inspection
from convivo.data.mending import Mended, mended
from convivo.data.readers import suffix_of
from convivo.data.readers.writing import whole
from convivo.data.sample import Case, Index
from convivo.data.units import natural
from convivo.errors import ConvivoError, UsageError
from convivo.files import write_text
from convivo.progress import Progress

MENDABLE = frozenset({"non-finite", "shape-mismatch"})
"""Codes of cases that are left out of a training, and can be mended."""
MANIFEST = "manifest.csv"


@dataclass
class Fixed:
    """What was written. changed, left_out: rows of path and what was done, or why not."""

    out: Path
    cases: int = 0
    changed: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The key `fixed` of the document of `inspect`."""
        return {
            "out": str(self.out),
            "cases": self.cases,
            "changed": self.changed,
            "left_out": self.left_out,
        }

    def text(self) -> str:
        """What was done, in words."""
        lines = [f"\nfixed: {self.cases:,} cases written to {self.out}"]
        lines += [f"  {row['path']}: {row['what']}" for row in self.changed[:10]]
        if len(self.changed) > 10:
            lines.append(f"  ... and {len(self.changed) - 10:,} more changed")
        lines += [f"  {row['path']}: left out ({row['what']})" for row in self.left_out[:10]]
        if len(self.left_out) > 10:
            lines.append(f"  ... and {len(self.left_out) - 10:,} more left out")
        return "\n".join(lines)


def fix(found: Inspection, out: str | Path, *, quiet: bool = False) -> Fixed:
    """Write a copy of the data with its mechanical faults mended; the data stay as they are.

    Files that need no change are copied byte by byte under their own path; a manifest says label,
    subject and split. Of equal images one is written; of two across a split the test's.

    Args:
        found: what `inspect` said of the data. out: a new or empty folder outside of them.
    Raises:
        UsageError: signals, several labels a case, data without labels, OUT in use or in DATA.
    """
    out = Path(out)
    _check(found, out)
    index = found.index  # with the cases that were left out
    fixed, rows = Fixed(out), []
    excluded = _excluded(found)
    fixed.left_out = [{"path": path, "what": why} for path, why in sorted(excluded.items())]
    cases = [case for case in index.cases if case.id not in excluded]
    copies, sides = _Copies(), ("test", "val")
    bar = Progress("fixing", len(cases), unit="cases", quiet=quiet)
    for number, case in enumerate(sorted(cases, key=lambda case: case.split not in sides), 1):
        try:
            one = mended(case, index)
            first = copies.first(case.id, one.image)
            if first == case.id:
                rows.append(_written(case, one, index, found.units, fixed))
            else:
                fixed.left_out.append({"path": case.id, "what": f"a copy of {first}"})
        except ConvivoError as error:
            fixed.left_out.append({"path": case.id, "what": f"{error.rule}; got {error.got}"})
        bar.update(number)
    bar.close()
    rows.sort(key=lambda row: natural(row["path"]))
    fixed.cases = len(rows)
    write_text(out / MANIFEST, _table(rows, subjects=found.unit == "subject"))
    return fixed


def _check(found: Inspection, out: Path) -> None:
    found.require_labels()
    index, rule = found.index, "images and volumes with one label each can be fixed"
    if index.spatial_dims == 1 or index.events or "targets" in index.extra:
        got = "signals" if index.spatial_dims == 1 else "several labels a case"
        raise UsageError("--fix", rule, got, "Mend the files that are named among the problems")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(out, "--fix takes a new or empty folder", "one in use", "Name another")
    root = index.root if index.root.is_dir() else index.root.parent
    if out.resolve().is_relative_to(root.resolve()):
        raise UsageError(out, "the copy lies outside of the data", str(root), "Name another folder")


def _excluded(found: Inspection) -> dict[str, str]:
    """Id -> code of what no mending helps."""
    gone = {p.path: p.code for p in found.problems if p.path in set(found.excluded)}
    return {path: code for path, code in gone.items() if code not in MENDABLE}


class _Copies:
    """Images seen so far, to write each once."""

    def __init__(self) -> None:
        self.seen: dict[bytes, str] = {}

    def first(self, case_id: str, image: np.ndarray) -> str:
        """The id of the first case with this image; of an image of one value its own."""
        if image.size and image.min() == image.max():
            return case_id
        state = hashlib.blake2b(f"{image.dtype.str}{image.shape}".encode(), digest_size=16)
        state.update(np.ascontiguousarray(image).data)
        return self.seen.setdefault(state.digest(), case_id)


def _written(
    case: Case, one: Mended, index: Index, units: Mapping[str, str], fixed: Fixed
) -> dict[str, str]:
    """Write one case; its row of the manifest."""
    name = case.id.replace("#", "_")
    if one.as_is:
        target = fixed.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(case.image[0], target)
    else:
        target = _saved(fixed.out / name, one.image, one)
    changes = list(one.changes)
    if PurePosixPath(name).name != target.name:
        changes.append(f"written as {target.name}")
    label = _label(case, index)
    if one.labels is not None:
        label = _saved(fixed.out / "labels" / name, one.labels[np.newaxis], one).as_posix()
        label = Path(label).relative_to(fixed.out).as_posix()
    if changes:
        fixed.changed.append({"path": case.id, "what": "; ".join(changes)})
    path = target.relative_to(fixed.out).as_posix()
    subject = units.get(case.id, case.subject or case.id)
    kind = "mask" if one.labels is not None else "label"
    return {"path": path, kind: label, "subject": subject, "split": case.split or ""}


def _label(case: Case, index: Index) -> str:
    """The class of a case by name, or the number that it is to be given."""
    if case.target is None:
        return ""
    return index.classes[int(case.target)] if index.classes else f"{case.target:g}"


def _saved(path: Path, array: np.ndarray, one: Mended) -> Path:
    """Write (C, *S) as NIfTI where it has a place in space, as PNG where that holds it, as .npy."""
    path = path.with_name(path.name[: len(path.name) - len(suffix_of(path) or "")])
    path.parent.mkdir(parents=True, exist_ok=True)
    small = array.dtype == np.uint8 or (array.dtype == np.uint16 and len(array) == 1)
    if one.affine is not None:
        return _nifti(path.with_name(f"{path.name}.nii.gz"), array, one.affine)
    if array.ndim == 3 and len(array) in (1, 3) and small:
        from PIL import Image

        path = path.with_name(f"{path.name}.png")
        with whole(path) as temporary:
            Image.fromarray(np.moveaxis(array, 0, -1).squeeze()).save(temporary, format="PNG")
        return path
    path = path.with_name(f"{path.name}.npy")
    with whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, array[0] if len(array) == 1 else np.moveaxis(array, 0, -1))
    return path


def _nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    import nibabel

    values = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    values = (
        values.astype(np.int32) if values.dtype.kind in "iu" and values.itemsize == 8 else values
    )
    image = nibabel.Nifti1Image(values, affine, dtype=values.dtype)
    image.header.set_xyzt_units("mm")
    with whole(path) as temporary:
        nibabel.save(image, temporary)
    return path


def _table(rows: list[dict[str, str]], *, subjects: bool) -> str:
    """The manifest; columns that say nothing are left out."""
    names = [
        name
        for name in ("path", "label", "mask", "subject", "split")
        if any(row.get(name) for row in rows) and (subjects or name != "subject")
    ]
    text = io.StringIO()
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
