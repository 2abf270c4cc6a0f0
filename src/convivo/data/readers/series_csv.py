"""Series in a CSV table: a row each, its values in numbered columns, its class in another one.

Without a line of names the class is the first or the last column, whichever holds whole numbers,
and fewer different ones.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

SUFFIX = ".csv"
LEAST, LEAST_NAMED = 30, 20  # columns of values; fewer are features of something
CLASS_NAMES = ("label", "class", "target", "diagnosis", "category", "y", "type")
SUBJECT_NAMES = ("subject", "patient", "subject_id", "patient_id", "participant", "record")
MOST_CLASSES = 62
TRIED = 200  # rows
NUMBERED = re.compile(r"^([A-Za-z_ ]*?)[ _.-]?(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)$")
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Columns:
    """Places of columns; first: the row where the values begin."""

    values: tuple[int, ...]
    label: int | None
    subject: int | None
    first: int
    delimiter: str


def columns_of(lines: Sequence[str]) -> Columns | None:
    """What the columns of a table hold; None where it is no table of series."""
    lines = [line for line in lines if line.strip()]
    if len(lines) < 2:
        return None
    # from all of the table: many are sorted by class
    lines = [lines[0], *lines[1 :: max(1, len(lines) // TRIED)]]
    delimiter = max(DELIMITERS, key=lines[0].count)
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    width = len(rows[0])
    rows = [row for row in rows if len(row) == width]
    if len(rows) < 2:
        return None
    if all(map(is_number, rows[0])):
        return _by_place(rows, delimiter) if width > LEAST else None
    return _by_name(rows, delimiter)


def _by_place(rows: Sequence[Sequence[str]], delimiter: str) -> Columns | None:
    last = len(rows[0]) - 1
    if not all(map(is_number, (cell for row in rows for cell in row))):
        return None
    ends = [place for place in (0, last) if _is_class(rows, place)]
    label = min(ends, key=lambda place: len({row[place] for row in rows}), default=None)
    values = tuple(place for place in range(last + 1) if place != label)
    return Columns(values, label, None, 0, delimiter)


def _by_name(rows: Sequence[Sequence[str]], delimiter: str) -> Columns | None:
    names = [name.strip() for name in rows[0]]
    values = _numbered(names)
    body = rows[1:]
    if len(values) < LEAST_NAMED or not all(
        is_number(row[place]) for row in body for place in values
    ):
        return None
    lower = [name.lower() for name in names]
    rest = [place for place in range(len(names)) if place not in values]
    label = _named(lower, CLASS_NAMES, rest)
    subject = _named(lower, SUBJECT_NAMES, rest)
    if label is None:
        others = [place for place in rest if place != subject and _is_class(body, place)]
        label = others[-1] if others else None
    return Columns(tuple(values), label, subject, 1, delimiter)


def _named(names: Sequence[str], known: Sequence[str], places: Sequence[int]) -> int | None:
    found = {names[place]: place for place in reversed(places)}
    return next((found[name] for name in known if name in found), None)


def _numbered(names: Sequence[str]) -> list[int]:
    """The columns whose names are numbers, or all the same word and a number."""
    parts = [NUMBERED.match(name) for name in names]
    words = [part[1].lower() for part in parts if part]
    usual = max(set(words), key=words.count, default=None)
    return [place for place, part in enumerate(parts) if part and part[1].lower() == usual]


def _is_class(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column holds words or whole numbers, few of them and each more than once."""
    cells = [row[place].strip() for row in rows]
    whole = all(not is_number(cell) or float(cell or "nan").is_integer() for cell in cells if cell)
    distinct = len(set(cells) - {""})
    return whole and 1 < distinct <= min(MOST_CLASSES, max(2, len(cells) // 2))


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, or nothing.

    Example:
        >>> [is_number(cell) for cell in ("1e-3", " 2 ", "", "nan", "s1")]
        [True, True, True, True, False]
    """
    try:
        float(cell.strip() or "nan")
    except ValueError:
        return False
    return True
