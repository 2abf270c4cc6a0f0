"""The table of predictions: its columns, and how an earlier one is gone on with."""

from pathlib import Path

import numpy as np
import pytest

from convivo.errors import ReadError
from convivo.tasks.classify import Classify
from convivo.verbs.tables import Table

TASK = Classify(classes=("no, none", "yes"))


def test_cases_are_rows(tmp_path: Path) -> None:
    table = Table(tmp_path / "out" / "predictions.csv", TASK, beats=False)
    table.add("a/1.png", [np.array([0.25, 0.75])])
    table.write()
    assert table.path.read_text(encoding="utf-8") == (
        'case,prediction,"p_no, none",p_yes\na/1.png,yes,0.250000,0.750000\n'
    )


def test_beats_are_rows(tmp_path: Path) -> None:
    table = Table(tmp_path / "predictions.csv", Classify(classes=("N", "V")), beats=True)
    table.add("100", [(77, 77 / 360, np.array([0.9, 0.1])), (370, 370 / 360, np.array([0.5, 0.5]))])
    table.write()
    assert table.path.read_text(encoding="utf-8").splitlines() == [
        "record,sample,time_s,prediction,p_N,p_V",
        "100,77,0.2139,N,0.900000,0.100000",
        "100,370,1.0278,N,0.500000,0.500000",
    ]


def test_an_earlier_table_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    first = Table(path, TASK, beats=False)
    first.add("a", [np.array([1.0, 0.0])])
    first.write()
    second = Table(path, TASK, beats=False)
    second.read()
    assert second.has("a")
    assert not second.has("b")
    second.add("b", [np.array([0.0, 1.0])])
    second.write()
    assert [line.partition(",")[0] for line in path.read_text().splitlines()] == ["case", "a", "b"]


@pytest.mark.parametrize("text", ["", "case,prediction,p_x\n"])
def test_another_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=r"columns case,prediction,p_no, none,p_yes; got .* Add --"):
        Table(path, TASK, beats=False).read()
