"""compare: runs on the same test cases, held against each other unit by unit."""

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import convivo
from convivo import schemas
from convivo.cli import main
from convivo.errors import DataError, UsageError
from convivo.verbs.measure import csv_text

CLASSES = ["well", "ill"]


def make_run(folder: Path, sure: float, *, seed: int = 0, cases: int = 24) -> Path:
    """The files of a run that is right with this probability; a unit has two cases."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    truth = np.arange(cases) % 2
    right = rng.random(cases) < sure
    p = np.where(right == (truth == 1), 0.5 + 0.5 * rng.random(cases), 0.5 * rng.random(cases))
    plan = {"task": "classify", "task_fields": {"classes": CLASSES, "positive": 1}}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    rows = [{"id": f"{i}.png", "unit": f"u{i // 2}"} for i in range(cases)]
    document = {"per_case": rows, "score_name": "accuracy", "unit": "subject"}
    (folder / "evaluation.json").write_text(json.dumps(document), encoding="utf-8")
    head = ["case", "truth", "prediction", "p_well", "p_ill"]
    lines = [
        [f"{i}.png", CLASSES[t], CLASSES[int(v > 0.5)], f"{1 - v:.6f}", f"{v:.6f}"]
        for i, (t, v) in enumerate(zip(truth, p, strict=True))
    ]
    (folder / "predictions.csv").write_text(csv_text(head, lines), encoding="utf-8")
    return folder


def shares(folder: Path) -> float:
    lines = (folder / "predictions.csv").read_text(encoding="utf-8").splitlines()[1:]
    return float(np.mean([line.split(",")[1] == line.split(",")[2] for line in lines]))


def test_two_runs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = make_run(tmp_path / "a", 1.0), make_run(tmp_path / "b", 0.6)
    assert main(["compare", str(a), str(b), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator(schemas.schema("compare")).validate(found)
    assert found["metric"] == "accuracy"
    assert (found["units"], found["seeds"]) == (12, [1, 1])
    assert found["difference"]["value"] == pytest.approx(shares(a) - shares(b))
    assert found["difference"]["low"] > 0
    assert found["p"] < 0.01
    assert main(["compare", str(b), str(a)]) == 0
    assert "a - b" in capsys.readouterr().out


def test_two_dashes_part_the_seeds_of_two_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [
        [str(make_run(tmp_path / f"{name}{seed}", sure, seed=seed)) for seed in range(count)]
        for name, sure, count in (("a", 0.9, 3), ("b", 0.5, 2))
    ]
    assert main(["compare", "--json", *sides[0], "--", *sides[1]]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == [3, 2]
    assert found["a"]["value"] == pytest.approx(np.mean([shares(Path(p)) for p in sides[0]]))


@pytest.mark.parametrize(
    "metric", ["auroc", "f1", "balanced_accuracy", "sensitivity", "precision.well"]
)
def test_any_metric_can_be_asked_for(metric: str, tmp_path: Path) -> None:
    a, b = make_run(tmp_path / "a", 0.9), make_run(tmp_path / "b", 0.5)
    found = convivo.compare(a, b, metric=metric)
    assert found["metric"] == metric
    assert 0 <= found["b"]["value"] <= 1


def test_runs_that_do_not_compare_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = make_run(tmp_path / "a", 0.9), make_run(tmp_path / "b", 0.9, cases=20)
    with pytest.raises(
        DataError, match=r"all runs were tested on the same cases \(a\); got 4 case"
    ):
        convivo.compare(a, b)
    assert main(["compare", str(a), str(b)]) == 1
    assert "tested on the same cases" in capsys.readouterr().err
    other = make_run(tmp_path / "c", 0.9)
    plan = {"task": "classify", "task_fields": {"classes": ["x", "y"], "positive": 1}}
    (other / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(DataError, match="all runs have the classes well, ill; got x, y"):
        convivo.compare(a, other)
    (other / "plan.json").write_text(json.dumps(plan | {"task": "segment"}), encoding="utf-8")
    with pytest.raises(DataError, match="all runs classify; got segment"):
        convivo.compare(a, other)


def test_wrong_words_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = make_run(tmp_path / "a", 0.9)
    with pytest.raises(
        UsageError, match=r"--metric: a metric of runs that classify.*'acuracy'. Did"
    ):
        convivo.compare(a, a, metric="acuracy")
    for words in ([str(a)], [str(a)] * 3, [str(a), "--"]):
        assert main(["compare", *words]) == 2
        assert "two runs, or the seeds of two sides" in capsys.readouterr().err
    assert main(["compare", str(a), str(tmp_path / "none")]) == 2
    assert "must be the folder of a run" in capsys.readouterr().err
