"""Tables of other people: they name files by their names alone, and their columns as they like.

One column names images, volumes or signals that lie anywhere below the table; labels stand in a
column whose name says so, in the only other one, or in a column of zeros and ones for each class.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convivo.data.layouts.listing import SPLITS, folders, has_items, item_files
from convivo.data.layouts.table_rows import SUFFIXES, column_names, rows_of
from convivo.data.readers import format_of, stem_of
from convivo.data.sample import Split
from convivo.errors import ReadError

LABELS = (
    "label", "labels", "class", "target", "diagnosis", "dx", "finding labels", "finding_labels",
    "finding", "findings", "category", "disease", "grade", "level", "severity",
)  # fmt: skip
SUBJECTS = (
    "subject", "patient", "subject_id", "patient_id", "subjectid", "patientid", "subject id",
    "patient id", "participant_id", "lesion_id",
)  # fmt: skip
PARTS = ("split", "set", "partition")
PERSON = ("sex", "male", "female", "gender", "age")  # zeros and ones of these are no classes
APART = re.compile(r"[|;]")
NONE = frozenset(("", "no finding", "no findings", "none"))  # of several labels: none of them
TELLING = ("edf", "brainvision", "dicom")  # formats whose files may hold labels
CELLS_TRIED, LEVELS = 200, 4
ROW_BYTES = 256 * 2**20  # larger tables are of another kind

Lines = Sequence[tuple[int, dict[str, str]]]


@dataclass(frozen=True)
class Row:
    """A file that a table names; `labels` are all of its labels."""

    line: int
    image: Path
    labels: tuple[str, ...]
    subject: str
    split: Split | None


@dataclass(frozen=True)
class ItemTable:
    """file: the first table. rows: of files that are there. absent: rows of others. columns: by
    role. classes: of columns of zeros and ones; else () and whatever the labels are. several: a
    file may have any number of labels."""

    file: Path
    rows: tuple[Row, ...]
    absent: int
    columns: Mapping[str, str]
    classes: tuple[str, ...]
    several: bool


def item_table(root: Path) -> ItemTable | None:
    """The table of `root`, or the tables of its parts together; None where labels are not told.

    `root` may be the table itself.

    Files that lie in several folders have labels by them, recordings may have some inside: there a
    column must say that it holds labels.

    Raises:
        ReadError: a table names a file twice with different labels.
    """
    files, top = _files(root), folder_of(root)
    named = _Named(items_below(top) if files else ())
    told = any(format_of(path) in TELLING for path in named.paths)
    lone = not told and sum(map(has_items, folders(top))) < 2
    found = [one for file in files if (one := _read(file, named, lone=lone)) is not None]
    found = [one for one in found if one.rows and len({row.labels for row in one.rows}) > 1]
    kinds = [(one.columns, one.classes) for one in found]
    if len(found) > 1 and all(kind == kinds[0] for kind in kinds):
        return _joined(found)
    return max(found, key=lambda one: len(one.rows), default=None)


def names_items(root: Path) -> tuple[Path, list[str]] | None:
    """The first table that names files of `root`, and its other columns, whatever they say."""
    files = _files(root)
    named = _Named(items_below(folder_of(root)) if files else ())
    for file in files:
        names = column_names(file)
        key = _key(file, names, _lines(file), named) if names else None
        if key is not None:
            return file, [name for name in names if name != key]
    return None


def folder_of(root: Path) -> Path:
    """Where the files lie: a folder itself, or that of a table."""
    return root if root.is_dir() else root.parent


def items_below(root: Path, levels: int = LEVELS) -> Iterator[Path]:
    """All image, volume and array files, folder by folder."""
    if has_items(root):
        yield from item_files(root)
    if levels:
        for folder in folders(root):
            yield from items_below(folder, levels - 1)


class _Named:
    """Files by how a cell may name them: path, name or stem, where only one is called so."""

    def __init__(self, items: Iterable[Path]) -> None:
        self.by_name: dict[str, Path | None] = {}
        self.paths: set[Path] = set()
        for path in items:
            self.paths.add(path)
            for name in {path.name, stem_of(path)}:
                self.by_name[name] = None if name in self.by_name else path

    def file(self, cell: str, folder: Path) -> Path | None:
        """The file that a cell of a table in `folder` names."""
        if not cell:
            return None
        path = folder / cell
        return path if path in self.paths else self.by_name.get(Path(cell).name)


def _files(root: Path) -> list[Path]:
    every = sorted(root.glob("[!.]*")) if root.is_dir() else [root]
    found = (p for p in every if p.suffix.lower() in SUFFIXES and p.is_file())
    return [path for path in found if 0 < path.stat().st_size <= ROW_BYTES]


def _read(file: Path, named: _Named, *, lone: bool) -> ItemTable | None:
    names = column_names(file)
    lines = _lines(file) if len(names) > 1 else []
    key = _key(file, names, lines, named)
    if key is None:
        return None
    columns = {"path": key} | {
        role: name
        for role, known in (("subject", SUBJECTS), ("split", PARTS))
        if (name := _first(names, known, {key})) is not None
    }
    rest = [name for name in names if name and name not in columns.values()]
    label = _first(rest, LABELS, set())
    hot = [] if label else _hot(rest, [row for _, row in lines])
    if label is None and not hot:
        if len(rest) != 1 or not lone:
            return None
        label = rest[0]
    return _table(file, lines, named, columns | ({"label": label} if label else {}), hot)


def _lines(file: Path) -> Lines:
    """The rows; none of what is no table in UTF-8: it may be of anything."""
    try:
        return rows_of(file)
    except ReadError:
        return []


def _first(names: Sequence[str], known: Sequence[str], taken: set[str]) -> str | None:
    """The column whose name stands first among the known ones."""
    lower = {name.strip().lower(): name for name in reversed(names) if name not in taken}
    return next((lower[one] for one in known if one in lower), None)


def _key(file: Path, names: Sequence[str], lines: Lines, named: _Named) -> str | None:
    """The column whose cells name files, most of all and at least every second one."""
    best, most = None, 0
    for name in names:
        cells = [_cell(row, name) for _, row in lines[:: max(1, len(lines) // CELLS_TRIED)]]
        there = sum(named.file(cell, file.parent) is not None for cell in cells)
        if there > most and 2 * there >= sum(map(bool, cells)):
            best, most = name, there
    return best


def _cell(row: Mapping[str, str], name: str) -> str:
    return (row.get(name) or "").strip()


def _hot(names: Sequence[str], rows: Sequence[dict[str, str]]) -> list[str]:
    """Two columns or more that hold nothing but zeros and ones (or nothing)."""
    usual = {"", "0", "1", "0.0", "1.0"}
    hot = [
        name
        for name in names
        if name.strip().lower() not in PERSON and {_cell(row, name) for row in rows} <= usual
    ]
    return hot if len(hot) > 1 and any(_is_one(row, name) for row in rows for name in hot) else []


def _is_one(row: Mapping[str, str], name: str) -> bool:
    return _cell(row, name).startswith("1")


def _table(
    file: Path,
    lines: Lines,
    named: _Named,
    columns: Mapping[str, str],
    hot: Sequence[str],
) -> ItemTable:
    texts = [_cell(row, columns["label"]) for _, row in lines] if "label" in columns else []
    several = any(APART.search(text) for text in texts)
    rows: dict[Path, Row] = {}
    absent = 0
    for place, (number, line) in enumerate(lines):
        image = named.file(_cell(line, columns["path"]), file.parent)
        if image is None:
            absent += 1
            continue
        labels = _labels(texts[place], several) if texts else _ones(line, hot)
        if image in rows and rows[image].labels != labels:
            where, rule = f"{file}:{number}", "a file has the same labels wherever it stands"
            raise ReadError(where, rule, image.name, "Correct or delete a row")
        subject = _cell(line, columns["subject"]) if "subject" in columns else ""
        part = _cell(line, columns["split"]) if "split" in columns else ""
        split = SPLITS.get(part.lower())
        rows.setdefault(image, Row(number, image, labels, subject, split))
    several = several or any(len(row.labels) != 1 for row in rows.values() if hot)
    return ItemTable(file, tuple(rows.values()), absent, columns, tuple(hot), several)


def _labels(text: str, several: bool) -> tuple[str, ...]:
    if not several:
        return (text,)
    return _without_none([part.strip() for part in APART.split(text)])


def _without_none(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label.lower() not in NONE)


def _ones(line: Mapping[str, str], hot: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in hot if _is_one(line, name))


def _joined(tables: Sequence[ItemTable]) -> ItemTable | None:
    """Tables of the same columns for different files; their names may say which split."""
    images = [row.image for one in tables for row in one.rows]
    if len(set(images)) < len(images):
        return None
    splits = [split_in(one.file.stem) for one in tables]
    told = None not in splits and len(set(splits)) == len(splits)
    several = any(one.several for one in tables)
    rows = [
        replace(
            row,
            labels=_without_none(row.labels) if several else row.labels,
            split=split if told else row.split,
        )
        for one, split in zip(tables, splits, strict=True)
        for row in one.rows
    ]
    absent = sum(one.absent for one in tables)
    first = tables[0]
    return ItemTable(first.file, tuple(rows), absent, first.columns, first.classes, several)


def split_in(name: str) -> Split | None:
    """The split that a word of a name says.

    Example:
        >>> split_in("ISIC2018_Task3_Training_GroundTruth"), split_in("test_images"), split_in("x")
        ('train', 'test', None)
    """
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), None)
