"""Signals as text: numbers in rows, parted by commas, semicolons, tabs or blanks."""

import re
from pathlib import Path

import numpy as np

from convivo.data.sample import Header
from convivo.errors import ReadError

MOST_BYTES = 2**26
PARTS = re.compile(r"[,;\t ]+")


def read_table(path: Path) -> tuple[np.ndarray, Header]:
    """A table as channels of one signal, (C, n); time runs along its longer side.

    A first line that is no numbers names the columns.

    Raises:
        ReadError: too large, rows of unequal length, a word where a number belongs.
    """
    if path.stat().st_size > MOST_BYTES:
        got = f"{path.stat().st_size} bytes"
        raise ReadError(path, f"a text holds at most {MOST_BYTES} bytes", got, "Save it as .npy")
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    rows = [PARTS.split(line) for line in lines if line and line[0] not in "#@"]
    names = () if not rows or _numbers(rows[0]) is not None else tuple(rows.pop(0))
    values = [_numbers(row) for row in rows]
    if not values or any(v is None for v in values):
        number = next((i for i, v in enumerate(values) if v is None), 0)
        got = " ".join(rows[number])[:40] if rows else "nothing"
        raise ReadError(path, "rows of numbers", repr(got), "Remove what is no number")
    if len({len(v) for v in values if v}) != 1:
        raise ReadError(path, "rows of equal length", "unequal ones", "Fill the gaps")
    table = np.array(values, dtype=np.float64)
    along = table.T if len(table) >= table.shape[1] else table
    names = names if len(names) == len(along) else ()
    shape = (along.shape[1],)
    header = Header(
        shape=shape, channels=len(along), dtype="text", axes="T", channel_names=names,
        spacing_unit="samples",
    )  # fmt: skip
    return along, header


def _numbers(row: list[str]) -> list[float] | None:
    try:
        return [float(word) for word in row]
    except ValueError:
        return None
