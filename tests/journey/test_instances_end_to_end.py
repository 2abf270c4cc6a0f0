"""Objects told apart, in one, two and three dimensions: from numbered maps to predictions."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from convivo import evaluate, export, predict
from convivo.arrays.objects import numbered
from convivo.cli import main
from convivo.data.sample import Sample
from convivo.verbs.run import Run
from convivo.verbs.samples import inspection_of

from ..numbered_objects import draw_image, draw_objects, make_maps, make_mask_files
from .tiny_runs import rows_of, train_tiny, valid

Objects = tuple[Path, Run]
EPOCHS = {1: 60, 2: 60, 3: 16}
QUICK = ("train.lr=0.005", "net.width=0.25")


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Objects]:
    made: dict[int, Objects] = {}

    def of(dims: int) -> Objects:
        if dims not in made:
            folder = tmp_path_factory.mktemp(f"objects{dims}")
            data = (
                make_mask_files(folder / "data") if dims == 2 else make_maps(folder / "data", dims)
            )
            asked = QUICK if dims == 2 else (*QUICK, "task.instances=true")
            made[dims] = data, train_tiny(data, folder / "run", epochs=EPOCHS[dims], settings=asked)
        return made[dims]

    return of


def array_of(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path)
    return np.asarray(nib.load(path).dataobj if path.suffix == ".gz" else Image.open(path))


@pytest.mark.parametrize("dims", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_objects_are_found_measured_and_written(
    dims: int, objects: Callable[[int], Objects], tmp_path: Path
) -> None:
    _, run = objects(dims)
    document = valid("evaluation", (run.path / "evaluation.json").read_text())
    assert run.plan["task_fields"]["instances"] is True
    assert run.plan["network"]["num_classes"] == 3
    assert any(reason.startswith("objects are told apart") for reason in run.plan["reasons"])
    assert {"dice", "dice.1", "ap50", "ap", "count_error"} < set(document["metrics"])
    assert document["metrics"]["dice"]["value"] > 0.5
    assert document["metrics"]["ap50"]["value"] > 0.1
    assert document["score_name"] == "ap50"
    assert sum(row["objects"] for row in document["per_case"]) == document["objects"]["objects"]
    rows = rows_of(run.path / "predictions.csv")
    assert list(rows[0]) == ["case", "dice.1", "ap50", "objects", "found"]
    assert "AP50" in (run.path / "report.html").read_text(encoding="utf-8")
    image = run.folder.json("split.json")["test"][0]
    data, _ = objects(dims)
    predict(run, [data / image], out=tmp_path / "out", quiet=True)
    (file,) = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    found, seen = array_of(file), array_of(data / image)
    assert found.shape == seen.shape
    assert np.array_equal(found, numbered(found))
    told = next(row["found"] for row in document["per_case"] if row["id"] == image)
    assert int(found.max()) == told


@pytest.mark.slow
def test_another_look_says_the_same(objects: Callable[[int], Objects]) -> None:
    data, run = objects(2)
    again = evaluate(run, quiet=True)
    assert again["metrics"]["ap50"] == run.evaluation["metrics"]["ap50"]
    elsewhere = evaluate(run, data=data, quiet=True)
    assert elsewhere["cases"] == 10
    assert elsewhere["objects"]["objects"] > again["objects"]["objects"]


def test_classes_of_the_same_files_when_asked(tmp_path: Path) -> None:
    data = make_mask_files(tmp_path / "data", count=6)
    run = train_tiny(data, tmp_path / "run", settings=("task.instances=false",))
    assert "ap50" not in run.evaluation["metrics"]
    assert evaluate(run, quiet=True)["metrics"]["dice"] == run.evaluation["metrics"]["dice"]


@pytest.mark.slow
def test_a_plan_is_repeated_on_data_read_alike(
    objects: Callable[[int], Objects], tmp_path: Path
) -> None:
    data, run = objects(1)
    again = train_tiny(data, tmp_path / "run", plan=run.path / "plan.json", epochs=EPOCHS[1])
    assert again.plan["task_fields"] == run.plan["task_fields"]
    assert (again.path / "weights.safetensors").read_bytes() == (
        run.path / "weights.safetensors"
    ).read_bytes()


def test_an_exported_folder_finds_the_same_objects(
    objects: Callable[[int], Objects], tmp_path: Path
) -> None:
    _, run = objects(2)
    found = export(run, to="torch", out=tmp_path / "exported", quiet=True)
    assert found["parity"]["agrees"]
    pipeline = valid("pipeline", (tmp_path / "exported" / "pipeline.json").read_text())
    assert pipeline["output"]["decision"] == "objects"


def test_samples_of_python_may_number_objects(tmp_path: Path) -> None:
    samples = []
    for number in range(8):
        target = 11 * draw_objects(number, (24, 28), 4)
        image = draw_image(number, target)[None].astype(np.float32)
        samples.append(Sample(id=f"s{number}", image=image, target=target, unit=f"u{number}"))
    run = train_tiny(samples, tmp_path / "run", settings=("task.instances=true",))
    assert "ap50" in run.evaluation["metrics"]
    assert inspection_of(samples, instances=True).index.classes == ("background", "1")


def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_mask_files(tmp_path / "data", count=5)
    settings = ["--set", "train.border_weight=10"]
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *settings]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    rule = (
        r"train\.border_weight: the weight map is of classes, not of numbered objects; got 10\.0\."
    )
    assert re.search(rule, told), told


def test_inspection_tells_of_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_mask_files(tmp_path / "data", count=5)
    assert main(["inspect", str(data), "--json"]) == 0
    found = valid("inspect", json.loads(capsys.readouterr().out))
    assert found["instances"]["from"] == "files"
    assert main(["inspect", str(data)]) == 0
    assert f"objects         {found['instances']['count']}" in capsys.readouterr().out
