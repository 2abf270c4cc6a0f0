"""`predict --backend`: other engines give torch's answers, and the document tells what ran."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convivo.cli import main
from convivo.data.readers import read_labels
from convivo.errors import UsageError
from convivo.inference.backends.choosing import Auto
from convivo.inference.backends.record import record_file
from convivo.verbs import computing

from .tiny_runs import Journey, files_below, rows_of, valid

Journeys = Callable[[str], Journey]
BOTH = pytest.mark.parametrize("backend", ["openvino", "onnx"])


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def told(words: list[object], capsys: pytest.CaptureFixture[str]) -> dict:
    """The JSON document of a prediction that went well."""
    assert main([str(word) for word in [*words, "--json", "-q"]]) == 0
    return valid("predict", capsys.readouterr().out)


@BOTH
def test_a_table_is_the_same(
    backend: str, journey: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(backend)
    cells, tables = journey("cells"), {}
    for name in ("torch", backend):
        words = ["predict", cells.run.path, cells.inputs, "--out", tmp_path / name]
        document = told([*words, "--backend", name], capsys)
        assert (document["backend"], document["done"]) == (name, 16)
        tables[name] = rows_of(tmp_path / name / "predictions.csv")
    for mine, theirs in zip(tables[backend], tables["torch"], strict=True):
        assert (mine["case"], mine["prediction"]) == (theirs["case"], theirs["prediction"])
        assert float(mine["p_infected"]) == pytest.approx(float(theirs["p_infected"]), abs=0.02)


@pytest.mark.parametrize("backend", ["openvino", pytest.param("onnx", marks=pytest.mark.slow)])
def test_label_maps_are_the_same(backend: str, journey: Journeys, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    volumes = journey("volumes")
    for name in ("torch", backend):
        document = volumes.run.predict(volumes.inputs, tmp_path / name, backend=name, quiet=True)
        assert (document["backend"], document["failed"]) == (name, [])
    for name in files_below(tmp_path / "torch"):
        mine, theirs = (read_labels(tmp_path / b / name) for b in (backend, "torch"))
        assert (mine == theirs).mean() > 0.99
    assert files_below(tmp_path / backend) == files_below(tmp_path / "torch")
    assert volumes.run.verify()["ok"], "nothing was written into the run"


def test_auto_stays_with_torch_where_little_is_to_do(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    document = cells.run.predict(cells.inputs, tmp_path / "out", quiet=True)
    assert (document["backend"], document["precision"]) == ("torch", "fp32")
    assert not record_file().exists()


def test_auto_tries_out_long_work_and_keeps_what_it_found(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    cells = journey("cells")
    monkeypatch.setattr(computing, "Auto", _longing)
    document = cells.run.predict(cells.inputs, tmp_path / "out", quiet=True)
    (found,) = json.loads(record_file().read_text()).values()
    assert {"torch fp32", "onnx fp32"} <= set(found)
    assert document["backend"] in {name.split()[0] for name in found}
    plain = cells.run.predict(cells.inputs, tmp_path / "plain", backend="torch", quiet=True)
    assert plain["backend"] == "torch"
    tables = [rows_of(tmp_path / name / "predictions.csv") for name in ("out", "plain")]
    predictions = [[row["prediction"] for row in table] for table in tables]
    assert predictions[0] == predictions[1]


def _longing(**fields: object) -> Auto:
    """An `Auto` to which any work is long."""
    assert fields["items"] == 16, "an item for each image is expected"
    return Auto(**fields | {"items": 1e9, "short": 0.0, "worth": 0.0})


@pytest.mark.parametrize("kind", ["signals", "fields", "volumes"])
def test_work_is_told_from_headers(
    kind: str, journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, given = [], []

    class Counting(Auto):
        def __call__(self, images: np.ndarray) -> np.ndarray:
            expected.append(self.items)
            given.append(len(images))
            return super().__call__(images)

    monkeypatch.setattr(computing, "Auto", Counting)
    one = journey(kind)
    one.run.predict(one.inputs, tmp_path / "out", quiet=True)
    assert sum(given) / 3 < expected[0] < sum(given) * 3
    one.run.predict(one.inputs, tmp_path / "out", quiet=True)
    assert len(set(expected)) == 1, "what is there already is no work"


def test_a_limit_of_memory_keeps_to_torch(
    journey: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    cells = journey("cells")
    words = ["predict", cells.run.path, cells.inputs, "--out", tmp_path, "--ram", "4G"]
    assert main([str(word) for word in words]) == 0
    assert "torch computes: a limit of memory is foretold for it alone" in capsys.readouterr().err


def test_a_backend_that_is_not_installed_names_the_extra(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "missing", lambda name: ("openvino",))
    cells = journey("cells")
    words = r"openvino must be installed; got no package openvino\. Install it: pip install 'con"
    with pytest.raises(UsageError, match=words):
        cells.run.predict(cells.inputs, tmp_path, backend="openvino", quiet=True)
    assert cells.run.predict(cells.inputs, tmp_path, quiet=True)["backend"] == "torch"


def test_backends_that_are_not_there_are_refused(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    with pytest.raises(UsageError, match=r"--backend: one of auto, torch, openvino, onnx; got 't"):
        cells.run.predict(cells.inputs, tmp_path, backend="tvm", quiet=True)
    pytest.importorskip("onnxruntime")
    with pytest.raises(UsageError, match=r"--device: onnx computes on the processor; got 'cuda'"):
        cells.run.predict(cells.inputs, tmp_path, backend="onnx", device="cuda", quiet=True)


def test_network_that_no_backend_takes_ends_the_command(
    journey: Journeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    cells = journey("cells")
    stubborn = type("Stubborn", (type(cells.run.network),), {"forward": _by_values})
    monkeypatch.setattr(cells.run.network, "__class__", stubborn)
    with pytest.raises(UsageError, match=r"must give this network's answers"):
        cells.run.predict(cells.inputs, tmp_path, backend="onnx", quiet=True)


def _by_values(self, x):
    found = super(type(self), self).forward(x)
    return found if found.sum() > -1e9 else -found
