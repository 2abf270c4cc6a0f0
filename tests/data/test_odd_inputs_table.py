"""The committed table of odd files: each row is as expected, and still what comes of the file."""

import json
import re
import runpy
from pathlib import Path

import pytest

from convivo.errors import ConvivoError
from convivo.files import plain
from convivo.verbs.inspect import inspect

ROOT = Path(__file__).parents[2]
ODD = ROOT.parent / "shared" / "data" / "odd_inputs"
BENCH = runpy.run_path(str(ROOT / "bench" / "odd_inputs.py"))
TABLE = (ROOT / "docs" / "reference" / "odd_inputs.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in TABLE.splitlines()
    if re.match(r"\| [a-z_0-9]+/", line)
]


def document_of(path: Path) -> dict:
    """What the command prints with --json."""
    try:
        return json.loads(json.dumps(plain(inspect(path, quiet=True).document())))
    except ConvivoError as error:
        names = ("where", "rule", "got", "remedy")
        return {"error": {name: str(getattr(error, name)) for name in names}}


def test_all_rows_are_as_expected() -> None:
    assert len(ROWS) == 128
    assert {row[-1] for row in ROWS} == {"as expected"}
    assert "128 files: 128 as expected" in TABLE
    assert "CRASH" not in TABLE


@pytest.mark.data
def test_the_table_has_the_rows_of_the_manifest() -> None:
    assert [row[0] for row in ROWS] == [row["file"] for row in BENCH["rows_of"](ODD)]


@pytest.mark.data
def test_every_row_still_holds(tmp_path: Path) -> None:
    for row, given in zip(ROWS, BENCH["rows_of"](ODD), strict=True):
        folder = tmp_path / Path(row[0]).name
        folder.mkdir()
        document = document_of(BENCH["door_of"](ODD, row[0], folder))
        assert BENCH["told"](document).replace("|", "/") == row[-2], row[0]
        assert BENCH["is_as_expected"](given, document), row[0]
