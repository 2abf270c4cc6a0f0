"""A table (CSV, TSV or JSON) of files: path, label, and where known subject and split."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convivo.data.layouts import image_mask
from convivo.data.layouts.item_cases import has_item_table, index_of_items
from convivo.data.layouts.item_table import PARTS, SUBJECTS
from convivo.data.layouts.listing import SPLITS, dimensions, given_splits, in_order, relative
from convivo.data.layouts.table_rows import SUFFIXES, column_names, rows_of
from convivo.data.problems import problem
from convivo.data.readers import suffix_of
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ReadError

NAME = "manifest"

COLUMNS = {
    "path": ("path", "image", "file", "filename", "image_path", "filepath"),
    "label": ("label", "class", "target", "mask", "label_path", "mask_path"),
    "subject": SUBJECTS,
    "split": PARTS,
}
MASK_COLUMNS = ("mask", "label_path", "mask_path")


@dataclass(frozen=True)
class _Row:
    """A line of the table that names a file; texts are empty where the table says nothing."""

    line: int
    image: Path
    id: str
    label: str
    subject: str
    split: str


@dataclass(frozen=True)
class _Table:
    """The file, the column name by role, the rows."""

    file: Path
    columns: dict[str, str]
    rows: tuple[_Row, ...]


def matches(root: Path) -> bool:
    """Whether the file, or exactly one table of the folder, has a column of paths.

    Or a table of the folder names its files and their labels in another way.
    """
    return len(_tables(root)) == 1 or _names_items(root)


def index(root: Path) -> Index:
    """A case per row; paths are relative to the table, ids relative to its folder.

    Labels that are files make a segmentation, others name classes, sorted by value where all are
    numbers. A row whose file is not there is `missing-image`, one without a label `missing-label`
    (in a test split: for prediction).

    Raises:
        ReadError: no label column, an unknown split, a path twice, a file outside, nothing usable.
    """
    if not any("label" in _columns(table) for table in _tables(root)) and _names_items(root):
        return index_of_items(root)
    table = _read(_only(root))
    there = [row for row in table.rows if row.image.is_file()]
    if not there and _names_items(root):  # by names without a folder or a suffix
        return index_of_items(root)
    masks = _are_masks(table)
    labelled = [row for row in there if _has_label(row, table, masks)]
    if not labelled:
        got = f"{len(table.rows)} rows, {len(there)} files, no label of them"
        raise ReadError(table.file, "lists files and their labels", got, "Check the paths")
    classes = [] if masks else in_order({row.label for row in labelled})
    place = {name: number for number, name in enumerate(classes)}
    subject = table.columns.get("subject")
    return Index(
        layout=NAME,
        root=root,
        task="segment" if masks else "classify",
        spatial_dims=dimensions([row.image for row in labelled]),
        cases=given_splits(_case(row, table, place) for row in labelled),
        classes=tuple(classes),
        subject_source=f"manifest column {subject}" if subject else None,
        problems=tuple(_problems(table, {row.id for row in labelled})),
        unlabelled=tuple(str(row.image.absolute()) for row in there if _to_predict(row)),
    )


def _names_items(root: Path) -> bool:
    """Masks tell more than a table of their folder does."""
    return has_item_table(root) and not image_mask.matches(root)


def _tables(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix.lower() in SUFFIXES and _columns(root) else []
    files = sorted(p for p in root.glob("[!.]*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return [path for path in files if {"path", "label"} <= set(_columns(path))]


def _only(root: Path) -> Path:
    tables = _tables(root)
    if len(tables) != 1:
        got = ", ".join(path.name for path in tables) or "none"
        raise ReadError(root, "one table with columns path and label", got, "Name the table")
    return tables[0]


def _columns(file: Path) -> dict[str, str]:
    """Role -> column name as written; {} where there is no column of paths."""
    known = {name.strip().lower(): name for name in reversed(column_names(file))}
    found = {
        role: known[next(alias for alias in aliases if alias in known)]
        for role, aliases in COLUMNS.items()
        if set(aliases) & set(known)
    }
    return found if "path" in found else {}


def _read(file: Path) -> _Table:
    columns = _columns(file)
    if "label" not in columns:
        got = f"columns {', '.join(columns.values())}"
        rule = f"a table has a column of labels ({', '.join(COLUMNS['label'])})"
        raise ReadError(file, rule, got, "Add the column")
    rows = [_row(file, columns, number, line) for number, line in rows_of(file)]
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise ReadError(f"{file}:{row.line}", "a path stands once", row.id, "Delete the row")
        seen.add(row.id)
    return _Table(file, columns, tuple(rows))


def _row(file: Path, columns: dict[str, str], number: int, line: dict[str, str]) -> _Row:
    texts = {role: (line.get(name) or "").strip() for role, name in columns.items()}
    where, split = f"{file}:{number}", texts.get("split", "").lower()
    if not texts["path"]:
        raise ReadError(where, "every row names a file", "an empty path", "Complete the row")
    if split and split not in SPLITS:
        raise ReadError(where, "a split is train, val or test", split, "Correct the row")
    image = file.parent / texts["path"]
    return _Row(
        line=number,
        image=image,
        id=relative(image, file.parent),
        label=texts["label"],
        subject=texts.get("subject", ""),
        split=split,
    )


def _are_masks(table: _Table) -> bool:
    """Labels are files: the column says so, or the first label is the path of a known format."""
    if table.columns["label"].strip().lower() in MASK_COLUMNS:
        return True
    first = next((row.label for row in table.rows if row.label), "")
    return suffix_of(first) is not None


def _has_label(row: _Row, table: _Table, masks: bool) -> bool:
    return bool(row.label) and (not masks or (table.file.parent / row.label).is_file())


def _to_predict(row: _Row) -> bool:
    return not row.label and SPLITS.get(row.split) == "test"


def _case(row: _Row, table: _Table, place: dict[str, int]) -> Case:
    label = None if place else str((table.file.parent / row.label).absolute())
    return Case(
        id=row.id,
        image=(str(row.image.absolute()),),
        label=label,
        target=place.get(row.label),
        split=SPLITS.get(row.split),
        subject=row.subject or None,
    )


def _problems(table: _Table, usable: set[str]) -> Iterator[Problem]:
    name = table.file.name
    for row in table.rows:
        if not row.image.is_file():
            yield problem("missing-image", row.id, f"{name}:{row.line}: no such file", "Add it")
        elif row.id not in usable and not _to_predict(row):
            got = f"no such file {row.label}" if row.label else "no label"
            remedy = "Add the label or delete the row"
            yield problem("missing-label", row.id, f"{name}:{row.line}: {got}", remedy)
