"""Membranes between cells: V-Rand at a threshold from validation, and masks that follow it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convivo
from convivo.data.readers import read
from convivo.metrics.membranes import v_rand
from convivo.tasks.membranes import THRESHOLDS, Membranes, border_of

from .tiny_runs import train_tiny, valid

LABELS = "0=membrane,255=cell"


def section(rng: np.random.Generator, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Grey values and a mask: cells around random centres, dark lines between them."""
    centres = rng.uniform(0, size, (9, 2))
    places = np.stack(np.meshgrid(*[np.arange(size)] * 2, indexing="ij"), -1)
    far = np.sort(np.linalg.norm(places[:, :, None] - centres, axis=-1), axis=-1)
    cell = far[..., 1] - far[..., 0] > 1.6
    grey = np.where(cell, 190, 60) + rng.normal(0, 25, cell.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), np.where(cell, 255, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data, rng = tmp_path_factory.mktemp("membranes") / "data", np.random.default_rng(3)
    for number in range(10):
        for folder, array in zip(("images", "labels"), section(rng), strict=True):
            (data / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(data / folder / f"{number}.png")
    return train_tiny(data, data.parent / "run", epochs=30, labels=LABELS)


def test_v_rand_is_told_at_the_threshold_of_validation(run):
    document = valid("evaluation", run.evaluation)
    entry = document["metrics"]["v_rand"]
    assert document["score_name"] == "v_rand"
    assert entry["threshold"] == run.plan["measured"]["threshold"]
    assert entry["threshold"] in THRESHOLDS
    assert entry["best"]["value"] >= entry["value"] > 0.5
    assert {"low", "high"} <= set(entry)
    assert entry["value"] == pytest.approx(
        np.mean([row["v_rand"] for row in document["per_case"]]), abs=1e-9
    )
    assert "V-Rand" in (run.path / "report.html").read_text(encoding="utf-8")


def test_the_masks_are_those_that_were_measured(run, tmp_path):
    data = run.path.parent / "data"
    run.predict(data / "images", out=tmp_path, backend="torch", quiet=True)
    for row in run.evaluation["per_case"]:
        name = Path(row["id"]).name
        truth, mask = (read(f / name).array[0] for f in (data / "labels", tmp_path))
        assert set(np.unique(mask)) <= {0, 255}
        assert v_rand(truth, mask == 0) == pytest.approx(row["v_rand"], abs=1e-6)


def test_measured_again_and_elsewhere_it_is_the_same(run):
    again = convivo.evaluate(run, quiet=True)
    assert again["metrics"]["v_rand"] == run.evaluation["metrics"]["v_rand"]
    data = run.path.parent / "data"
    whole = convivo.evaluate(run, data=data, labels=LABELS, quiet=True)
    assert whole["metrics"]["v_rand"]["threshold"] == run.plan["measured"]["threshold"]
    assert whole["cases"] == 10


@pytest.mark.slow
def test_an_export_decides_by_the_same_threshold(run, tmp_path):
    found = run.export("onnx", tmp_path / "out", quiet=True)
    assert found["parity"]["agrees"]
    output = valid("pipeline", (tmp_path / "out" / "pipeline.json").read_text())["output"]
    assert (output["decision"], output["border"]) == ("border", 0)
    assert output["threshold"] == run.plan["measured"]["threshold"]


@pytest.mark.parametrize(
    ("classes", "border"),
    [
        (("membrane", "cell"), 0),
        (("cell", "cell membrane"), 1),
        (("inside", "Boundary"), 1),
        (("background", "tumour"), None),
        (("membrane", "cell border"), None),
        (("background", "membrane", "cell"), None),
    ],
)
def test_membranes_are_known_by_name(classes, border):
    assert border_of(classes) == border


def test_labels_follow_the_threshold():
    task = Membranes(classes=("membrane", "cell"), threshold=0.3)
    found = np.array([[[0.2, 0.35, 0.9]], [[0.8, 0.65, 0.1]]])
    assert task.decide(found).tolist() == [[1, 0, 0]]
