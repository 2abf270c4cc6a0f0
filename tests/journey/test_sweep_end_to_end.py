"""A sweep as a user meets it: trials judged by validation, the best measured on test, once."""

import json
import shutil
import sys

import pytest

import convivo
from convivo.errors import PlanError, UsageError

from .tiny_runs import make_data, train_tiny, valid

pytest.importorskip("optuna")
SEARCH = ("train.lr=1e-4..1e-1",)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    data = make_data("cells", folder / "data")
    return data, train_tiny(data, folder / "run", sweep=3, search=SEARCH)


def told(run):
    return json.loads((run / "sweep.json").read_text(encoding="utf-8"))


def test_the_best_trial_becomes_the_run(swept):
    _, run = swept
    document = told(run.path)
    scores = [row["score"] for row in document["trials"]]
    assert len(scores) == 3
    assert document["best"] == scores.index(max(scores))
    best = run.path / f"trial_{document['best']}"
    assert (run.path / "weights.safetensors").read_bytes() == (
        best / "weights.safetensors"
    ).read_bytes()
    rate = float(document["trials"][document["best"]]["settings"]["train.lr"])
    assert run.plan["train"]["lr"] == rate
    assert len({row["settings"]["train.lr"] for row in document["trials"]}) == 3
    valid("evaluation", run.evaluation)
    assert convivo.verify(run)["ok"]


def test_only_the_run_has_looked_at_the_test_part(swept):
    _, run = swept
    assert run.evaluation["split"] == "test"
    assert run.folder.json("receipt.json")["test_evaluations"] == 1
    for number in range(3):
        trial = convivo.load(run.path / f"trial_{number}")
        assert trial.evaluation["split"] == "val"
        assert valid("receipt", trial.folder.json("receipt.json"))["test_evaluations"] == 0
        held = set(trial.folder.json("split.json")["test"])
        assert not held & {row["id"] for row in trial.evaluation["per_case"]}


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_to_the_same_end(swept, tmp_path):
    data, run = swept
    out = tmp_path / "run"
    out.mkdir()
    shutil.copytree(run.path / "trial_0", out / "trial_0")
    document = told(run.path)
    document["trials"] = document["trials"][:1]
    (out / "sweep.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError, match="new or empty"):
        train_tiny(data, out, sweep=3, search=SEARCH)
    again = train_tiny(data, out, resume=True)
    assert [row["settings"] for row in told(out)["trials"]] == [
        row["settings"] for row in told(run.path)["trials"]
    ]
    assert again.evaluation["metrics"] == run.evaluation["metrics"]


def test_other_searches_and_trials_past_the_end_are_refused(swept, tmp_path):
    data, run = swept
    out = shutil.copytree(run.path, tmp_path / "run")
    with pytest.raises(UsageError, match=r"the folder's sweep searches train\.lr"):
        train_tiny(data, out, sweep=3, search=("train.lr=1e-3..1e-1",), resume=True)
    with pytest.raises(UsageError, match="a finished sweep stays as it is"):
        train_tiny(data, out, sweep=5, search=SEARCH, resume=True)


@pytest.mark.slow
def test_a_trial_that_cannot_be_trained_is_told_and_the_others_go_on(swept, tmp_path):
    data, _ = swept
    search = ("net.width=0.125|400",)
    run = train_tiny(data, tmp_path / "run", sweep=4, search=search, ram="700M")
    rows = told(run.path)["trials"]
    failed = [row for row in rows if row["error"]]
    assert {row["settings"]["net.width"] for row in failed} == {"400"}
    assert all(row["score"] is None for row in failed)
    with pytest.raises(PlanError, match="a trial that can be trained"):
        train_tiny(data, tmp_path / "none", sweep=1, search=("net.width=400|401",), ram="700M")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sweep": 0}, "at least one trial; got 0"),
        ({"search": SEARCH}, "at least one trial; got nothing"),
        ({"sweep": 2, "folds": 3}, "decides on one split and plans anew; got --folds"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(swept, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        train_tiny(swept[0], tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_without_optuna_it_says_what_to_install(swept, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr("convivo.verbs.sweep.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"optuna must be installed; got no package optuna\. Ins"):
        train_tiny(swept[0], tmp_path / "run", sweep=2)
