"""The columns and rows of a table, whether CSV, TSV or JSON."""

import csv
from collections.abc import Iterator
from pathlib import Path

from convivo.data.layouts import json_rows
from convivo.errors import ReadError

SUFFIXES = (".csv", ".tsv", *json_rows.SUFFIXES)


def column_names(file: Path) -> list[str]:
    """As written; empty where the file is no table."""
    try:
        if _is_json(file):
            return list(dict.fromkeys(key for row in json_rows.json_rows(file) for key in row))
        return next(csv.reader([_first_line(file)], delimiter=_delimiter(file)), [])
    except (OSError, csv.Error):
        return []


def rows_of(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Number and cells of every line that is not empty; of JSON the objects, counted from 1.

    Raises:
        ReadError: it is not in UTF-8, or no table.
    """
    try:
        return list(_lines(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReadError(file, "must be a table in UTF-8", error, "Save it as UTF-8") from error


def _lines(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    if _is_json(file):
        yield from enumerate(json_rows.json_rows(file), start=1)
        return
    with file.open(encoding="utf-8-sig", newline="") as text:
        lines = csv.DictReader(text, delimiter=_delimiter(file), restval="")
        yield from ((lines.line_num, line) for line in lines if any(line.values()))


def _is_json(file: Path) -> bool:
    return file.suffix.lower() in json_rows.SUFFIXES


def _delimiter(file: Path) -> str:
    return max(",;\t", key=_first_line(file).count)


def _first_line(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        return text.readline()
