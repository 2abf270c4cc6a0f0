"""Whatever is wrong with what is given: one line that helps, a status, nothing left behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.cli import main

from .tiny_runs import TINY, Journey, files_below, make_data, train_tiny, valid

Journeys = Callable[[str], Journey]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def refused(capsys: Captured) -> Callable[..., str]:
    """Words of a command line and its exit status -> the one line on stderr, without its head."""

    def refuse(status: int, *words: object) -> str:
        assert main([*map(str, words), "-q", "--json"]) == status
        shown = capsys.readouterr()
        (line,) = shown.err.splitlines()
        error = valid("error", shown.out)["error"]
        assert line == "convivo: error: {where}: {rule}; got {got}. {remedy}.".format(**error)
        assert all(error.values())
        return line.removeprefix("convivo: error: ")

    return refuse


def cells(folder: Path) -> Path:
    return make_data("cells", folder)


def fields(folder: Path) -> Path:
    return make_data("fields", folder)


def nothing(folder: Path) -> Path:
    return folder


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def only_notes(folder: Path) -> Path:
    (empty(folder) / "notes.md").write_text("later", encoding="utf-8")
    return folder


def one_class(folder: Path) -> Path:
    shutil.rmtree(cells(folder) / "infected")
    return folder


def all_background(folder: Path) -> Path:
    for mask in (fields(folder) / "labels").iterdir():
        Image.fromarray(np.zeros((36, 44), np.uint8)).save(mask)
    return folder


def mask_of_another_shape(folder: Path) -> Path:
    mask = sorted((fields(folder) / "labels").iterdir())[2]
    Image.fromarray(np.array(Image.open(mask))[:, :-3]).save(mask)
    return folder


def all_damaged(folder: Path) -> Path:
    for image in cells(folder).rglob("*.png"):
        image.write_bytes(b"\x89PNG")
    return folder


def two_subjects(folder: Path) -> Path:
    for image in sorted(cells(folder).rglob("*.png")):
        if not image.name.startswith(("P01", "P02")):
            image.unlink()
    return folder


@pytest.mark.parametrize(
    ("make", "status", "message"),
    [
        (nothing, 2, "must exist"),
        (empty, 2, "got an empty folder. "),
        (only_notes, 2, "must be of a known layout"),
        (one_class, 1, "class"),
        (all_background, 1, "class"),
        (
            mask_of_another_shape,
            1,
            " (shape-mismatch); got the image has shape 36 x 44, its label map ",
        ),
        (all_damaged, 2, "must be a readable "),
        (two_subjects, 1, "a split needs at least 3 subjects; got 2. "),
    ],
)
def test_bad_data(
    make: Callable[[Path], Path],
    status: int,
    message: str,
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    data, out = make(tmp_path / "data"), tmp_path / "runs" / "new"
    assert message in refused(status, "train", data, "--out", out, "--epochs", 1, "--set", *TINY)
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--net", "unett"], 2, "got 'unett'. Did you mean 'unet'? Known: "),
        (["--net", "unet"], 2, "unet"),  # a map for every cell, where one answer is asked
        (["--set", "train.lrr=1"], 2, "train.lrr: unknown key; got 1. Did you mean 'train.lr'?"),
        (["--set", "trian.lr=1"], 2, "trian: unknown key; got {'lr': 1}. Did you mean '"),
        (["--set", "net.widht=2"], 2, "widht"),
        (["--set", "train.lr=fast"], 2, "train.lr: input should be a valid number; got 'fast'. "),
        (["--set", "lr"], 2, "--set: takes key=value; got lr. For example --set train.lr=1e-3."),
        (["--epoch", "3"], 2, "there is no such option; got --epoch. Did you mean '--epochs'?"),
        (["--ram", "1M"], 1, "plan: needs at least "),
        (["--time", "1s"], 1, "--time: the time must hold a few training steps; got "),
        (["--plan", "none.json"], 2, "none.json: the file must be there; got nothing. "),
        (["--config", "none.toml"], 2, "none.toml: the file must exist; got nothing. "),
        (["--layout", "msdd"], 2, "msdd. Did you mean 'msd'?"),
        (["--task", "segment"], 2, "segment"),
        (["--positive", "ill"], 2, "--positive: a known class; got 'ill'. Did you mean "),
        (["--subject", "("], 2, "--subject: a regular expression; got (. "),
        (["--labels", "x=y"], 2, "--labels: a known class; got 'x'. "),
    ],
)
def test_bad_options(
    words: list[str], status: int, message: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    data, out = cells(tmp_path / "data"), tmp_path / "run"
    budget = [] if {"--time", "--epoch"} & set(words) else ["--epochs", 1]
    tiny = ["--set", *TINY] if "--net" not in words else []
    assert message in refused(status, "train", data, "--out", out, *tiny, *budget, *words)
    assert not out.exists()


def test_an_output_folder_in_use(refused: Callable[..., str], tmp_path: Path) -> None:
    data = cells(tmp_path / "data")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years", encoding="utf-8")
    words = ["train", data, "--out", tmp_path / "run", "--epochs", 1]
    assert "--out must be new or empty; got a folder in use. " in refused(2, *words)
    line = refused(2, *words, "--resume")
    assert "--resume needs a run; got a folder without one. " in line
    assert files_below(tmp_path / "run") == ["thesis.txt"]
    line = refused(2, "train", data, "--out", tmp_path / "run" / "thesis.txt", "--epochs", 1)
    assert "--out must be a folder; got a file. " in line


def test_an_empty_folder_of_the_user_stays(refused: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    refused(2, "train", tmp_path / "none", "--out", out, "--epochs", 1)
    assert list(out.iterdir()) == []


def test_one_unreadable_file_is_left_out(tmp_path: Path) -> None:
    data = cells(tmp_path / "data")
    bad = sorted(data.rglob("*.png"))[5]
    bad.write_bytes(b"\x89PNG")
    name = bad.relative_to(data).as_posix()
    run = train_tiny(data, tmp_path / "run", epochs=1)
    split = json.loads((run.path / "split.json").read_text(encoding="utf-8"))
    assert name not in split["units"]
    assert run.evaluation["excluded"] == [name]


def test_an_accepted_error_stands_in_the_report(tmp_path: Path) -> None:
    data = cells(tmp_path / "data")
    for number, name in enumerate(sorted(data.rglob("*.png"))):
        if number % 5 == 0:
            name.write_bytes(b"\x89PNG")
    run = train_tiny(data, tmp_path / "run", epochs=1, accept=["unreadable", "truncated"])
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Trained in spite of the problem" in page


# --- predict, evaluate, verify


def test_predict_without_a_single_input(
    refused: Callable[..., str], journey: Journeys, tmp_path: Path
) -> None:
    run, out = journey("cells").run.path, tmp_path / "out"
    line = refused(2, "predict", run, tmp_path / "none.png", "--out", out)
    assert line.endswith("none.png: the input must exist; got nothing. Check the path.")
    folder = empty(tmp_path / "empty")
    line = refused(2, "predict", run, folder, "--out", out)
    assert "an image, volume or signal; got no readable file. " in line
    assert not out.exists()
    (tmp_path / "file").write_text("", encoding="utf-8")
    some = sorted(journey("cells").inputs.rglob("*.png"))[0]
    line = refused(2, "predict", run, some, "--out", tmp_path / "file")
    assert "--out must be a folder; got a file. " in line


@pytest.mark.parametrize("command", ["evaluate", "verify", "predict"])
def test_a_folder_that_is_no_run(command: str, refused: Callable[..., str], tmp_path: Path) -> None:
    folder, out = only_notes(tmp_path / "notes"), tmp_path / "out"
    more = [folder, "--out", out] if command == "predict" else []
    line = refused(2, command, folder, *more)
    assert "must be the folder of a run; got a folder without plan.json. " in line
    assert files_below(tmp_path) == ["notes/notes.md"]


def test_evaluating_on_other_classes(
    refused: Callable[..., str], journey: Journeys, tmp_path: Path
) -> None:
    other = cells(tmp_path / "data")
    (other / "healthy").rename(other / "wounded")
    line = refused(1, "evaluate", journey("cells").run.path, "--data", other)
    assert "other data must have the run's classes (healthy, infected); got " in line
    assert refused(2, "evaluate", journey("cells").run.path, "--data", tmp_path / "none")
