"""Regions in place of classes, from settings or from `dataset.json`, to label maps and Dice."""

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from convivo import evaluate, export, predict, train
from convivo.cli import main
from convivo.data.inspection import inspect_data
from convivo.verbs.run import Run

from ..numbered_objects import save
from .tiny_runs import TINY, rows_of, train_tiny, valid

SIZES = {1: (96,), 2: (28, 36), 3: (12, 14, 16)}
VALUES = (0, 1, 2, 4)
NESTED = "task.regions={whole=[1,2,4],core=[2,4],enhancing=[4]}"
LISTED = {"background": 0, "whole": [1, 2, 4], "core": [2, 4], "enhancing": 4}


def make_tumours(folder: Path, dims: int, *, count: int = 8) -> Path:
    """Balls in balls: an edema around a core around an enhancing part."""
    for number in range(count):
        rng = np.random.default_rng(number)
        centre = [rng.uniform(0.35, 0.65) * n for n in SIZES[dims]]
        places = zip(np.indices(SIZES[dims]), centre, SIZES[dims], strict=True)
        far = np.sqrt(sum(((p - c) / n) ** 2 for p, c, n in places))
        labels = np.array(VALUES, np.uint8)[(far < 0.33).astype(int) + (far < 0.23) + (far < 0.13)]
        image = (40 + 45.0 * labels + rng.normal(0, 8, labels.shape)).clip(0, 255)
        save(folder / "images", f"case{number}x", image.astype(np.uint8), dims)
        save(folder / "labels", f"case{number}x", labels, dims)
    return folder


def make_described(folder: Path, form: str) -> Path:
    """The same volumes as nnU-Net or the Decathlon lay them out, labels as lists."""
    source = make_tumours(folder / "source", 3, count=6)
    end = "_0000.nii.gz" if form == "nnunet" else ".nii.gz"
    for part, name in (("images", "imagesTr"), ("labels", "labelsTr")):
        (folder / "d" / name).mkdir(parents=True)
        for path in (source / part).iterdir():
            stem = path.name.removesuffix(".nii.gz")
            path.rename(folder / "d" / name / (stem + (end if part == "images" else ".nii.gz")))
    described = {"labels": LISTED, "regions_class_order": [1, 2, 4]}
    key = "channel_names" if form == "nnunet" else "modality"
    (folder / "d" / "dataset.json").write_text(json.dumps(described | {key: {"0": "MR"}}))
    return folder / "d"


def checked(run: Run) -> None:
    document = valid("evaluation", (run.path / "evaluation.json").read_text())
    names = {name for name in document["metrics"] if name.startswith("dice")}
    assert names == {"dice", "dice.whole", "dice.core", "dice.enhancing"}
    assert run.plan["network"]["num_classes"] == 3
    assert list(rows_of(run.path / "predictions.csv")[0])[1:] == run_columns(run)
    assert any(reason.startswith("regions, a yes or no of each") for reason in run.plan["reasons"])


def run_columns(run: Run) -> list[str]:
    return [f"dice.{region['name']}" for region in run.plan["task_fields"]["regions"]]


SLOW = pytest.mark.slow


@pytest.mark.parametrize("dims", [pytest.param(1, marks=SLOW), 2, pytest.param(3, marks=SLOW)])
def test_regions_are_learnt_measured_and_written_as_labels(dims: int, tmp_path: Path) -> None:
    data = make_tumours(tmp_path / "data", dims)
    settings = (NESTED, "train.lr=0.005")
    run = train_tiny(data, tmp_path / "run", epochs=30, settings=settings)
    checked(run)
    assert run.evaluation["metrics"]["dice.whole"]["value"] > 0.5
    (image, *_) = (data / "images").iterdir()
    predict(run, [image], out=tmp_path / "out", quiet=True)
    (file,) = (p for p in (tmp_path / "out").rglob("*") if p.is_file())
    if dims == 1:
        found = np.load(file)
    else:
        found = np.asarray(nib.load(file).dataobj) if dims == 3 else plain(file)
    assert set(np.unique(found)) <= set(VALUES)
    assert (found > 0).any()
    assert evaluate(run, quiet=True)["metrics"] == run.evaluation["metrics"]
    assert evaluate(run, data=data, quiet=True)["cases"] == 8


def plain(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


@pytest.mark.parametrize("form", ["nnunet", "msd"])
def test_regions_of_a_description_are_taken_over(form: str, tmp_path: Path) -> None:
    data = make_described(tmp_path, form)
    assert inspect_data(data).index.layout == form
    run = train_tiny(data, tmp_path / "run")
    checked(run)
    assert [r["label"] for r in run.plan["task_fields"]["regions"]] == [1, 2, 3]


def test_a_description_s_regions_can_be_declined(tmp_path: Path) -> None:
    run = train_tiny(
        make_described(tmp_path, "nnunet"), tmp_path / "run", settings=("task.regions={}",)
    )
    assert "dice.enhancing" in run.evaluation["metrics"]
    assert "regions" not in run.plan["task_fields"]


def test_regions_of_a_file_of_settings(tmp_path: Path) -> None:
    data, config = make_tumours(tmp_path / "data", 1), tmp_path / "c.toml"
    config.write_text(
        "[task]\nregions_class_order = [2, 4]\n[task.regions]\nwhole = [1, 2, 4]\ninner = [4]\n"
    )
    run = train(
        data, out=tmp_path / "run", config=config, settings=TINY, epochs=1, threads=1, quiet=True
    )
    assert run_columns(run) == ["dice.whole", "dice.inner"]
    told = [(r["labels"], r["label"]) for r in run.plan["task_fields"]["regions"]]
    assert told == [([1, 2, 3], 2), ([3], 3)]


@pytest.mark.slow
def test_an_exported_folder_writes_the_same_labels(tmp_path: Path) -> None:
    run = train_tiny(make_tumours(tmp_path / "data", 2), tmp_path / "run", settings=(NESTED,))
    found = export(run, to="torch", out=tmp_path / "exported", quiet=True)
    assert found["parity"]["agrees"]
    pipeline = valid("pipeline", (tmp_path / "exported" / "pipeline.json").read_text())
    assert pipeline["output"]["decision"] == "regions"
    assert pipeline["output"]["labels"] == [1, 2, 3]


NO_LABELS = r"task\.regions: a region is a list of the data's labels \(1, 2, 4\); got a: "
NO_OWN = r"task\.regions: each region has one label that no later region has; got a: "
NO_ORDER = r"task\.regions_class_order: one label of each region, in their order \(whole, core"
REFUSED = [
    (["task.regions={a=[7]}"], NO_LABELS + r"\[7\]\."),
    (["task.regions={a=[0,1]}"], NO_LABELS + r"\[0, 1\]\."),
    (["task.regions={a=[]}"], NO_LABELS + r"\[\]\."),
    (["task.regions={a=[1],b=[1,2]}"], NO_OWN + r"none\."),
    (["task.regions={a=[1,2,4]}"], NO_OWN + r"1, 2, 4\."),
    ([NESTED, "task.regions_class_order=[1,2]"], NO_ORDER),
    ([NESTED, "task.regions_class_order=[1,2,1]"], NO_ORDER),
    (["task.regions_class_order=[1]"], r"regions_class_order: the order of regions; got \[1\]\."),
    ([NESTED, "train.border_weight=10"], r"the weight map is of classes, not of regions; got 10"),
    ([NESTED, "task.instances=true"], r"regions are sets of classes; got label maps that number"),
]


@pytest.mark.parametrize(("settings", "rule"), REFUSED)
def test_settings_that_do_not_fit_are_refused(
    settings: list[str], rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_tumours(tmp_path / "data", 1, count=5)
    words = [word for one in settings for word in ("--set", one)]
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(rule, told), told
