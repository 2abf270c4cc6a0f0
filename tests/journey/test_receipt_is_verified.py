"""`verify`: what was changed after a run is found, and every look at the test part is counted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convivo
from convivo.cli import main
from convivo.errors import ReadError
from convivo.files import read_json, write_json

from .tiny_runs import KINDS, Journey, make_data, train_tiny, valid

Journeys = Callable[[str], Journey]
Copies = Callable[[str], Path]


def what_is_wrong(run: Path) -> list[str]:
    document = valid("verify", convivo.verify(run))
    wrong = [row["what"] for row in document["findings"] if row["severity"] == "error"]
    assert document["ok"] == (not wrong)
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_run_is_as_its_receipt_says(
    kind: str, copied_run: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied_run(kind)
    assert what_is_wrong(run) == []
    assert main(["verify", str(run)]) == 0
    assert capsys.readouterr().out.endswith("everything is as the receipt says\n")


def test_a_better_evaluation_is_found(
    copied_run: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied_run("fields")
    document = read_json(run / "evaluation.json")
    document["metrics"]["dice"]["value"] = 0.99
    write_json(run / "evaluation.json", document)
    assert what_is_wrong(run) == ["evaluation.json"]
    assert main(["verify", str(run), "--json"]) == 1
    assert valid("verify", capsys.readouterr().out)["ok"] is False
    (run / "evaluation.json").unlink()
    assert what_is_wrong(run) == ["evaluation.json"]


def test_swapped_weights_are_found(copied_run: Copies, journey: Journeys, tmp_path: Path) -> None:
    run = copied_run("cells")
    other = train_tiny(journey("cells").data, tmp_path / "other", seed=3, epochs=1)
    shutil.copy(other.path / "weights.safetensors", run)
    assert what_is_wrong(run) == ["weights.safetensors"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_changed_split_is_found(part: str, copied_run: Copies) -> None:
    run = copied_run("cells")
    split = read_json(run / "split.json")
    split["val"].append(split[part].pop())
    write_json(run / "split.json", split)
    assert what_is_wrong(run) == ["split.json"]


def test_a_changed_plan_is_found_but_not_its_measurements(copied_run: Copies) -> None:
    run = copied_run("volumes")
    plan = read_json(run / "plan.json")
    plan["measured"]["process_peak"] = 1
    write_json(run / "plan.json", plan)
    assert what_is_wrong(run) == []
    plan["train"]["lr"] = 1.0
    write_json(run / "plan.json", plan)
    assert what_is_wrong(run) == ["plan.json"]


def test_changed_data_are_found(tmp_path: Path) -> None:
    data = make_data("fields", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", epochs=1).path
    assert what_is_wrong(run) == []
    mask = sorted((data / "labels").iterdir())[3]
    kept = mask.read_bytes()
    array = np.array(Image.open(mask))
    Image.fromarray(np.where(array == 2, 1, array).astype(np.uint8)).save(mask)
    assert what_is_wrong(run) == ["data"]
    mask.write_bytes(kept)
    assert what_is_wrong(run) == []
    shutil.move(data, tmp_path / "elsewhere")
    (finding,) = valid("verify", convivo.verify(run))["findings"]
    assert finding["severity"] == "note"
    assert finding["message"].startswith("the data could not be compared: ")


@pytest.mark.slow
def test_a_changed_signal_is_found(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    data = make_data("signals", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", epochs=1).path
    record = data / "ecg03.dat"
    content = bytearray(record.read_bytes())
    content[1000] ^= 1
    record.write_bytes(content)
    assert what_is_wrong(run) == ["data"]


def test_every_look_at_the_test_part_is_counted(copied_run: Copies) -> None:
    run = copied_run("cells")
    assert read_json(run / "receipt.json")["test_evaluations"] == 1
    convivo.evaluate(run, split="val", quiet=True)
    assert read_json(run / "receipt.json")["test_evaluations"] == 1
    for looks in (2, 3):
        convivo.evaluate(run, quiet=True)
        assert valid("receipt", read_json(run / "receipt.json"))["test_evaluations"] == looks
    (note,) = valid("verify", convivo.verify(run))["findings"]
    assert note["severity"] == "note"
    assert "was evaluated 3 times" in note["message"]


def test_an_unfinished_run_has_no_receipt(copied_run: Copies) -> None:
    run = copied_run("cells")
    (run / "receipt.json").unlink()
    with pytest.raises(ReadError, match=r"receipt\.json: the file must be there; got nothing"):
        convivo.verify(run)


def test_damaged_weights_are_said_to_be_damaged(copied_run: Copies) -> None:
    run = copied_run("cells")
    weights = run / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ReadError, match=r"safetensors: the weights must be a whole safetensors"):
        convivo.evaluate(run, quiet=True)


def test_evaluating_where_the_data_have_gone(tmp_path: Path) -> None:
    data = make_data("cells", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", epochs=1).path
    test = json.loads((run / "split.json").read_text())["test"]
    (data / test[0]).unlink()
    with pytest.raises(ReadError, match=f"got 1 missing, first '{test[0]}'. Restore them"):
        convivo.evaluate(run, quiet=True)
