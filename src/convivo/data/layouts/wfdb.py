"""A folder of WFDB records: beats labelled by annotation files, or records by a table.

Second step of the road for PhysioNet data: folder -> Index. Beats stay within their record.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from convivo.data.readers import stem_of, suffix_of
from convivo.data.readers import wfdb as reader
from convivo.data.sample import Case, Header, Index, Problem
from convivo.errors import ReadError

NAME = "wfdb"

BEAT_CLASSES = ("N", "S", "V", "F", "Q")
LABEL_SUFFIX = ".atr"
_RECORD_COLUMNS = ("record", "record_name", "recording", "name", "id")
_LABEL_COLUMNS = ("label", "class", "target", "diagnosis", "rhythm")
_SUBJECT_COLUMNS = ("subject", "patient", "subject_id", "patient_id", "subjectid")


@dataclass(frozen=True)
class _Row:
    """What the label table says of one record; label is None where it contradicts itself."""

    label: str | None
    subject: str | None = None


def matches(root: Path) -> bool:
    """Whether `root` is a folder that holds `.hea` files itself, or a file of such a record."""
    root = Path(root)
    if root.is_dir():
        return next(root.glob("[!.]*.hea"), None) is not None
    return record_of(root) is not None


def record_of(path: Path) -> Path | None:
    """The header of the record that a file belongs to: itself, or the one that names the file.

    Example:
        >>> record_of(Path("no/such/record.hea")) is None
        True
    """
    head = path.with_suffix(".hea")
    if not head.is_file():
        return None
    named = path == head or path.suffix == LABEL_SUFFIX
    return head if named or any(path.name in line.split()[:1] for line in _lines(head)) else None


def index(root: Path) -> Index:
    """The records of a folder and their labels.

    Annotation files (`.atr`) with beats make an index of events in the AAMI classes N S V F Q (Q
    only where it occurs); else a label table (`REFERENCE.csv`: name,label; or a CSV with a header)
    makes one of whole records; with neither, all records are for prediction. A record without
    a patient id is its own subject.

    Raises:
        ReadError: no record in the folder, or a label table that cannot be read.
    """
    root = Path(root)
    if root.is_file():
        return _one_record(root)
    heads, problems = _headers(root)
    if not heads and not problems:
        raise ReadError(root, "a WFDB folder holds .hea files", "none", "Check the path")
    annotated = any(head.with_suffix(LABEL_SUFFIX).is_file() for head in _heads(root))
    table = None if annotated else label_table(root)
    if annotated:
        return _beats(root, heads, problems)
    if table:
        return labelled_records(root, heads, problems, table)
    return _unlabelled(root, heads, problems)


def _one_record(root: Path) -> Index:
    """The record of one file, with its beats where it has them."""
    head = record_of(root)
    assert head is not None, "matches() was asked before"
    heads = {head: reader.header(head)}
    if not head.with_suffix(LABEL_SUFFIX).is_file():
        return _unlabelled(root, heads, [])
    found = _beats(head.parent, heads, [])
    return replace(found, root=root)


def _unlabelled(root: Path, heads: Iterable[Path], problems: list[Problem]) -> Index:
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=1,
        cases=(),
        problems=tuple(problems),
        unlabelled=tuple(str(path.absolute()) for path in heads),
    )


def label_table(root: Path) -> Path | None:
    """The table of record labels: REFERENCE.csv, another REFERENCE*.csv, else a CSV with header."""
    tables = sorted(path for path in root.glob("[!.]*.csv") if path.is_file())
    named = [path for path in tables if path.stem.upper().startswith("REFERENCE")]
    if named:
        return min(named, key=lambda path: (len(path.stem), path.name))
    return next((path for path in tables if _columns(_lines(path)[:1])), None)


def _beats(root: Path, heads: Mapping[Path, Header], problems: list[Problem]) -> Index:
    cases, seen = [], set()
    for path, head in heads.items():
        label = path.with_suffix(LABEL_SUFFIX)
        if not label.is_file():
            problems.append(_missing_label(label, "has no annotation file"))
            continue
        try:
            _, symbols = reader.read_beats(label)
        except ReadError as error:
            problems.append(_unreadable(label, error))
            continue
        if not symbols:
            problems.append(_missing_label(label, "has no beat in its annotation file"))
            continue
        seen.update(reader.AAMI[symbol] for symbol in symbols)
        cases.append(_case(path, root, head, label=str(label.absolute())))
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=1,
        cases=tuple(cases),
        classes=BEAT_CLASSES if "Q" in seen else BEAT_CLASSES[:-1],
        events=True,
        subject_source=_source(heads.values()),
        problems=tuple(problems),
        extra={"aami": True},
    )


def labelled_records(
    root: Path,
    heads: Mapping[Path, Header],
    problems: list[Problem],
    table: Path,
    layout: str = NAME,
) -> Index:
    """Whole recordings with the class that a table gives each; also for other formats of records.

    Raises:
        ReadError: a row of the table without a label.
    """
    rows = _rows(table)
    classes = tuple(sorted({row.label for row in rows.values() if row.label is not None}))
    unreadable = {Path(problem.path).stem for problem in problems}
    cases = []
    for path, head in heads.items():
        row = rows.get(path.stem)
        if row is None or row.label is None:
            why = (
                f"has no row in {table.name}" if row is None else f"has two labels in {table.name}"
            )
            problems.append(_missing_label(path, why))
            continue
        target = classes.index(row.label)
        cases.append(_case(path, root, head, target=target, subject=row.subject))
    for name in sorted(set(rows) - unreadable - {path.stem for path in heads}):
        message = f"{table.name} labels a record that is not there: {name}"
        remedy = "Add the record or delete the row"
        missing = root / f"{name}.{'hea' if layout == NAME else layout}"
        problems.append(_problem("missing-image", missing, message, remedy))
    given = any(row.subject for row in rows.values())
    source = f"column of {table.name}" if given else _source(heads.values(), layout)
    return Index(
        layout=layout,
        root=root,
        task="classify",
        spatial_dims=1,
        cases=tuple(cases),
        classes=classes,
        subject_source=source,
        problems=tuple(problems),
    )


def _case(
    path: Path,
    root: Path,
    head: Header,
    *,
    label: str | None = None,
    target: int | None = None,
    subject: str | None = None,
) -> Case:
    """One record; without a patient id it is a subject of its own."""
    return Case(
        id=path.relative_to(root).as_posix(),
        image=(str(path.absolute()),),
        label=label,
        target=target,
        subject=subject or head.subject or path.stem,
        header=head,
    )


def _source(heads: Iterable[Header], layout: str = NAME) -> str:
    if not any(head.subject for head in heads):
        return f"{layout.upper()} record"
    return "WFDB header comment" if layout == NAME else "EDF patient code"


def _heads(root: Path) -> list[Path]:
    """Header files in the order people count: 9 before 10."""
    paths = [path for path in root.glob("[!.]*.hea") if path.is_file()]
    return sorted(paths, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _headers(root: Path) -> tuple[dict[Path, Header], list[Problem]]:
    """Readable headers by path, without those that are segments of another record."""
    paths, problems, heads = _heads(root), [], {}
    parts = {name for path in paths if _joins(path) for name in _segments(path)}
    for path in paths:
        if path.stem in parts:
            continue
        try:
            heads[path] = reader.header(path)
        except ReadError as error:
            problems.append(_unreadable(path, error))
    return heads, problems


def _joins(path: Path) -> bool:
    """Whether the record line names a number of segments (`name/8 2 360 ...`)."""
    lines = [line for line in _lines(path) if line.strip() and not line.startswith("#")]
    return bool(lines) and "/" in lines[0].split()[0]


def _segments(path: Path) -> tuple[str, ...]:
    try:
        return reader.segments(path)
    except ReadError:
        return ()  # its own header is reported as unreadable


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()


def _columns(lines: list[str]) -> dict[str, int]:
    """Places of the columns record, label and subject in a header row; {} without the first two."""
    names = [name.strip().lower() for name in next(csv.reader(lines), [])]
    known = {"record": _RECORD_COLUMNS, "label": _LABEL_COLUMNS, "subject": _SUBJECT_COLUMNS}
    found = {
        key: next(names.index(alias) for alias in aliases if alias in names)
        for key, aliases in known.items()
        if set(aliases) & set(names)
    }
    return found if {"record", "label"} <= set(found) else {}


def _rows(table: Path) -> dict[str, _Row]:
    """Record name -> label and subject.

    Raises:
        ReadError: a row without a label.
    """
    lines = _lines(table)
    columns = _columns(lines[:1])
    places = columns or {"record": 0, "label": 1}
    rows: dict[str, _Row] = {}
    for number, cells in enumerate(
        csv.reader(lines[1:] if columns else lines), 2 if columns else 1
    ):
        if not cells:
            continue
        if len(cells) <= max(places.values()):
            rule = "every row holds a record name and a label"
            raise ReadError(f"{table}:{number}", rule, ",".join(cells)[:80], "Correct the row")
        name = Path(cells[places["record"]].strip()).name
        name = stem_of(name) if suffix_of(name) else name  # dots may be part of a record's name
        row = _Row(cells[places["label"]].strip(), _subject(cells, places))
        contradicts = name in rows and rows[name].label != row.label
        rows[name] = _Row(None) if contradicts or not row.label else row
    return rows


def _subject(cells: list[str], places: Mapping[str, int]) -> str | None:
    return cells[places["subject"]].strip() or None if "subject" in places else None


def _problem(code: str, path: Path, message: str, remedy: str) -> Problem:
    text = str(path.absolute())
    return Problem(severity="warning", code=code, path=text, message=message, remedy=remedy)


def _missing_label(path: Path, why: str) -> Problem:
    message = f"the record {path.stem} {why}; it is left out"
    return _problem("missing-label", path, message, "Add the label or use the record to predict")


def _unreadable(path: Path, error: ReadError) -> Problem:
    code = "truncated" if "truncated" in error.got else "unreadable"
    message = f"{error.rule}; got {error.got}; it is left out"
    return _problem(code, path, message, error.remedy)
