"""Cases whose channels are files of their own: predicted, exported and reported as one input."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from convivo.cli import main
from convivo.exporting.runner.main import main as run_folder
from convivo.verbs.inputs import find_inputs
from convivo.verbs.run import Run

from .tiny_runs import files_below, train_tiny, valid

PARTS = {"number": ("0000", "0001"), "folder": ("flair", "t1", "t2")}
MISSING = "a case has a file for each channel; got none of {}. Add it beside the others."


def scan(rng: np.random.Generator, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(C, *S) noise, bright in the last channel alone where the label is 1."""
    labels = np.zeros((12, 14, 9), np.uint8)
    labels[3:8, 4:10, 2:6] = 1
    image = rng.normal(size=(channels, *labels.shape)).astype(np.float32)
    image[-1] += 3 * labels
    return image, labels


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag((1, 1, 2.5, 1))), path)


def numbered(root: Path) -> Path:
    """nnU-Net raw: six cases to train on, two to predict, two channels; case numbers as theirs."""
    rng = np.random.default_rng(0)
    for number in range(8):
        image, labels = scan(rng, 2)
        folder, name = "imagesTs" if number > 5 else "imagesTr", f"case_{number:04d}"
        for part, channel in zip(PARTS["number"], image, strict=True):
            save(root / folder / f"{name}_{part}.nii.gz", channel)
        save(root / folder.replace("images", "labels") / f"{name}.nii.gz", labels)
        save(root.with_name("together") / f"{name}.nii.gz", np.moveaxis(image, 0, -1))
    described = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "x": 1}}
    (root / "dataset.json").write_text(json.dumps(described | {"file_ending": ".nii.gz"}))
    return root


def foldered(root: Path) -> Path:
    """A folder a patient, a file a channel and one of labels."""
    rng = np.random.default_rng(1)
    for number in range(5):
        image, labels = scan(rng, 3)
        for part, channel in zip((*PARTS["folder"], "seg"), (*image, labels), strict=True):
            save(root / f"P_{number}" / f"P_{number}_{part}.nii.gz", channel)
    return root


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    place = tmp_path_factory.mktemp("numbers")
    data = numbered(place / "data")
    return data, train_tiny(data, place / "run", epochs=1)


def labels_in(folder: Path) -> dict[str, np.ndarray]:
    names = files_below(folder)
    return {name: np.asarray(nibabel.load(folder / name).dataobj) for name in names}


def test_the_channels_of_a_case_are_predicted_together(
    numbers: tuple[Path, Run], tmp_path: Path
) -> None:
    data, run = numbers
    assert valid("plan", run.plan)["channel_files"] == {
        "by": "number", "parts": ["0000", "0001"], "names": ["T1", "T2"],
    }  # fmt: skip
    files = sorted((data / "imagesTs").iterdir())
    for given, out in ((data / "imagesTs", "folder"), (files, "files"), (files[::2], "first")):
        document = run.predict(given, tmp_path / out, quiet=True)
        assert (document["done"], document["failed"]) == (2, [])
    found = labels_in(tmp_path / "folder")
    assert list(found) == ["case_0006_0000.nii.gz", "case_0007_0000.nii.gz"]
    run.predict(data.with_name("together"), tmp_path / "whole", quiet=True)
    whole = labels_in(tmp_path / "whole")
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, whole[name.replace("_0000.nii", ".nii")])
    assert any(len(np.unique(labels)) == 2 for labels in found.values())
    for out in ("files", "first"):
        np.testing.assert_equal(labels_in(tmp_path / out), found)
    everything = run.predict(data, tmp_path / "all", quiet=True)
    assert (everything["done"], everything["failed"]) == (8, [])
    assert files_below(tmp_path / "all")[-1] == "imagesTs/case_0007_0000.nii.gz"


def test_a_case_without_a_channel_fails_alone(
    numbers: tuple[Path, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = numbers
    copy = Path(shutil.copytree(data, tmp_path / "data"))
    gone = [copy / "imagesTr/case_0002_0000.nii.gz", copy / "imagesTs/case_0006_0001.nii.gz"]
    for path in gone:
        path.unlink()
    words = ["predict", str(run.path), str(copy), "--out", str(tmp_path / "out"), "--json", "-q"]
    assert main(words) == 1
    document = valid("predict", capsys.readouterr().out)
    assert document["done"] == 6
    there = [copy / "imagesTr/case_0002_0001.nii.gz", copy / "imagesTs/case_0006_0000.nii.gz"]
    assert [one["path"] for one in document["failed"]] == list(map(str, there))
    assert [one["error"] for one in document["failed"]] == [
        f"{path}: {MISSING.format(part)}"
        for path, part in zip(there, ("0000", "0001"), strict=True)
    ]
    assert len(files_below(tmp_path / "out")) == 6


def test_files_on_two_grids_fail(numbers: tuple[Path, Run], tmp_path: Path) -> None:
    _, run = numbers
    save(tmp_path / "a_0000.nii.gz", np.zeros((12, 14, 9), np.float32))
    save(tmp_path / "a_0001.nii.gz", np.zeros((12, 14, 8), np.float32))
    (failed,) = run.predict(tmp_path, tmp_path / "out", quiet=True)["failed"]
    assert "a_0001.nii.gz: the channels of one case have one shape" in failed["error"]


def test_a_run_without_a_rule_takes_that_of_the_data(numbers: tuple[Path, Run]) -> None:
    data, _ = numbers
    found = find_inputs([data / "imagesTs"])
    assert len(found) == 4, "without a rule files are inputs of their own"
    assert len(find_inputs([data])) == 8, "a data set brings its rule"


@pytest.mark.slow
def test_an_export_gathers_them_too(
    numbers: tuple[Path, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = numbers
    copy = Path(shutil.copytree(data, tmp_path / "data"))
    (copy / "imagesTs/case_0006_0001.nii.gz").unlink()
    _same(run, [copy], tmp_path / "all", capsys, failed=1)
    _same(run, sorted((copy / "imagesTs").iterdir()), tmp_path / "files", capsys, failed=1)


@pytest.mark.slow
def test_a_folder_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = foldered(tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", epochs=1)
    assert run.plan["channel_files"]["parts"] == ["flair", "t1", "t2"]
    one = _same(run, [data / "P_3"], tmp_path / "one", capsys)
    assert one == ["P_3_flair.nii.gz"]
    assert _same(run, sorted((data / "P_3").iterdir()), tmp_path / "files", capsys) == one
    (data / "P_1/P_1_seg.nii.gz").unlink()
    (data / "P_2/P_2_t1.nii.gz").unlink()
    names = _same(run, [data], tmp_path / "all", capsys, failed=1)
    assert names == [f"P_{n}/P_{n}_flair.nii.gz" for n in (0, 1, 3, 4)]


@pytest.mark.slow
def test_one_channel_of_several_is_picked_by_name(tmp_path: Path) -> None:
    data = numbered(tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", epochs=1, settings=('input.channels=["T2"]',))
    document = run.predict(data / "imagesTs", tmp_path / "out", quiet=True)
    assert (document["done"], document["failed"]) == (2, [])


def _same(
    run: Run, given: list[Path], place: Path, capsys: pytest.CaptureFixture[str], failed: int = 0
) -> list[str]:
    """What `predict` and the exported folder both write, held against each other."""
    model = run.path.with_name("model")
    if not model.exists():
        run.export("torch", model, quiet=True)
        valid("pipeline", (model / "pipeline.json").read_text())
    theirs = run.predict(given, place / "theirs", backend="torch", quiet=True)
    words = [*map(str, given), "--out", str(place / "mine"), "--json", "-q"]
    capsys.readouterr()
    assert run_folder(model, words) == min(1, failed)
    mine = valid("predict", capsys.readouterr().out)
    assert len(mine["failed"]) == failed
    assert (mine["done"], mine["failed"]) == (theirs["done"], theirs["failed"])
    np.testing.assert_equal(labels_in(place / "mine"), labels_in(place / "theirs"))
    return files_below(place / "mine")
