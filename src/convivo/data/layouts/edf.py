"""A folder of EDF, EDF+, BDF or BrainVision recordings: moments labelled by their annotations, or
whole recordings by a table.

As for WFDB, moments stay within their record, and a record without a patient code is a subject.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.layouts import wfdb
from convivo.data.layouts.listing import item_files, relative
from convivo.data.problems import problem
from convivo.data.readers import read_header, reader_for, stem_of
from convivo.data.readers.edf import Annotation
from convivo.data.readers.moments import EPOCH_S, STAGE, classes_in, read_annotations
from convivo.data.sample import Case, Header, Index, Problem
from convivo.data.survey import damaged
from convivo.errors import ReadError

NAME = "edf"

# SC4001E0-PSG.edf and SC4001EC-Hypnogram.edf: night and scorer are the last letters of the name
HYPNOGRAM = re.compile(r"^(.{6}).*[-_](hypnogram|psg)$", re.IGNORECASE)
NOTES = re.compile(r"[-_](annotations?|events?|scoring|hypnogram|stages?)$", re.IGNORECASE)
ALIKE = "The label stays as it is; name channels by --set input.channels where it matters"


@dataclass(frozen=True)
class _Found:
    """The files of a folder: recordings with headers, annotations by file, what is wrong."""

    records: Mapping[Path, Header]
    marks: Mapping[Path, Sequence[Annotation]]
    problems: list[Problem]


def matches(root: Path) -> bool:
    """Whether it is such a file, or a folder that holds some itself."""
    if root.is_file():
        return _is_recording(root)
    return root.is_dir() and any(_is_recording(path) for path in item_files(root))


def index(root: Path) -> Index:
    """The recordings of a folder and their labels.

    Annotations whose texts are classes (`moments.classes_in`) make an index of events; they lie in
    the recording itself or in a file of annotations beside it (`NAME_annotations.edf`, Sleep-EDF's
    hypnograms). Else a label table as for WFDB makes one of whole recordings; with neither, all
    are for prediction. Odd channels are told as `duplicate-channels` and `mixed-rates`.

    Raises:
        ReadError: no recording that can be read.
    """
    top = root.parent if root.is_file() else root
    files = [root] if root.is_file() else [p for p in item_files(root) if _is_recording(p)]
    found = _looked(top, files)
    if not found.records and len(files) == 1:
        read_header(files[0])  # says why
    labels = {path: _labels_of(path, found) for path in found.records}
    classes = classes_in([found.marks[path] for path in set(labels.values()) & set(found.marks)])
    if classes:
        return _of_events(root, top, found, labels, classes)
    table = wfdb.label_table(top) if not root.is_file() else None
    if table is not None:
        return wfdb.labelled_records(root, found.records, found.problems, table, NAME)
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=1,
        cases=(),
        problems=tuple(found.problems),
        unlabelled=tuple(str(path.absolute()) for path in found.records),
    )


def _is_recording(path: Path) -> bool:
    return hasattr(reader_for(path), "read_annotations")


def _looked(top: Path, files: list[Path]) -> _Found:
    """Headers and annotations; a file of annotations alone is no recording and no problem."""
    records, marks, problems = {}, {}, []
    for path in files:
        name = relative(path, top)
        try:
            marks[path] = read_annotations(path)
        except ReadError as error:
            problems.append(damaged(name, error))
            continue
        try:
            records[path] = read_header(path)
        except ReadError as error:
            if not marks[path]:
                problems.append(damaged(name, error))
            continue
        doubts = getattr(reader_for(path), "doubts", lambda path: [])
        problems += [problem(code, name, message, ALIKE) for code, message in doubts(path)]
    return _Found(records, marks, problems)


def _labels_of(path: Path, found: _Found) -> Path:
    """The file that annotates a recording: one of annotations alone with its name, or itself."""
    alone = [p for p in found.marks if p not in found.records]
    stem = stem_of(path)
    for other in alone:
        if NOTES.sub("", stem_of(other)).lower() == stem.lower():
            return other
        mine, theirs = HYPNOGRAM.match(stem), HYPNOGRAM.match(stem_of(other))
        if mine and theirs and mine[1] == theirs[1]:
            return other
    return path


def _of_events(
    root: Path, top: Path, found: _Found, labels: Mapping[Path, Path], classes: tuple[str, ...]
) -> Index:
    problems, cases = list(found.problems), []
    for path, head in found.records.items():
        name = relative(path, top)
        if not any(mark.text in classes for mark in found.marks[labels[path]]):
            message, remedy = "no annotation of a class", "Add annotations or move it away"
            problems.append(problem("missing-label", name, message, remedy))
            continue
        cases.append(
            Case(
                id=name,
                image=(str(path.absolute()),),
                label=str(labels[path].absolute()),
                subject=head.subject or stem_of(path),
                header=head,
            )
        )
    coded = any(head.subject for head in found.records.values())
    stages = classes[0].lower().startswith(STAGE)
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=1,
        cases=tuple(cases),
        classes=classes,
        events=True,
        subject_source="EDF patient code" if coded else "recording",
        problems=tuple(problems),
        extra={"event_seconds": EPOCH_S} if stages else {},
    )
