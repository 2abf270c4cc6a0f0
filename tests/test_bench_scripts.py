"""The benchmarks can be found, called and understood; what they measure is not repeated here."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
PARTS = ("peers", "estimates", "augmentation_peers", "export_cases")
PARTS += ("leak_sets", "leak_copies", "leak_threshold")
SCRIPTS = sorted(p.stem for p in BENCH.glob("*.py") if p.stem not in PARTS)
README = (BENCH / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _from_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_tells_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCH / f"{name}.py"), run_name="__main__")
    assert ended.value.code in (0, None)
    shown = capsys.readouterr().out
    assert "usage: " in shown
    assert "--out" in shown or not name.startswith("ledger_")


@pytest.mark.parametrize("name", [*SCRIPTS, *PARTS])
def test_a_benchmark_is_in_the_guide(name: str) -> None:
    assert f"`{name}.py`" in README


def test_every_table_of_the_ledger_is_made_by_make() -> None:
    (tables,) = re.findall(r"^LEDGER := (.*)$", MAKEFILE, re.M)
    assert {f"ledger_{name}" for name in tables.split()} >= {
        name for name in SCRIPTS if name.startswith("ledger_")
    }


def test_default_speeds_are_written_as_they_lie_in_the_package() -> None:
    script = runpy.run_path(str(BENCH / "default_speeds.py"))
    kept = script["DEFAULTS"].read_text(encoding="utf-8")
    table = json.loads(kept)
    assert script["as_text"](table) == kept
    assert script["rounded"](table) == table
    assert script["rounded"]({"a": [[4, 1.23456e-9]]}) == {"a": [[4, 1.23e-9]]}


def test_nnunets_rule_fills_eight_gibibytes_at_its_reference() -> None:
    script = runpy.run_path(str(BENCH / "estimates.py"))
    for dims, (elements, batch) in script["NNUNET_REFERENCE"].items():
        assert script["nnunet_bytes"](elements, batch, dims) == 8 * 2**30
        assert script["nnunet_bytes"](elements, 1, dims) == round(8 * 2**30 / batch)


def test_a_peers_error_is_told_in_percent_of_what_was_measured() -> None:
    script = runpy.run_path(str(BENCH / "ledger_peers.py"))
    case = next(script["cases"]())
    told = {name: {"bytes": 110, "seconds": 1.0} for name in script["TOOLS"]}
    row = {"case": case, "measured": {"bytes": 100}} | told | {"MemTracker": {"failed": "why"}}
    assert script["error"](row, "torchinfo") == pytest.approx(10)
    assert script["error"](row, "MemTracker") is None
    assert "| +10.00 | 1.00 | failed |" in script["table_row"](row)
    assert script["summary_row"]([row], "MemTracker").startswith("| MemTracker | 0 | 1 |")
    assert "| 1 | 0 | 10.00 | 10.00 | 10.00 | 1.00 | 1.00 |" in script["summary_row"](
        [row], "nnU-Net"
    )


def test_the_tracker_of_torch_and_the_ledger_see_the_same_tensors_of_a_unet() -> None:
    """Its float32 kernels take nothing for themselves at the peak, so the two must agree."""
    tools = runpy.run_path(str(BENCH / "estimates.py"))["TOOLS"]
    case = next(runpy.run_path(str(BENCH / "ledger_peers.py"))["cases"]())
    case |= {"net": "unet", "dims": 2, "channels": 1, "side": 64, "width": 0.5, "batch": 4}
    assert tools["MemTracker"](case)() == tools["convivo"](case)()


def limited_row(**changes: object) -> dict:
    """A combination as `ledger_limits.go` tells it."""
    ended = {"status": 0, "peak": 1600 * 2**20, "seconds": 3.0, "said": "fine\n"}
    plan = {"batch": 8, "accumulate": 1, "size": [64, 64]}
    plan |= {"memory": {"process_peak": 1500 * 2**20, "process_bound": 1700 * 2**20}}
    row = {"data": "cells", "net": "resnet18", "gib": 2, "times": 1, "plan": plan}
    return row | dict.fromkeys(("asked", "train", "evaluate", "predict"), ended) | changes


def test_a_limit_that_was_not_kept_is_told() -> None:
    script = runpy.run_path(str(BENCH / "ledger_limits.py"))
    killed = {"status": -9, "peak": 1900 * 2**20, "seconds": 2.0, "said": "step 1\n"}
    rows = [limited_row(), limited_row(times=3), limited_row(predict=killed)]
    assert not script["solved"](limited_row(all_fits=True))
    refused = limited_row(asked=killed | {"status": 1, "said": "needs more"}, plan={})
    rows += [{k: v for k, v in refused.items() if k not in script["JOBS"]}]
    assert script["granted"](2) == 1984
    assert script["share_of"](rows[0]) == pytest.approx(1600 / 1984)
    assert [script["solved"](row) for row in rows] == [True, False, True, False]
    page = script["table"](rows, script["Cage"](), 4, 4)
    assert "| trained, evaluated and predicted | 2 of 4 |" in page
    assert "| processes ended by the kernel | 1 | none |" in page
    assert "uses 75% of the limit | 2 of 2 |" in page
    assert "- cells, resnet18, 2 GiB: predict, SIGKILL: step 1" in page
    assert "- cells, resnet18, 2 GiB: asked, exit 1: needs more" in page


def test_a_plan_that_was_solved_is_what_is_trained() -> None:
    script = runpy.run_path(str(BENCH / "ledger_limits.py"))
    found = {"batch": 5, "patch": [32, 48]}
    assert script["_choice"](found, 3)[:2] == ("train.batch=15", "input.size=[32,48]")


def test_figures_of_processes_are_told_seed_by_seed() -> None:
    script = runpy.run_path(str(BENCH / "ledger_process.py"))
    rows = [
        {"seed": seed, "seen": 100, "expected": {"peak": peak, "bound": peak + 10}}
        for seed, peak in ((11, 100), (11, 104), (99, 85))
    ]
    middle, late, exceeded, above = script["figures"](rows)
    assert (middle, late, exceeded) == pytest.approx((0.04, 0.15, 1 / 3))
    assert above == pytest.approx(0.10)
    made = "2 runs drawn by seed 11 (looked at while the model was made), 1 runs drawn by seed 99"
    assert script["drawn"](rows) == made
    assert script["_by_seed"](rows)[-1].startswith("| 99 | 1 | 15.0% | 15.0% | 1 |")
    assert script["_by_seed"](rows[:2]) == []
