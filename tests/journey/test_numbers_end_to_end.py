"""A number a case, in one, two and three dimensions: from a table of files to predictions."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from convivo.cli import main
from convivo.verbs.run import Run

from .tiny_runs import rows_of, train_tiny, valid

SIZES = {1: (48,), 2: (20, 22), 3: (10, 11, 12)}
SUFFIXES = {1: ".npy", 2: ".png", 3: ".nii.gz"}


def make_numbers(folder: Path, dims: int, count: int = 24) -> Path:
    """Bright blobs whose size is the number."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(dims)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "subject"])
        for number in range(count):
            share = rng.uniform(0.1, 0.45)
            places = np.meshgrid(*[np.linspace(-0.5, 0.5, n) for n in SIZES[dims]], indexing="ij")
            far = np.sqrt(sum(p**2 for p in places))
            image = 60 + 120.0 * (far < share) + rng.normal(0, 6, SIZES[dims])
            name = f"s{number // 2:02d}_{number:03d}{SUFFIXES[dims]}"
            save(folder / name, image, dims)
            table.writerow([name, f"{100 * share:.2f}", f"s{number // 2:02d}"])
    return folder


def save(path: Path, image: np.ndarray, dims: int) -> None:
    if dims == 1:
        np.save(path, image.astype(np.float32))
    elif dims == 2:
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)
    else:
        nib.save(nib.Nifti1Image(image.astype(np.float32), np.diag([1.0, 1.0, 2.0, 1.0])), path)


Numbers = tuple[Path, Run]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Numbers]:
    made: dict[int, Numbers] = {}

    def of(dims: int) -> Numbers:
        if dims not in made:
            folder = tmp_path_factory.mktemp(f"numbers{dims}")
            data = make_numbers(folder / "data", dims)
            epochs = {1: 12, 2: 12, 3: 2}[dims]
            made[dims] = data, train_tiny(data, folder / "run", epochs=epochs)
        return made[dims]

    return of


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_numbers_are_predicted_and_measured(
    dims: int, numbers: Callable[[int], Numbers], tmp_path: Path
) -> None:
    data, run = numbers(dims)
    found = valid("evaluation", run.evaluation)
    assert found["task"] == "regress"
    assert {"mae", "rmse", "r2"} == set(found["metrics"])
    assert found["score_name"] == "r2"
    if dims < 3:  # a few epochs of the third dimension would take long
        assert found["metrics"]["r2"]["value"] > 0.3
    truth = {row["path"]: float(row["label"]) for row in rows_of(data / "manifest.csv")}
    own = rows_of(run.path / "predictions.csv")
    assert list(own[0]) == ["case", "truth", "value"]
    assert {row["case"]: float(row["truth"]) for row in own} == {
        row["case"]: truth[row["case"]] for row in own
    }
    errors = [float(row["value"]) - float(row["truth"]) for row in own]
    assert found["metrics"]["mae"]["value"] == pytest.approx(np.abs(errors).mean(), abs=1e-3)
    document = valid("predict", run.predict(data, out=tmp_path / "out", quiet=True))
    assert (document["done"], document["failed"]) == (24, [])
    rows = {row["case"]: float(row["value"]) for row in rows_of(tmp_path / "out/predictions.csv")}
    assert set(rows) == set(truth)
    for row in own:
        assert rows[row["case"]] == pytest.approx(float(row["value"]), rel=1e-4)


def test_target_is_scaled_by_the_training_cases(numbers: Callable[[int], Numbers]) -> None:
    data, run = numbers(1)
    truth = {row["path"]: float(row["label"]) for row in rows_of(data / "manifest.csv")}
    train = [truth[i] for i in run.folder.json("split.json")["train"]]
    fields = run.plan["task_fields"]
    assert fields["mean"] == pytest.approx(np.mean(train))
    assert fields["std"] == pytest.approx(np.std(train))
    assert (run.plan["augment"]["scale"], run.plan["augment"]["time_warp"]) == (0, 0)


def test_report_shows_predicted_against_true(numbers: Callable[[int], Numbers]) -> None:
    page = (numbers(2)[1].path / "report.html").read_text(encoding="utf-8")
    assert "Predicted over true numbers of" in page
    assert "regression" in page
    assert re.search(r"truth [\d.]+, predicted [\d.]+", page)


def test_evaluating_again_gives_the_same_numbers(numbers: Callable[[int], Numbers]) -> None:
    _, run = numbers(1)
    assert run.evaluate(quiet=True)["metrics"] == run.evaluation["metrics"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--net", "unet"), r"--net: a network that can regress; got 'unet'"),
        (("--set", "task.loss=hinge"), r"task.loss: a loss to regress with; got 'hinge'. Use mse"),
        (("--set", "task.beta=2"), r"task.beta: a setting to reconstruct; got the task regress"),
        (("--normal", "3"), r"task.normal: a setting to reconstruct; got the task regress"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...],
    message: str,
    numbers: Callable[[int], Numbers],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, _ = numbers(1)
    line = ["train", str(data), "--out", str(tmp_path / "run"), "--epochs", "1", "-q", *words]
    assert main(line) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_samples_of_ones_own_have_numbers_too(tmp_path: Path) -> None:
    from convivo.data.sample import Sample

    rng = np.random.default_rng(0)
    numbers = rng.normal(size=15).astype(np.float32)
    samples = [
        Sample(id=str(i), image=rng.normal(n, 1, (1, 24)), target=n) for i, n in enumerate(numbers)
    ]
    run = train_tiny(samples, tmp_path / "run", epochs=1)
    assert run.evaluation["task"] == "regress"
    own = {row["case"]: float(row["truth"]) for row in rows_of(run.path / "predictions.csv")}
    assert own == {i: pytest.approx(numbers[int(i)], rel=1e-5) for i in own}
