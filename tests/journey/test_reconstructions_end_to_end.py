"""Inputs rebuilt in one, two and three dimensions, and what is not normal found by its error."""

import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from convivo.cli import main
from convivo.data.phantoms import make_images
from convivo.verbs.run import Run

from .tiny_runs import make_data, rows_of, train_tiny, valid

OPTIONS = {
    "signals": {"normal": "N"},
    "cells": {"normal": "healthy", "net": "autoencoder", "settings": ("net.noise=0.2",)},
    "volumes": {"net": "vae", "settings": ("task.beta=0.5",)},
}
Made = tuple[Path, Run]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    made: dict[str, Made] = {}

    def of(kind: str) -> Made:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            data = make_data(kind, folder / "data")
            options = dict(OPTIONS[kind])
            run = train_tiny(data, folder / "run", task="reconstruct", **options)
            made[kind] = data, run
        return made[kind]

    return of


@pytest.mark.parametrize("kind", OPTIONS)
def test_inputs_are_rebuilt_and_measured(kind: str, rebuilt: Callable[[str], Made]) -> None:
    _, run = rebuilt(kind)
    found = valid("evaluation", run.evaluation)
    assert found["task"] == "reconstruct"
    assert {"mse", "psnr", "ssim"} <= set(found["metrics"])
    assert ("auroc" in found["metrics"]) == (kind != "volumes")
    own = rows_of(run.path / "predictions.csv")
    heads = {
        "signals": ["case", "sample", "truth", "score"],
        "cells": ["case", "truth", "score"],
        "volumes": ["case", "score"],
    }
    assert list(own[0]) == heads[kind]
    scores = [float(row["score"]) for row in own]
    assert found["metrics"]["mse"]["value"] == pytest.approx(np.mean(scores), rel=1e-4)
    assert len(list((run.path / "examples").glob("*.png"))) >= 2
    assert run.evaluate(quiet=True)["metrics"] == found["metrics"]


def test_only_the_normal_class_is_trained_on(rebuilt: Callable[[str], Made]) -> None:
    from convivo.data.inspection import inspect_data
    from convivo.data.split import Split
    from convivo.progress import Progress
    from convivo.verbs.parts import build_parts
    from convivo.verbs.setup import build_network, pick_device

    for kind in ("cells", "signals"):
        data, run = rebuilt(kind)
        inspection = inspect_data(data, task="reconstruct")
        parts = build_parts(
            run.plan, build_network(run.plan), inspection,
            Split.from_document(run.folder.json("split.json")), device=pick_device("cpu"),
            progress=lambda label, total: Progress(label, total, quiet=True),
        )  # fmt: skip
        normal = inspection.index.classes.index(str(OPTIONS[kind]["normal"]))
        assert {item.label for item in parts.batches.items} == {normal}
    tested = {row["truth"] for row in rows_of(run.path / "predictions.csv")}
    assert len(tested) > 1


def test_pictures_come_back_in_their_own_format(
    rebuilt: Callable[[str], Made], tmp_path: Path
) -> None:
    data, run = rebuilt("cells")
    out = tmp_path / "out"
    document = valid("predict", run.predict(data, out=out, score_maps=True, quiet=True))
    assert (document["done"], document["failed"]) == (16, [])
    for path in sorted(data.rglob("*.png")):
        name = path.relative_to(data)
        with Image.open(path) as image, Image.open(out / name) as found:
            assert (found.size, found.mode) == (image.size, image.mode)
        errors = np.load(out / name.parent / f"{name.stem}_score.npy")
        assert errors.shape == image.size[::-1]
        assert errors.min() >= 0
    own = {row["case"]: float(row["score"]) for row in rows_of(run.path / "predictions.csv")}
    rows = {row["case"]: float(row["score"]) for row in rows_of(out / "predictions.csv")}
    assert len(rows) == 16
    assert {name: rows[name] for name in own} == pytest.approx(own, rel=1e-4)
    again = run.predict(data, out=out, quiet=True)
    assert (again["done"], again["skipped"]) == (0, 16)


def test_volumes_come_back_on_their_own_grid(
    rebuilt: Callable[[str], Made], tmp_path: Path
) -> None:
    data, run = rebuilt("volumes")
    path = data / "imagesTs" / "phantom_007.nii.gz"
    run.predict(path, out=tmp_path, quiet=True)
    image, found = nib.load(path), nib.load(tmp_path / path.name)
    assert found.shape == image.shape
    assert found.get_data_dtype() == image.get_data_dtype()
    np.testing.assert_allclose(found.affine, image.affine)
    values, rebuilt_values = image.get_fdata(), found.get_fdata()
    assert abs(rebuilt_values.mean() - values.mean()) < 3 * values.std()


def test_beats_have_a_score_each(rebuilt: Callable[[str], Made], tmp_path: Path) -> None:
    data, run = rebuilt("signals")
    run.predict(data / "ecg01.hea", out=tmp_path, quiet=True)
    rows = rows_of(tmp_path / "predictions.csv")
    assert list(rows[0]) == ["record", "sample", "time_s", "score"]
    windows = np.load(tmp_path / "ecg01.npy")
    assert windows.shape == (len(rows), 2, run.plan["sampling"]["size"][0])
    assert not list(tmp_path.glob("*.cvo"))


def test_unlabelled_pictures_are_enough(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", count=8, size=(32, 32)) / "images"
    run = train_tiny(data, tmp_path / "run", task="reconstruct", epochs=1)
    assert "auroc" not in run.evaluation["metrics"]
    assert run.plan["network"]["name"] == "autoencoder"


def test_report_shows_images_beside_their_reconstructions(rebuilt: Callable[[str], Made]) -> None:
    for kind, words in (("cells", "Anomaly score by class"), ("volumes", "reconstruction, error")):
        page = (rebuilt(kind)[1].path / "report.html").read_text(encoding="utf-8")
        assert words in page
        assert "Worst cases" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--normal", "helthy"), r"task.normal: a class of the data; got 'helthy', 2 classes. Did"),
        (("--net", "resnet18"), r"--net: a network that can reconstruct; got 'resnet18'. Use auto"),
        (("--set", "task.beta=2"), r"task.beta: the weight of a variational code; got the netw"),
        (
            ("--net", "vae", "--set", "task.loss=l1"),
            r"task.loss: a variational network has the loss of its bound; got 'l1'. Leave it out",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...],
    message: str,
    rebuilt: Callable[[str], Made],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, _ = rebuilt("cells")
    line = ["train", str(data), "--out", str(tmp_path / "run"), "--epochs", "1", "-q"]
    assert main([*line, "--task", "reconstruct", *words]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_maps_of_scores_need_a_reconstruction(
    journey: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = journey("cells")
    line = ["predict", str(one.run.path), str(one.inputs), "--out", str(tmp_path / "out")]
    assert main([*line, "--score-maps", "-q"]) == 2
    assert "--score-maps: a run that reconstructs; got the task classify" in capsys.readouterr().err
