"""BIDS: sub-XX[/ses-YY]/<datatype>/ images, label maps under derivatives/, participants.tsv.

Source: Gorgolewski et al. 2016, the brain imaging data structure.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from convivo.data.layouts.listing import (
    dimensions,
    folders,
    in_order,
    item_files,
    natural,
    relative,
)
from convivo.data.problems import problem
from convivo.data.readers import stem_of
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ReadError

NAME = "bids"

MARKS = ("dataset_description.json", "participants.tsv")
SUBJECT = re.compile(r"^sub-[A-Za-z0-9]+$")
SESSION = re.compile(r"^ses-[A-Za-z0-9]+$")
MASKS = ("dseg", "mask", "seg", "roi", "lesion", "label")  # suffixes of label maps
SHARED = ("sub", "ses", "acq", "run", "sample", "chunk")  # entities that image and map share
GROUPS = ("group", "diagnosis", "label", "class", "pathology", "disease", "dx")
NO_VALUE = ("", "n/a", "na")


def matches(root: Path) -> bool:
    """Whether folders sub-XX lie beside a description of the data set or of its participants."""
    if not root.is_dir() or not any((root / name).is_file() for name in MARKS):
        return False
    return any(SUBJECT.match(folder.name) for folder in folders(root))


def index(root: Path) -> Index:
    """Images with the label maps that derivatives hold for them, or with their subject's group.

    A map belongs to an image whose name it continues (`sub-1_ct_seg-manual`), or whose subject,
    session, run ... it shares (`sub-1_space-T1w_dseg`). Of several kinds of maps the one that most
    images have counts; of an image's kind (T1w, ct) that has maps, every one should have one.
    Without maps, a column `group`, `diagnosis` ... of participants.tsv gives the classes.

    Raises:
        ReadError: no image in any subject's folder, none that can be read.
    """
    images = [p for f in folders(root) if SUBJECT.match(f.name) for p in _images(f)]
    if not images:
        rule = "subjects' folders hold images (sub-XX/anat/...)"
        raise ReadError(root, rule, "none", "Check the path")
    labels = _paired(images, _maps(root))
    if labels:
        return _segment(root, images, labels)
    groups = _groups(root / "participants.tsv")
    kind = Counter(map(_kind, images)).most_common(1)[0][0]
    chosen = [path for path in images if _kind(path) == kind]
    classes = in_order(set(groups.values()))
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=dimensions(chosen),
        cases=tuple(
            Case(
                id=relative(path, root),
                image=(str(path.absolute()),),
                target=classes.index(groups[_subject(path)]),
                subject=_subject(path),
            )
            for path in chosen
            if _subject(path) in groups
        ),
        classes=tuple(classes),
        subject_source="BIDS sub-<label>",
        problems=tuple(_ungrouped(root, chosen, groups)) if groups else (),
        unlabelled=() if groups else tuple(str(path.absolute()) for path in images),
    )


def _segment(root: Path, images: list[Path], labels: Mapping[Path, Path]) -> Index:
    kinds = {_kind(path) for path in labels}
    problems = [
        problem("missing-label", relative(path, root), "the image has no label map", REMEDY)
        for path in images
        if _kind(path) in kinds and path not in labels
    ]
    ordered = sorted(labels, key=lambda path: natural(relative(path, root)))
    values, classes = _names(root)
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=dimensions(ordered),
        cases=tuple(
            Case(
                id=relative(path, root),
                image=(str(path.absolute()),),
                label=str(labels[path].absolute()),
                subject=_subject(path),
            )
            for path in ordered
        ),
        classes=classes,
        label_values=values,
        subject_source="BIDS sub-<label>",
        problems=tuple(problems),
    )


REMEDY = "Add it under derivatives/, or move the image away"


def _images(subject: Path) -> list[Path]:
    """The images of a subject, of each session and datatype."""
    visits = [folder for folder in folders(subject) if SESSION.match(folder.name)] or [subject]
    return [path for visit in visits for kind in folders(visit) for path in item_files(kind)]


def _maps(root: Path) -> list[Path]:
    """Image files below derivatives/ that are named after a subject."""
    derived = root / "derivatives"
    found = []
    waiting = [derived] if derived.is_dir() else []
    while waiting:
        folder = waiting.pop()
        found += item_files(folder)
        waiting += folders(folder)
    return sorted(path for path in found if path.name.startswith("sub-"))


def _paired(images: list[Path], maps: list[Path]) -> dict[Path, Path]:
    """Image -> map, of the kind of maps that most images have."""
    by_kind: dict[str, dict[Path, Path]] = {}
    for path in maps:
        image = _image_of(path, images)
        if image is not None:
            by_kind.setdefault(_kind(path), {}).setdefault(image, path)
    return max(by_kind.values(), key=len, default={})


def _image_of(path: Path, images: list[Path]) -> Path | None:
    """The image that a map is of: the longest name that it continues, else the same entities."""
    stem = stem_of(path)
    begun = [i for i in images if stem.startswith(stem_of(i)) and stem != stem_of(i)]
    if begun:
        return max(begun, key=lambda image: len(stem_of(image)))
    if not any(_kind(path).lower().startswith(mask) for mask in MASKS):
        return None
    mine = _entities(path)
    shared = [i for i in images if all(_entities(i).get(e) == mine.get(e) for e in SHARED)]
    space = [i for i in shared if _kind(i) == mine.get("space")]
    return next(iter(space or (shared if len(shared) == 1 else [])), None)


def _entities(path: Path) -> dict[str, str]:
    parts = (part.partition("-") for part in stem_of(path).split("_"))
    return {key: value for key, dash, value in parts if dash}


def _kind(path: Path) -> str:
    """The last part of the name: T1w, ct, dseg; of `seg-manual` the whole part."""
    return stem_of(path).split("_")[-1]


def _subject(path: Path) -> str:
    return next(part for part in reversed(path.parent.parts) if SUBJECT.match(part))


def _table(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        return []
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        rows = csv.DictReader(text, delimiter="\t", restval="")
        return [{(k or "").strip().lower(): str(v).strip() for k, v in row.items()} for row in rows]


def _groups(file: Path) -> dict[str, str]:
    """Subject -> class, of the first telling column of participants.tsv; {} without one."""
    rows = _table(file)
    column = next((name for name in GROUPS if rows and name in rows[0]), None)
    if column is None:
        return {}
    found = {row.get("participant_id", ""): row[column] for row in rows}
    return {s: group for s, group in found.items() if group.lower() not in NO_VALUE}


def _ungrouped(root: Path, images: list[Path], groups: Mapping[str, str]) -> Iterator[Problem]:
    for path in images:
        if _subject(path) not in groups:
            message, remedy = "participants.tsv gives its subject no group", "Complete the table"
            yield problem("missing-label", relative(path, root), message, remedy)


def _names(root: Path) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """Stored values and names from a table `*dseg.tsv` (index, name), if there is one."""
    places = [root, root / "derivatives", *(folders(root / "derivatives"))]
    files = [file for place in places if place.is_dir() for file in sorted(place.glob("*dseg.tsv"))]
    rows = _table(files[0]) if files else []
    named = {
        int(row["index"]): row.get("name") or row["index"]
        for row in rows
        if row.get("index", "").isdigit()
    }
    if not named:
        return None, ()
    named.setdefault(0, "background")
    values = tuple(sorted(named))
    return values, tuple(named[value] for value in values)
