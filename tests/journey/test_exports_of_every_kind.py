"""What a run answers, its exported folder answers: numbers, images, items of containers, beats."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convivo.data.readers import read
from convivo.errors import UsageError
from convivo.exporting.runner.main import main as run_folder
from convivo.inference.backends.engine import Unavailable
from convivo.verbs import export as verb
from convivo.verbs.run import Run

from .tiny_runs import Journey, files_below, make_data, train_tiny

Journeys = Callable[[str], Journey]


def same_answers(run: Run, inputs: Path, place: Path) -> list[str]:
    """Names of the files that both wrote, after their contents were held against each other."""
    run.export("openvino", place / "model", quiet=True)
    words = [str(inputs), "--out", str(place / "mine"), "--threads", "1", "-q"]
    assert run_folder(place / "model", words) == 0
    run.predict(inputs, place / "theirs", backend="torch", quiet=True)
    names = files_below(place / "mine")
    assert names == files_below(place / "theirs")
    for name in names:
        mine, theirs = place / "mine" / name, place / "theirs" / name
        if name.endswith(".csv"):
            _same_tables(mine, theirs)
        elif name.endswith(".cvo"):
            assert mine.read_bytes() == theirs.read_bytes()
        else:
            values = [np.asarray(read(path).array, float) for path in (mine, theirs)]
            whole = read(mine).array.dtype.kind in "iu"
            np.testing.assert_allclose(*values, atol=1 if whole else 1e-3)
            assert not whole or (values[0] == values[1]).mean() > 0.999
    return names


def _same_tables(*paths: Path) -> None:
    tables = [list(csv.reader(p.read_text(encoding="utf-8").splitlines())) for p in paths]
    assert [row[0] for row in tables[0]] == [row[0] for row in tables[1]]
    for mine, theirs in zip(*tables, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            if one != other:
                assert float(one) == pytest.approx(float(other), rel=1e-3, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cells", "volumes", "signals"])
def test_reconstructions(kind: str, openvino: object, tmp_path: Path) -> None:
    data = make_data(kind, tmp_path / "data")
    net = {"volumes": "vae"}.get(kind, "autoencoder")
    run = train_tiny(data, tmp_path / "run", task="reconstruct", net=net)
    inputs = data / "imagesTr" if kind == "volumes" else data
    names = same_answers(run, inputs, tmp_path)
    assert "predictions.csv" in names
    assert len(names) > 1


@pytest.mark.slow
def test_numbers(openvino: object, tmp_path: Path) -> None:
    from .test_numbers_end_to_end import make_numbers

    data = make_numbers(tmp_path / "data", 2)
    assert same_answers(train_tiny(data, tmp_path / "run"), data, tmp_path) == ["predictions.csv"]


@pytest.mark.slow
def test_beats(openvino: object, journey: Journeys, tmp_path: Path) -> None:
    signals = journey("signals")
    names = same_answers(signals.run, signals.inputs, tmp_path)
    assert len([name for name in names if name.endswith(".cvo")]) == 6


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_items_of_a_container(
    suffix: str, openvino: object, journey: Journeys, tmp_path: Path
) -> None:
    fields = journey("fields")
    images = [np.moveaxis(read(p).array, 0, -1) for p in sorted(fields.inputs.iterdir())[:3]]
    path = tmp_path / f"stack{suffix}"
    if suffix == ".npz":
        np.savez(path, test_images=np.stack(images))
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["images"] = np.stack(images)
    assert same_answers(fields.run, path, tmp_path) == [f"{path.name}#{i}.npy" for i in range(3)]


def test_a_network_that_cannot_be_converted_leaves_no_trace(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise Unavailable("--backend", "must answer", "an operation of its own", "Use torch")

    cells = journey("cells")
    monkeypatch.setattr(verb, "missing", lambda name: ())
    monkeypatch.setattr(verb, "Programs", lambda **given: SimpleNamespace(of=refuse))
    rule = r"--to: onnx must take the network \w+; got an operation of its own\. Use --to openvino"
    with pytest.raises(UsageError, match=rule):
        cells.run.export("onnx", tmp_path / "far" / "away")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_ones_own_network_asks_for_it_first(
    copied_run: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(copied_run("cells"))
    plan = dict(run.plan) | {"network": {"name": "Mine", "custom": True}}
    monkeypatch.setattr(Run, "plan", property(lambda run: plan))
    with pytest.raises(UsageError, match=r"Mine: this run's network is not one of ours"):
        run.export("torch", tmp_path / "far" / "away")
    assert not (tmp_path / "far").exists()
