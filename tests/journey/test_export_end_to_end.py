"""An exported folder gives `predict`'s answers where neither torch nor convivo can be imported."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convivo.cli import main
from convivo.data.readers import read_header, read_labels
from convivo.errors import UsageError
from convivo.exporting.runner.main import main as run_folder
from convivo.verbs import export as verb

from .tiny_runs import Journey, files_below, rows_of, valid

Journeys = Callable[[str], Journey]
BLOCKED = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refusing())
sys.argv = {words}
import runpy
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert not [name for name in sys.modules if name.partition(".")[0] in {blocked}]
"""


def run_without(
    folder: Path, inputs: Path, out: Path, *, torch: bool = False, also: tuple[str, ...] = ()
) -> None:
    """`run.py` in a child process that cannot import convivo, nor torch unless it is needed."""
    blocked = ["convivo", *also] if torch else ["convivo", "torch", *also]
    words = [str(folder / "run.py"), str(inputs), "--out", str(out), "--threads", "1"]
    code = BLOCKED.format(blocked=blocked, words=words)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr


def library(to: str) -> str:
    return {"onnx": "onnxruntime"}.get(to, to)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "to", ["openvino", pytest.param("onnx", marks=SLOW), pytest.param("torch", marks=SLOW)]
)
def test_masks_are_those_of_predict(
    to: str, journey: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library(to))
    volumes, folder = journey("volumes"), tmp_path / "model"
    words = ["export", volumes.run.path, "--to", to, "--out", folder, "--json", "-q"]
    assert main([str(word) for word in words]) == 0
    document = valid("export", capsys.readouterr().out)
    assert document["files"] == files_below(folder)
    assert (document["to"], document["parity"]["agrees"]) == (to, True)
    assert document["parity"]["cases"] == 2
    run_without(folder, volumes.inputs, tmp_path / "mine", torch=to == "torch")
    volumes.run.predict(volumes.inputs, tmp_path / "theirs", backend="torch", quiet=True)
    assert files_below(tmp_path / "mine") == files_below(tmp_path / "theirs")
    for name in files_below(tmp_path / "mine"):
        mine, theirs = (tmp_path / side / name for side in ("mine", "theirs"))
        np.testing.assert_array_equal(read_header(mine).affine, read_header(theirs).affine)
        assert (read_labels(mine) == read_labels(theirs)).mean() > 0.999
    assert volumes.run.verify()["ok"]


def test_folder_says_what_it_is(journey: Journeys, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    volumes, folder = journey("volumes"), tmp_path / "model"
    volumes.run.export("openvino", folder, quiet=True)
    pipeline = valid("pipeline", (folder / "pipeline.json").read_text())
    parity = valid("parity", (folder / "parity.json").read_text())
    assert pipeline["output"]["values"] == [0, 1, 2]
    assert pipeline["preparation"] == volumes.run.plan["preparation"]
    assert len(parity["cases"]) == 2
    text = "".join(p.read_text() for p in folder.iterdir() if p.suffix in (".md", ".json", ".txt"))
    for case in json.loads((volumes.run.path / "split.json").read_text())["test"]:
        assert Path(case).name not in text, "no case is named in what goes elsewhere"
    assert str(volumes.data) not in text
    card = (folder / "CARD.md").read_text()
    value = volumes.run.evaluation["metrics"]["dice"]["value"]
    for words in ("Intended use", "no medical device", "Limits", f"| dice | {value:.4g} |"):
        assert words in card
    requirements = (folder / "requirements.txt").read_text()
    assert {line.partition("==")[0] for line in requirements.split()} == {
        "nibabel", "numpy", "openvino", "scipy",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [pytest.param("cells", marks=SLOW), "signals"])
def test_tables_are_those_of_predict(kind: str, journey: Journeys, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    if kind == "signals":
        pytest.importorskip("wfdb")
    given, folder = journey(kind), tmp_path / "model"
    given.run.export("onnx", folder, quiet=True)
    run_without(folder, given.inputs, tmp_path / "mine")
    given.run.predict(given.inputs, tmp_path / "theirs", backend="torch", quiet=True)
    sides = [rows_of(tmp_path / side / "predictions.csv") for side in ("mine", "theirs")]
    keys = [name for name in sides[1][0] if not name.startswith("p_")]
    plain = [sorted(tuple(row[k] for k in keys) for row in rows) for rows in sides]
    assert plain[0] == plain[1]
    numbers = [
        sorted(float(row[k]) for row in rows for k in row if k[:2] == "p_") for rows in sides
    ]
    np.testing.assert_allclose(*numbers, atol=1e-4)


def test_images_of_many_sizes_are_segmented(journey: Journeys, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    from PIL import Image

    fields, folder = journey("fields"), tmp_path / "model"
    fields.run.export("openvino", folder, quiet=True)
    inputs = tmp_path / "images"
    inputs.mkdir()
    source = np.asarray(Image.open(sorted(fields.inputs.iterdir())[0]))
    for height, width in ((20, 33), (36, 44), (90, 120)):
        tiled = np.tile(source, (4, 4) + (1,) * (source.ndim - 2))[:height, :width]
        Image.fromarray(tiled).save(inputs / f"{height}.png")
    run_without(folder, inputs, tmp_path / "mine")
    fields.run.predict(inputs, tmp_path / "theirs", backend="torch", quiet=True)
    for name in files_below(tmp_path / "theirs"):
        mine, theirs = (read_labels(tmp_path / side / name) for side in ("mine", "theirs"))
        assert (mine == theirs).mean() > 0.999


def test_bad_input_is_told_and_the_rest_go_on(
    journey: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    cells, folder = journey("cells"), tmp_path / "model"
    cells.run.export("onnx", folder, quiet=True)
    inputs = tmp_path / "in"
    inputs.mkdir()
    shutil.copy(next(cells.inputs.rglob("*.png")), inputs / "good.png")
    (inputs / "bad.png").write_bytes(b"no picture")
    assert run_folder(folder, [str(inputs), "--out", str(tmp_path / "out")]) == 1
    assert "failed: " in capsys.readouterr().err
    assert [row["case"] for row in rows_of(tmp_path / "out" / "predictions.csv")] == ["good.png"]
    assert run_folder(folder, [str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "the input must exist; got nothing" in capsys.readouterr().err
    bf16 = [str(inputs), "--out", str(tmp_path / "out"), "--precision", "bf16"]
    assert run_folder(folder, bf16) == 2
    assert "only OpenVINO models compute in bf16" in capsys.readouterr().err
    (folder / "pipeline.json").write_text("{}")
    assert run_folder(folder, [str(inputs), "--out", str(tmp_path / "out")]) == 2
    assert "an exported folder has its pipeline" in capsys.readouterr().err


def test_export_without_the_data_says_that_nothing_was_compared(
    copied_run: Callable[[str], Path], tmp_path: Path
) -> None:
    from convivo import export

    run = copied_run("cells")
    config = run / "config.toml"
    lines = config.read_text().splitlines()
    moved = ['path = "/nowhere"' if line.startswith("path = ") else line for line in lines]
    assert moved != lines
    config.write_text("\n".join(moved))
    document = export(run, to="torch", out=tmp_path / "model", quiet=True)
    assert document["parity"] == {"cases": 0, "equal": None, "difference": None, "agrees": None}
    assert "not held against" in verb.text(document)
    assert "not where they were" in (tmp_path / "model" / "CARD.md").read_text()


def test_what_cannot_be_exported_is_refused(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = journey("cells")
    with pytest.raises(UsageError, match=r"--to: one of openvino, onnx, torch; got 'tflite'"):
        cells.run.export("tflite", tmp_path / "model")
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"--out must be a new or empty folder; got files in it"):
        cells.run.export("torch", full)
    with pytest.raises(UsageError, match=r"--out must be a new or empty folder; got a file"):
        cells.run.export("torch", full / "notes.txt")
    monkeypatch.setattr(verb, "missing", lambda name: ("openvino",))
    with pytest.raises(UsageError, match=r"openvino must be installed; got no package openvino\. "):
        cells.run.export("openvino", tmp_path / "model")
    plan = dict(cells.run.plan) | {"task": "generate"}
    monkeypatch.setattr(type(cells.run), "plan", property(lambda run: plan))
    monkeypatch.setattr(verb, "missing", lambda name: ())
    with pytest.raises(UsageError, match=r"export: a run that answers inputs; got a run that gen"):
        cells.run.export("torch", tmp_path / "model")
    assert not (tmp_path / "model").exists()
