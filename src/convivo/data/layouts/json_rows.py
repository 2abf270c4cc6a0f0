"""Labels in JSON as the rows of a table: a list of objects, an object path -> label, or lines."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from convivo.data.readers import suffix_of
from convivo.data.readers.containers import stamp

SUFFIXES = (".json", ".jsonl")
MOST_BYTES = 256 * 2**20  # larger ones are annotations of another kind

Rows = tuple[dict[str, str], ...]


def json_rows(file: Path) -> Rows:
    """The rows of a JSON file; () where it is none of these forms, too large, or broken.

    An object whose keys are names of image, volume or signal files is a table of `path` and
    `label`; values that are no text or number (nested objects) are left out of a row.
    """
    return _rows(*stamp(file))


@lru_cache(maxsize=8)
def _rows(name: str, modified: int, size: int) -> Rows:
    if size > MOST_BYTES:
        return ()
    file = Path(name)
    try:
        text = file.read_text(encoding="utf-8-sig")
        lines = file.suffix.lower() == ".jsonl"
        found = [json.loads(one) for one in text.splitlines() if one] if lines else json.loads(text)
    except (ValueError, OSError, RecursionError):
        return ()
    if isinstance(found, dict):
        found = list(_of_paths(found))
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        return ()
    return tuple({str(k): str(v) for k, v in row.items() if _plain(v)} for row in found)


def _of_paths(found: dict[str, object]) -> Iterator[dict[str, object]]:
    plain = all(suffix_of(path) and _plain(value) for path, value in found.items())
    if plain:
        yield from ({"path": path, "label": value} for path, value in found.items())


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float)
