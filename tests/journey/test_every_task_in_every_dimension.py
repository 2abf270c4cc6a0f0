"""What no other journey does: signals segmented sample by sample, volumes classified."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import convivo
from convivo.errors import ReadError

from .tiny_runs import train_tiny, valid


def test_signals_are_segmented_sample_by_sample(tmp_path: Path) -> None:
    """Bursts in noise, marked where they are; the answer has a class for each sample."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 160)).astype(np.float32), np.zeros((24, 160), np.uint8)
    for row, start in enumerate(rng.integers(0, 120, 24)):
        x[row, start : start + 40] += 4
        y[row, start : start + 40] = 1
    for part, values in (("images", x), ("labels", y)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for row, array in enumerate(values):
            np.save(tmp_path / "data" / part / f"{row:02}.npy", array)
    settings = ("train.steps=60", "train.validate_every=30")
    run = train_tiny(tmp_path / "data", tmp_path / "run", epochs=None, settings=settings)
    assert (run.plan["task"], run.plan["network"]["spatial_dims"]) == ("segment", 1)
    found = valid("evaluation", run.evaluation)
    assert found["metrics"]["dice.1"]["value"] > 0.8
    answer = run.predict(tmp_path / "data" / "images", tmp_path / "maps", quiet=True)
    assert valid("predict", answer)["done"] == 24
    maps = sorted((tmp_path / "maps").glob("*.npy"))
    right = [(np.load(path).reshape(-1) == y[int(path.stem)]).mean() for path in maps]
    assert len(right) == 24
    assert np.mean(right) > 0.85  # without an answer three quarters


def test_label_maps_in_one_container_are_refused(tmp_path: Path) -> None:
    x = np.zeros((4, 1, 160), np.float32)
    np.savez(tmp_path / "bursts.npz", x=x, y=np.zeros((4, 160), np.uint8))
    rule = r"labels are of whole cases; got .*\(4, 160\), a label a sample\. Save images/NAME\.npy"
    with pytest.raises(ReadError, match=rule):
        convivo.inspect(tmp_path / "bursts.npz")


def test_volumes_are_classified(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for kind, level in (("dark", 0.0), ("light", 3.0)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(8):
            volume = rng.normal(size=(12, 14, 10)).astype(np.float32)
            volume[4:8, 4:9, 3:7] += level
            nib.save(
                nib.Nifti1Image(volume, np.eye(4)), tmp_path / "data" / kind / f"{number}.nii.gz"
            )
    run = train_tiny(tmp_path / "data", tmp_path / "run")
    assert (run.plan["task"], run.plan["network"]["spatial_dims"]) == ("classify", 3)
    assert valid("evaluation", run.evaluation)["cases"] == 4
    answer = convivo.load(tmp_path / "run").predict(tmp_path / "data" / "dark", tmp_path / "out")
    assert answer["done"] == 8
