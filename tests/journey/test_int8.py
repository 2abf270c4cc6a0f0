"""int8: quantised on training cases, held against float32 on validation cases, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convivo.cli import main
from convivo.data.readers import read_labels
from convivo.data.store import Store
from convivo.errors import UsageError
from convivo.exporting.runner.main import main as run_folder
from convivo.progress import Progress
from convivo.verbs import precisions
from convivo.verbs.calibration_items import Items, read_parts
from convivo.verbs.run import Run

from .test_export_end_to_end import run_without
from .tiny_runs import Journey, files_below, make_data, rows_of, train_tiny, valid

Journeys = Callable[[str], Journey]
Factory = pytest.TempPathFactory
WORDS = ("--backend", "openvino", "--precision", "int8")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: Factory) -> None:
    """One for all tests here: the second to ask for a run's int8 finds it."""
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: Factory) -> Callable[[str], Journey]:
    """Kind of data -> a run that has learnt enough for its score to mean something."""
    made: dict[str, Journey] = {}

    def of(kind: str) -> Journey:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            data = make_data(kind, folder / "data")
            inputs = {"fields": data / "images", "volumes": data / "imagesTr"}.get(kind, data)
            run = train_tiny(data, folder / "run", epochs=15)
            made[kind] = Journey(kind=kind, data=data, inputs=inputs, run=run)
        return made[kind]

    return of


def in_int8(run: Run, inputs: Path, out: Path) -> dict:
    return run.predict(inputs, out, backend="openvino", precision="int8", quiet=True)


def test_a_table_keeps_its_score_and_is_kept(
    learnt: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = learnt("cells")
    words = ["predict", cells.run.path, cells.inputs, "--out", tmp_path / "int8", *WORDS]
    assert main([*map(str, words), "--json"]) == 0
    told = capsys.readouterr()
    document = valid("predict", told.out)
    assert (document["backend"], document["precision"], document["done"]) == (
        "openvino", "int8", 16,
    )  # fmt: skip
    assert "int8: calibrating on" in told.err
    cells.run.predict(cells.inputs, tmp_path / "fp32", backend="torch", quiet=True)
    mine, theirs = (rows_of(tmp_path / name / "predictions.csv") for name in ("int8", "fp32"))
    pairs = zip(mine, theirs, strict=True)
    away = [abs(float(a["p_infected"]) - float(b["p_infected"])) for a, b in pairs]
    assert max(away) > 0, "other numbers"
    assert sum(away) / len(away) < 0.05, "but not far away"
    assert sorted(away)[-2] < 0.1, "all but one, which the networks are not sure of"
    moved = tmp_path / "moved"
    shutil.copytree(cells.run.path, moved)
    _forget_data(moved)
    again = in_int8(Run(moved), cells.inputs, tmp_path / "again")
    assert again["precision"] == "int8", "what was made before needs no data"
    assert rows_of(tmp_path / "again" / "predictions.csv") == mine


def test_an_exported_table_is_that_of_predict(
    learnt: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells, folder = learnt("cells"), tmp_path / "model"
    words = ["export", cells.run.path, "--to", "openvino", "--precision", "int8"]
    assert main([str(word) for word in [*words, "--out", folder, "--json", "-q"]]) == 0
    document = valid("export", capsys.readouterr().out)
    assert (document["precision"], document["parity"]["agrees"]) == ("int8", True)
    held = document["quantization"]["validation"]
    assert held["fp32"] - held["int8"] <= held["most_lost"] == 0.005
    pipeline = valid("pipeline", (folder / "pipeline.json").read_text())
    parity = valid("parity", (folder / "parity.json").read_text())
    assert pipeline["model"]["precision"] == parity["precision"] == "int8"
    assert pipeline["model"]["quantization"] == parity["quantization"] == document["quantization"]
    words = f"(balanced_accuracy, {held['cases']} cases) is {held['int8']:.4f}"
    assert words in (folder / "CARD.md").read_text()
    run_without(folder, cells.inputs, tmp_path / "mine", also=("nncf",))
    in_int8(cells.run, cells.inputs, tmp_path / "theirs")
    mine, theirs = (rows_of(tmp_path / side / "predictions.csv") for side in ("mine", "theirs"))
    assert [row["prediction"] for row in mine] == [row["prediction"] for row in theirs]
    numbers = [[float(row["p_infected"]) for row in rows] for rows in (mine, theirs)]
    np.testing.assert_allclose(*numbers, atol=1e-5)
    named = [str(cells.inputs), "--out", str(tmp_path / "other"), "--precision", "fp32"]
    assert run_folder(folder, named) == 2
    assert "a quantised model computes in int8 alone" in capsys.readouterr().err


class Bright(nn.Module):
    """Class 1 where an image is bright, by weights that are set: nothing has to be learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 2, 3, padding=1)
        with torch.no_grad():
            for one in (self.first, self.second):
                one.weight.zero_()
                one.bias.zero_()
            self.first.weight[:, 0, 1, 1] = 1.0
            self.second.weight[1, :, 1, 1] = 3.0
            self.second.bias[1] = -9.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(images)))


def squares(folder: Path) -> Path:
    """Bright squares on dark noise, and where they are."""
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for place in range(10):
        mask = np.zeros((22, 26), np.uint8)
        mask[4 + place % 3 : 12, 5 : 14 + place % 4] = 1
        grey = (60 + 120 * mask + rng.normal(0, 6, mask.shape)).astype(np.uint8)
        for part, array in (("images", grey), ("labels", mask)):
            Image.fromarray(array).save(folder / part / f"{place:02d}.png")
    return folder


@pytest.mark.slow
def test_exported_masks_are_those_of_predict(tmp_path: Path) -> None:
    data, folder = squares(tmp_path / "data"), tmp_path / "model"
    run = train_tiny(
        data, tmp_path / "run", net=Bright(), epochs=1, settings=("train.lr=1e-7",)
    )  # fmt: skip
    held = run.export("openvino", folder, precision="int8", quiet=True)["quantization"]
    assert held["validation"]["most_lost"] == 0.002
    assert held["validation"]["int8"] > 0.99
    run_without(folder, data / "images", tmp_path / "mine", also=("nncf",))
    assert in_int8(run, data / "images", tmp_path / "theirs")["precision"] == "int8"
    assert files_below(tmp_path / "mine") == files_below(tmp_path / "theirs")
    for name in files_below(tmp_path / "mine"):
        mine, theirs = (read_labels(tmp_path / side / name) for side in ("mine", "theirs"))
        np.testing.assert_array_equal(mine, theirs)


class Drowned(nn.Module):
    """Three convolutions; one channel, which nothing is made of, is a million times as loud.

    In eight bits the others drown in its range, but for the first and the last convolution.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 9, 3, padding=1)
        self.second = nn.Conv2d(9, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 2, 3, padding=1)
        heard = torch.ones(9)
        heard[8] = 0
        with torch.no_grad():
            self.first.weight[8] = 1e6
            self.second.weight[:, 8] = 0
        self.first.weight.register_hook(lambda g: g * heard[:, None, None, None])
        self.second.weight.register_hook(lambda g: g * heard[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        heard = torch.relu(self.second(torch.relu(self.first(images))))
        return self.third(heard).mean(dim=(2, 3))


@pytest.mark.slow
def test_a_network_that_loses_too_much_is_refused(
    journey: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = journey("cells")
    torch.manual_seed(0)
    own = Drowned(cells.run.plan["preparation"]["channels"])
    run = train_tiny(cells.data, tmp_path / "run", net=own, epochs=30)
    words = r"--precision: int8 may lose 0.005 of the validation score; got balanced_accuracy "
    with pytest.raises(UsageError, match=words + r"0\.\d+ instead of \d\.\d+\. Leave --prec"):
        run.predict(cells.inputs, tmp_path / "out", backend="openvino", precision="int8")
    told = capsys.readouterr().err
    assert all(f"int8, {way}: balanced_accuracy" in told for way in ("symmetric", "mixed", "inner"))
    with pytest.raises(UsageError, match=words):
        run.export("openvino", tmp_path / "model", precision="int8", quiet=True)
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_without_the_data_it_is_refused(
    copied_run: Callable[[str], Path], tmp_path: Path, journey: Journeys
) -> None:
    run = copied_run("cells")
    _forget_data(run)
    plan = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps(plan | {"seed": 12345}))  # nothing of it is kept
    words = r"--precision: int8 needs the run's own training and validation cases; got /nowhere"
    with pytest.raises(UsageError, match=words):
        in_int8(Run(run), journey("cells").inputs, tmp_path / "out")


def _forget_data(run: Path) -> None:
    config = run / "config.toml"
    lines = config.read_text().splitlines()
    moved = ['path = "/nowhere"' if line.startswith("path = ") else line for line in lines]
    assert moved != lines
    config.write_text("\n".join(moved))


def test_what_cannot_be_in_int8_is_refused(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = journey("cells")
    for backend in ("auto", "torch", "onnx"):
        words = rf"--precision: only openvino computes in int8; got --backend {backend}\."
        with pytest.raises(UsageError, match=words):
            cells.run.predict(cells.inputs, tmp_path, backend=backend, precision="int8")
    with pytest.raises(UsageError, match=r"one of auto, fp32, bf16, int8; got 'int4'"):
        cells.run.predict(cells.inputs, tmp_path, precision="int4")
    with pytest.raises(UsageError, match=r"only OpenVINO models compute in int8; got --to torch"):
        cells.run.export("torch", tmp_path / "model", precision="int8")
    with pytest.raises(UsageError, match=r"one of auto, fp32, int8; got 'bf16'"):
        cells.run.export("openvino", tmp_path / "model", precision="bf16")
    monkeypatch.setattr(precisions, "missing", lambda name: ("nncf",))
    words = r"int8 needs its libraries; got no package nncf\. Install it: pip install 'convivo\[in"
    with pytest.raises(UsageError, match=words):
        cells.run.predict(cells.inputs, tmp_path, backend="openvino", precision="int8")
    with pytest.raises(UsageError, match=words):
        cells.run.export("openvino", tmp_path / "model", precision="int8")


@pytest.mark.slow
def test_a_named_precision_is_what_computes(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    for backend in ("torch", "openvino"):
        document = cells.run.predict(
            cells.inputs, tmp_path / backend, backend=backend, precision="fp32", quiet=True
        )
        assert (document["backend"], document["precision"]) == (backend, "fp32")


@pytest.mark.parametrize("kind", ["cells", "volumes", "signals"])
def test_it_is_calibrated_on_items_of_training_cases(kind: str, journey: Journeys) -> None:
    if kind == "signals":
        pytest.importorskip("wfdb")
    run = journey(kind).run
    split = json.loads((run.path / "split.json").read_text())

    def read() -> tuple[Items, Store]:
        return read_parts(run, None, lambda label, total: Progress(label, total, quiet=True))

    (items, validation), (others, _) = read(), read()
    assert set(items.batches.store.ids) <= set(split["train"])
    assert list(validation.ids) == split["val"]
    size = (run.plan["network"]["in_channels"], *run.plan["sampling"]["size"])
    first, second, other = list(items), list(items), list(others)
    assert {item.shape for item in first} == {size}
    assert 0 < len(first) == len(items) <= 300
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, other)
