"""One planted fault of each real data set is found, and nothing else; the table has the others."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
BENCH = runpy.run_path(str(ROOT / "bench" / "planted_faults.py"))
TABLE = (ROOT / "bench" / "results" / "planted_faults.md").read_text(encoding="utf-8")
TRIED = ("turned_label", "copied_across_splits", "lead_off", "section_gone", "slice_gone")
FAULTS = {fault[4].__name__: fault for fault in BENCH["FAULTS"]}


def test_the_table_has_every_fault_and_each_was_found() -> None:
    rows = [line for line in TABLE.splitlines() if line.endswith((" yes |", " NO |"))]
    assert len(rows) == len(FAULTS) >= 20
    assert all(row.endswith(" yes |") for row in rows)
    for fault in FAULTS.values():
        assert any(fault[1] in row and f"`{fault[2]}`" in row for row in rows), fault[1]
    assert {fault[0] for fault in FAULTS.values()} == set(BENCH["SETS"])


@pytest.mark.data
@pytest.mark.parametrize("name", TRIED)
def test_found_and_nothing_else(name: str, tmp_path: Path) -> None:
    good, more, less = BENCH["tried"](DATA, FAULTS[name], tmp_path)
    assert good, (more, less)
