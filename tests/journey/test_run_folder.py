"""What a training leaves behind: every file of the run folder, and the numbers in it."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import convivo
from convivo.cli import main
from convivo.files import sha256
from convivo.planning.conv_layer import WIDE, lane
from convivo.planning.tile_kernels import has_tiles

from .tiny_runs import KINDS, Journey, files_below, rows_of, train_tiny, valid

Journeys = Callable[[str], Journey]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_folder_holds_what_is_promised(kind: str, journey: Journeys) -> None:
    run = journey(kind).run
    assert set(files_below(run.path)) - {".lock"} >= {
        "config.toml", "split.json", "plan.json", "metrics.jsonl", "control.json",
        "weights.safetensors", "last/state.safetensors", "evaluation.json", "predictions.csv",
        "report.html", "receipt.json",
    }  # fmt: skip
    assert not [name for name in files_below(run.path) if name.endswith((".part", ".tmp"))]


@pytest.mark.parametrize("kind", KINDS)
def test_every_document_of_a_run_is_of_its_schema(kind: str, journey: Journeys) -> None:
    folder = journey(kind).run.path
    for name in ("split", "plan", "control", "evaluation", "receipt"):
        valid(name, (folder / f"{name}.json").read_text(encoding="utf-8"))
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [valid("metrics-line", line)["epoch"] for line in lines] == [1, 2]
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    assert config["net"]["width"] == 0.125
    assert config["data"]["path"] == str(journey(kind).data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_receipt_names_what_is_there(kind: str, journey: Journeys) -> None:
    folder = journey(kind).run.path
    receipt = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    assert receipt["weights_sha256"] == sha256(folder / "weights.safetensors")
    assert receipt["data"]["cases"] == sum(len(split[part]) for part in ("train", "val", "test"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_one_file_without_the_network(kind: str, journey: Journeys) -> None:
    page = (journey(kind).run.path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"""(?:src|href)=["'](?!data:|#)""", page) is None


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_and_predictions_are_of_the_test_part(kind: str, journey: Journeys) -> None:
    folder = journey(kind).run.path
    test = json.loads((folder / "split.json").read_text(encoding="utf-8"))["test"]
    document = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert document["cases"] == len(test)
    assert {row["id"] for row in document["per_case"]} == set(test)
    assert {row["case"] for row in rows_of(folder / "predictions.csv")} == set(test)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluating_again_gives_the_same_numbers(
    kind: str, copied_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied_run(kind)
    written = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert main(["evaluate", str(folder), "--json", "-q", "--threads", "1"]) == 0
    again = valid("evaluation", capsys.readouterr().out)
    assert again["metrics"] == written["metrics"]
    validation = convivo.evaluate(folder, split="val", threads=1, quiet=True)
    assert validation["split"] == "val"


def test_subjects_are_in_one_part_only(journey: Journeys) -> None:
    for kind in KINDS:
        split = json.loads((journey(kind).run.path / "split.json").read_text(encoding="utf-8"))
        parts = [{split["units"][i] for i in split[part]} for part in ("train", "val", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)), kind


@pytest.mark.skipif(lane() != WIDE or has_tiles(), reason="a rule for AVX-512 alone")
def test_a_plan_keeps_the_order_in_memory_and_the_run_its_weights(
    journey: Journeys, tmp_path: Path
) -> None:
    run = train_tiny(
        journey("cells").data, tmp_path / "run", net="densenet121", epochs=1,
        settings=("net.width=0.25", "train.batch=16"),
    )  # fmt: skip
    plan = valid("plan", (run.path / "plan.json").read_text(encoding="utf-8"))
    assert plan["memory_layout"] == "channels_last"
    assert any("channels last" in reason for reason in plan["reasons"])
    weight = convivo.load(run.path).network.get_parameter("features.conv0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous() or weight.shape[1] == 1
