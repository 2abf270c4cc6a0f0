"""Cross-validation as a user meets it: folds, their pooled answers, their ensemble."""

import json
import shutil

import numpy as np
import pytest
import torch

import convivo
from convivo.data.readers import read
from convivo.errors import DataError, ReadError, UsageError
from convivo.verbs.setup import build_preparation

from .tiny_runs import files_below, make_data, rows_of, train_tiny, valid

FILES = {
    "config.toml", "evaluation.json", "folds.json", "plan.json", "predictions.csv", "receipt.json",
    "report.html", "split.json", "weights.safetensors",
}  # fmt: skip


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """Kind -> (data, run of two folds)."""
    made = {}

    def of(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(f"folds_{kind}")
            data = make_data(kind, folder / "data")
            made[kind] = data, train_tiny(data, folder / "run", folds=2)
        return made[kind]

    return of


@pytest.mark.parametrize(
    "kind", ["cells", *(pytest.param(k, marks=pytest.mark.slow) for k in ("volumes", "signals"))]
)
def test_each_case_is_answered_once_by_a_network_that_had_not_seen_it(folded, kind):
    data, run = folded(kind)
    assert {p.name for p in run.path.iterdir() if p.is_file() and p.name[0] != "."} == FILES
    pooled = valid("evaluation", run.evaluation)
    held = [row["id"] for row in pooled["per_case"]]
    assert sorted(held) == sorted(case.id for case in convivo.inspect(data).cases)
    folds = [convivo.load(run.path / f"fold_{n}") for n in range(2)]
    for fold in folds:
        split = valid("split", fold.folder.json("split.json"))
        units = [{split["units"][i] for i in split[part]} for part in ("train", "val", "test")]
        assert not units[2] & (units[0] | units[1])
    own = [row for fold in folds for row in fold.evaluation["per_case"]]
    assert pooled["per_case"] == own
    assert pooled["cases"] == sum(row["cases"] for row in pooled["folds"]) == len(held)
    valid("receipt", run.folder.json("receipt.json"))
    valid("plan", dict(run.plan))
    valid("split", run.folder.json("split.json"))
    assert convivo.verify(run)["ok"]


def test_pooled_metrics_are_those_of_all_answers_together(folded):
    _, run = folded("cells")
    lines = rows_of(run.path / "predictions.csv")
    right = np.mean([line["truth"] == line["prediction"] for line in lines])
    entry = run.evaluation["metrics"]["accuracy"]
    assert entry["value"] == pytest.approx(right, abs=1e-9)
    assert entry["low"] < right < entry["high"] or right in (0, 1)
    assert "Pooled over 2 folds" in run.evaluation["notes"][0]


def test_the_ensemble_answers_with_the_mean_of_its_members(folded, tmp_path):
    data, run = folded("cells")
    image = next((data).rglob("*.png"))
    run.predict(image, out=tmp_path / "all", backend="torch", quiet=True)
    together = rows_of(tmp_path / "all" / "predictions.csv")[0]
    singles = []
    for n in range(2):
        fold = convivo.load(run.path / f"fold_{n}")
        fold.predict(image, out=tmp_path / str(n), backend="torch", quiet=True)
        singles.append(rows_of(tmp_path / str(n) / "predictions.csv")[0])
    for key in together:
        if key.startswith("p_"):
            wanted = np.mean([float(single[key]) for single in singles])
            assert float(together[key]) == pytest.approx(wanted, abs=2e-5)


def test_members_see_the_input_on_their_own_scale(folded):
    _, run = folded("cells")
    scales = [build_preparation(convivo.load(run.path / f"fold_{n}").plan) for n in range(2)]
    assert scales[0].mean != scales[1].mean, "else nothing is tested"
    seen = []
    for member in run.network.members:
        member.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    grey = torch.rand(1, scales[0].channels, *run.plan["sampling"]["size"])
    values = [torch.tensor(s).reshape(1, -1, 1, 1) for p in scales for s in (p.mean, p.std)]
    with torch.inference_mode():
        run.network((grey - values[0]) / values[1])
    torch.testing.assert_close(seen[0], (grey - values[0]) / values[1])
    torch.testing.assert_close(seen[1], (grey - values[2]) / values[3], atol=1e-5, rtol=1e-5)


def test_maps_of_the_ensemble_are_on_the_grid_of_the_input(folded, tmp_path):
    data, run = folded("volumes")
    source = sorted((data / "imagesTr").iterdir())[0]
    run.predict(source, out=tmp_path, quiet=True)
    assert read(tmp_path / source.name).array.shape == read(source).array.shape


def test_measured_again_it_is_the_same(folded):
    _, run = folded("volumes")
    again = convivo.evaluate(run, quiet=True)
    assert again["metrics"] == run.evaluation["metrics"]
    assert convivo.evaluate(run, split="val", quiet=True)["split"] == "val"


@pytest.mark.slow
def test_an_ensemble_is_exported_as_one(folded, tmp_path):
    _, run = folded("cells")
    run.export("onnx", tmp_path / "out", quiet=True)
    parity = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert parity["cases"], "compared on cases"
    assert all(case["agrees"] for case in parity["cases"])


@pytest.mark.slow
def test_int8_is_for_one_network(folded, tmp_path):
    pytest.importorskip("nncf")
    _, run = folded("cells")
    with pytest.raises(UsageError, match="int8 is for the run of one network; got 2 folds"):
        run.export("openvino", tmp_path / "out", precision="int8", quiet=True)


@pytest.mark.slow
def test_one_fold_at_a_time_comes_to_the_same(folded, tmp_path):
    data, run = folded("cells")
    out = tmp_path / "run"
    first = train_tiny(data, out, folds=2, fold=1)
    assert first.path == out / "fold_1"
    with pytest.raises(ReadError, match="folds that are not all finished"):
        convivo.load(out)
    train_tiny(data, out, folds=2, fold=0)
    whole = convivo.load(out)
    assert whole.evaluation["metrics"] == run.evaluation["metrics"]
    names = [name for name in files_below(out) if name.endswith("weights.safetensors")]
    for name in names:
        assert (out / name).read_bytes() == (run.path / name).read_bytes()


def test_what_is_missing_is_made_by_resuming(folded, tmp_path):
    data, run = folded("cells")
    out = shutil.copytree(run.path, tmp_path / "run")
    shutil.rmtree(out / "fold_1")
    for name in FILES - {"folds.json"}:
        (out / name).unlink()
    with pytest.raises(UsageError, match="new or empty"):
        train_tiny(data, out, folds=2)
    again = train_tiny(data, out, resume=True)
    assert again.evaluation["metrics"] == run.evaluation["metrics"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 1}, "--folds is at least 2; got 1"),
        ({"fold": 0}, "--folds is at least 2; got nothing"),
        ({"folds": 3, "fold": 3}, "--fold is one of 0 to 2; got 3"),
        ({"folds": 3, "fold": -1}, "--fold is one of 0 to 2; got -1"),
        ({"folds": 2, "task": "generate"}, "folds are for tasks that answer each case"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_and_leave_nothing(folded, tmp_path, options, words):
    data, _ = folded("cells")
    with pytest.raises(UsageError, match=words):
        train_tiny(data, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_other_numbers_than_the_folder_holds_are_refused(folded):
    data, run = folded("cells")
    with pytest.raises(UsageError, match="the folder holds 2 folds of seed 0"):
        train_tiny(data, run.path, folds=3, resume=True)


def test_too_many_folds_leave_nothing(folded, tmp_path):
    data, _ = folded("volumes")
    with pytest.raises(DataError, match="need at least"):
        train_tiny(data, tmp_path / "run", folds=20)
    assert not (tmp_path / "run").exists()


def test_the_report_tells_each_fold_and_leads_to_its_own(folded):
    _, run = folded("cells")
    page = (run.path / "report.html").read_text(encoding="utf-8")
    for number, row in enumerate(run.evaluation["folds"]):
        assert f'href="fold_{number}/report.html"' in page
        assert f"{row['cases']} cases" in page
    assert "No history was written" not in page


def test_a_given_test_part_stays_aside_and_the_result_says_so(tmp_path):
    data = make_data("cells", tmp_path / "data")
    for folder in [path for path in data.iterdir() if path.is_dir()]:
        for number, image in enumerate(sorted(folder.iterdir())):
            part = data / ("test" if number < 2 else "train") / folder.name
            part.mkdir(parents=True, exist_ok=True)
            image.rename(part / image.name)
        folder.rmdir()
    run = train_tiny(data, tmp_path / "run", folds=2)
    assert not [row for row in run.evaluation["per_case"] if row["id"].startswith("test/")]
    assert "The given test part (4 cases) belongs to no fold." in run.evaluation["notes"]
