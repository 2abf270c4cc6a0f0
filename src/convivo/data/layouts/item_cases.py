"""What a table of other people says of its files -> Index: one class, or several, a case."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convivo.data.layouts import class_folders
from convivo.data.layouts.item_table import (
    LABELS,
    ItemTable,
    Row,
    folder_of,
    item_table,
    items_below,
    names_items,
    split_in,
)
from convivo.data.layouts.listing import dimensions, given_splits, in_order, relative
from convivo.data.problems import problem
from convivo.data.sample import Case, Index, Problem, Split
from convivo.errors import ReadError

LAYOUT = "manifest"


def has_item_table(root: Path) -> bool:
    """Whether a table of the folder names files below it, and their labels.

    Also where it names them but no labels, and there is nothing else to learn from: it was named
    itself, or there is one folder of files.
    """
    try:
        if item_table(root) is not None:
            return True
    except ReadError:  # said when it is read; folders of classes need no table
        return _classes_in(root) < 2
    return names_items(root) is not None and (root.is_file() or _classes_in(root) == 1)


def index_of_items(root: Path) -> Index:
    """A case for every file that the table gives a label; classes in the order of columns.

    Files that it does not name are `missing-label`, or for prediction where they lie in a folder
    that says test. Of several labels a case, `extra` holds `multi_label`, `targets`, a uint8 array
    (cases, L), and `rows`, file -> its row there.

    Raises:
        ReadError: no column of labels is known, or none of the files can be read.
    """
    table, top = item_table(root), folder_of(root)
    if table is None:
        file, names = names_items(root) or (root, [])
        rule = f"a table has a column of labels ({', '.join(LABELS[:6])}, ...)"
        remedy = "Name the one to learn: label"
        raise ReadError(file, rule, f"columns {', '.join(names[:8])}", remedy)
    rows = [row for row in table.rows if table.several or row.labels != ("",)]
    names = {name for row in rows for name in row.labels}
    classes = list(table.classes) or in_order(names)
    place = {name: number for number, name in enumerate(classes)}
    known = {row.image for row in table.rows}
    others = [path for path in items_below(top) if path not in known]
    subject = table.columns.get("subject")
    return Index(
        layout=LAYOUT,
        root=root,
        task="classify",
        spatial_dims=dimensions([row.image for row in rows]),
        cases=given_splits(_case(row, top, place, several=table.several) for row in rows),
        classes=tuple(classes),
        subject_source=f"manifest column {subject}" if subject else None,
        problems=tuple(_problems(table, top, others)),
        unlabelled=tuple(str(path.absolute()) for path in others if _is_for_prediction(path, top)),
        extra=_sets(rows, place) if table.several else {},
    )


def _classes_in(root: Path) -> int:
    """Of folders of classes, how many there are."""
    return len(class_folders.index(root).classes) if class_folders.matches(root) else 0


def _case(row: Row, root: Path, place: dict[str, int], *, several: bool) -> Case:
    return Case(
        id=relative(row.image, root),
        image=(str(row.image.absolute()),),
        target=None if several else place[row.labels[0]],
        split=row.split or _split_of(row.image, root),
        subject=row.subject or None,
    )


def _split_of(path: Path, root: Path) -> Split | None:
    """The split that the file's folders say."""
    parts = path.relative_to(root).parent.parts
    return next((split for part in parts if (split := split_in(part))), None)


def _is_for_prediction(path: Path, root: Path) -> bool:
    return _split_of(path, root) == "test"


def _sets(rows: list[Row], place: dict[str, int]) -> dict[str, object]:
    targets = np.zeros((len(rows), len(place)), np.uint8)
    for number, row in enumerate(rows):
        targets[number, [place[name] for name in row.labels]] = 1
    files = {str(row.image.absolute()): number for number, row in enumerate(rows)}
    return {"multi_label": True, "targets": targets, "rows": files}


def _problems(table: ItemTable, root: Path, others: list[Path]) -> Iterator[Problem]:
    name = table.file.name
    if table.absent:
        message = f"{table.absent} rows name files that are not there"
        yield problem("missing-image", name, message, "Add the files, or go on without them")
    for row in table.rows:
        if row.labels == ("",) and not table.several:
            message, remedy = f"{name}:{row.line}: no label", "Add the label or delete the row"
            yield problem("missing-label", relative(row.image, root), message, remedy)
    for path in others:
        if not _is_for_prediction(path, root):
            message, remedy = f"{name} does not name it", "Add a row or move the file away"
            yield problem("missing-label", relative(path, root), message, remedy)
