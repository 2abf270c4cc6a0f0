"""New images in one, two and three dimensions: trained, judged, made again from the same seed."""

import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

import convivo
from convivo.cli import main
from convivo.data.phantoms import make_volumes
from convivo.errors import DataError, ReadError, UsageError
from convivo.verbs.run import Run

from .tiny_runs import make_data, rows_of, train_tiny, valid

QUICK = ("net.width=0.05", "net.latent=8", "task.feature_steps=5", "train.batch=4")
OPTIONS = {
    "signals": ("input.size=[64]", "task.loss=hinge", "net.spectral_norm=true"),
    "cells": ("input.size=[16,16]", "net.conditional=true"),
    "volumes": ("input.size=[16,16,16]", "task.loss=wgan-gp", "task.every=2"),
}
Made = tuple[Path, Run]


def make_many(kind: str, out: Path) -> Path:
    """Enough volumes that every part holds two."""
    if kind == "volumes":
        return make_volumes(out, count=10, shape=(12, 14, 12))
    return make_data(kind, out)


@pytest.fixture(scope="module")
def imitated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    made: dict[str, Made] = {}

    def of(kind: str) -> Made:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            data = make_many(kind, folder / "data")
            settings = (*QUICK, *OPTIONS[kind])
            run = train_tiny(data, folder / "run", task="generate", settings=settings, epochs=1)
            made[kind] = data, run
        return made[kind]

    return of


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_generator_is_trained_and_judged(kind: str, imitated: Callable[[str], Made]) -> None:
    _, run = imitated(kind)
    found = valid("evaluation", run.evaluation)
    assert found["task"] == "generate"
    assert {
        "fid", "fid_floor", "diversity", "nearest_train", "two_sample_auroc",
    } == set(found["metrics"])  # fmt: skip
    assert found["metrics"]["fid"]["value"] >= 0
    features = found["metrics"]["fid"]["features"]
    assert features["sha256"] == run.plan["features"]["sha256"]
    told = "to rebuild the images" if kind == "volumes" else "to tell the classes apart"
    assert features["trained"] == told
    train = set(run.folder.json("split.json")["train"])
    rows = rows_of(run.path / "predictions.csv")
    assert len(rows) == found["generated"]
    assert {row["nearest_train"] for row in rows} <= train
    assert list((run.path / "examples").glob("generated_*.png"))
    assert run.evaluate(quiet=True)["metrics"] == found["metrics"]


@pytest.mark.parametrize("kind", OPTIONS)
def test_images_are_made_in_a_format_of_their_kind(
    kind: str, imitated: Callable[[str], Made], tmp_path: Path
) -> None:
    _, run = imitated(kind)
    found = valid("generate", convivo.generate(run, count=5, out=tmp_path / "a", quiet=True))
    suffix = {"signals": ".npy", "cells": ".png", "volumes": ".nii.gz"}[kind]
    assert found["files"] == [f"generated_{n:04d}{suffix}" for n in range(1, 6)]
    first = tmp_path / "a" / found["files"][0]
    if kind == "signals":
        assert np.load(first).shape == (2, 64)
    elif kind == "cells":
        with Image.open(first) as image:
            assert (image.size, image.mode) == ((16, 16), "RGB")
    else:
        assert nib.load(first).shape == (16, 16, 16)
    with Image.open(tmp_path / "a" / "grid.png") as grid:
        assert min(grid.size) > 16
    run.generate(5, tmp_path / "b", quiet=True)
    run.generate(5, tmp_path / "c", seed=1, quiet=True)
    read = [(tmp_path / name / "grid.png").read_bytes() for name in "abc"]
    assert read[0] == read[1] != read[2]


def test_a_way_between_two_images_has_small_steps(
    imitated: Callable[[str], Made], tmp_path: Path
) -> None:
    _, run = imitated("signals")
    run.generate(9, tmp_path / "way", interpolate=True, quiet=True)
    run.generate(9, tmp_path / "random", quiet=True)

    def steps(folder: Path) -> float:
        rows = [np.load(path) for path in sorted(folder.glob("*.npy"))]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(rows)]))

    assert steps(tmp_path / "way") < 0.5 * steps(tmp_path / "random")


def test_a_class_can_be_asked_for(imitated: Callable[[str], Made], tmp_path: Path) -> None:
    _, run = imitated("cells")
    for name in ("healthy", "infected"):
        run.generate(2, tmp_path / name, of_class=name, quiet=True)
    one, other = (
        (tmp_path / name / "generated_0001.png").read_bytes() for name in ("healthy", "infected")
    )
    assert one != other


def test_the_same_plan_gives_the_same_weights_and_features(
    imitated: Callable[[str], Made], tmp_path: Path
) -> None:
    data, run = imitated("cells")
    settings = (*QUICK, *OPTIONS["cells"])
    again = train_tiny(
        data, tmp_path / "run", task="generate", settings=settings, epochs=1,
        plan=run.path / "plan.json",
    )  # fmt: skip
    for name in ("weights.safetensors", "features.safetensors"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()
    assert again.verify()["ok"]


@pytest.mark.parametrize("gone", [(), ("last/state.safetensors", "weights.safetensors")])
def test_an_unfinished_run_goes_on_to_the_same_bytes(
    gone: tuple[str, ...], imitated: Callable[[str], Made], tmp_path: Path
) -> None:
    data, run = imitated("cells")
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    for name in ("receipt.json", "evaluation.json", *gone):
        (copy / name).unlink()
    again = train_tiny(data, copy, task="generate", epochs=1, resume=True)
    weights = "weights.safetensors"
    assert (again.path / weights).read_bytes() == (run.path / weights).read_bytes()
    assert again.evaluation["metrics"] == run.evaluation["metrics"]


def test_changed_features_are_noticed(imitated: Callable[[str], Made], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(imitated("cells")[1].path, tmp_path / "copy"))
    shutil.copy(copy / "weights.safetensors", copy / "features.safetensors")
    with pytest.raises(ReadError, match="the features are those of the run, with the hash"):
        Run(copy).evaluate(quiet=True)


def test_a_variational_network_generates_too(tmp_path: Path) -> None:
    data = make_data("cells", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", task="reconstruct", net="vae", epochs=1)
    found = run.generate(3, tmp_path / "out", quiet=True)
    assert found["files"][0] == "generated_0001.png"


def test_report_shows_generated_images(imitated: Callable[[str], Made]) -> None:
    page = (imitated("cells")[1].path / "report.html").read_text(encoding="utf-8")
    assert "Drawn at random, none chosen" in page
    assert re.search(r"most like (healthy|infected)/P", page)


def test_what_makes_no_sense_is_refused(
    imitated: Callable[[str], Made], journey: Callable, tmp_path: Path
) -> None:
    data, run = imitated("cells")
    with pytest.raises(UsageError, match=r"generate needs a run that generates; got classify with"):
        convivo.generate(journey("cells").run, count=1, out=tmp_path / "a")
    with pytest.raises(UsageError, match=r"predict: a run that answers inputs; got a run that gen"):
        run.predict(data, out=tmp_path / "a")
    with pytest.raises(UsageError, match=r"--data: a generator is measured on its run's own data"):
        run.evaluate(data=data)
    with pytest.raises(UsageError, match=r"--class: a class of the run; got 'ill'. Known: healthy"):
        run.generate(1, tmp_path / "a", of_class="ill")
    with pytest.raises(UsageError, match=r"--count: at least one image; got 0"):
        run.generate(0, tmp_path / "a")
    run.generate(1, tmp_path / "a", quiet=True)
    with pytest.raises(
        UsageError, match=r"--out holds no generated images yet; got generated_0001"
    ):
        run.generate(1, tmp_path / "a")
    assert run.generate(1, tmp_path / "a", overwrite=True, quiet=True)["done"] == 1


def test_a_network_of_ones_own_has_two_halves(tmp_path: Path) -> None:
    data = make_data("cells", tmp_path / "data")
    own = torch.nn.Linear(2, 2)
    with pytest.raises(UsageError, match=r"Linear: a network that generates has generator.*no gen"):
        train_tiny(data, tmp_path / "run", task="generate", net=own, settings=())


def test_parts_without_a_distribution_are_refused(tmp_path: Path) -> None:
    data = make_volumes(tmp_path / "data", count=4, shape=(12, 14, 12))
    with pytest.raises(DataError, match="to generate, validation and test hold at least 2 cases"):
        train_tiny(data, tmp_path / "run", task="generate", settings=QUICK)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("task.ema=1", r"task.ema: a share below 1; got 1.0"),
        ("task.penalty=5", r"task.penalty: the weight of wgan-gp's slopes; got nonsaturating"),
        ("task.loss=wgan-gp task.r1=1", r"task.r1: the weight of slopes at real images; got wgan"),
        ("task.loss=mse", r"task.loss: a loss to generate with; got 'mse'. Use nonsaturating"),
        ("input.size=[20,20]", r"dcgan: every axis must be a power of two, 16 or more; got"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    settings: str,
    message: str,
    imitated: Callable[[str], Made],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, _ = imitated("cells")
    line = ["train", str(data), "--out", str(tmp_path / "run"), "--epochs", "1", "-q"]
    asked = [word for one in settings.split() for word in ("--set", one)]
    assert main([*line, "--task", "generate", *asked]) == 2
    assert re.search(message, capsys.readouterr().err)
