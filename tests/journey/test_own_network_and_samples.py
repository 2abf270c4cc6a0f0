"""Your own module and your own dataset on the same road, and a split that the data brings."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import convivo
from convivo.data.sample import Sample
from convivo.errors import DataError, ReadError, UsageError

from .tiny_runs import Journey, make_data, train_tiny, valid

Journeys = Callable[[str], Journey]


class Squares(Dataset[Sample]):
    """Noise, with a bright square in every second image; three images a subject."""

    def __init__(self, count: int = 24, *, seed: int = 0, maps: bool = False) -> None:
        self.count, self.seed, self.maps = count, seed, maps

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> Sample:
        if not 0 <= place < self.count:
            raise IndexError(place)
        generator = np.random.default_rng([self.seed, place])
        image = generator.normal(size=(1, 14, 18)).astype(np.float32)
        mask = np.zeros((14, 18), np.uint8)
        if place % 2 or self.maps:
            mask[4:10, 5:12] = 1
        image[0] += 3 * mask
        target = mask if self.maps else place % 2
        name = f"{self.seed}_{place}"
        return Sample(id=name, image=image, target=target, axes="YX", unit=f"s{place // 3}")


class Small(nn.Module):
    """Two convolutions and a mean."""

    def __init__(self, *, maps: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 2, 3, padding=1)
        )
        self.maps = maps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answers = self.body(images)
        return answers if self.maps else answers.mean(dim=(2, 3))


@pytest.mark.parametrize("maps", [False, True])
def test_own_module_and_own_dataset(maps: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    out = tmp_path / "run"
    data = Squares(maps=maps)
    run = convivo.train(data, out=out, net=Small(maps=maps), epochs=3, threads=1, quiet=True)
    assert run.plan["network"]["name"] == "Small"
    split = valid("split", (out / "split.json").read_text(encoding="utf-8"))
    assert split["unit"] == "subject"
    assert set(split["units"].values()) == {f"s{n}" for n in range(8)}
    other = valid("evaluation", run.evaluate(data=Squares(9, seed=1, maps=maps), quiet=True))
    assert (other["cases"], other["units"]) == (9, 3)
    assert ("dice" if maps else "accuracy") in other["metrics"]
    given = tmp_path / "given"
    given.mkdir()
    for place in range(3):
        np.save(given / f"{place}.npy", data[place].image[0])
    document = run.predict(given, tmp_path / "out", quiet=True)
    assert (document["done"], document["failed"]) == (3, [])
    loaded = convivo.load(out, net=Small(maps=maps))
    again = loaded.evaluate(data=Squares(9, seed=1, maps=maps), quiet=True)
    assert again["metrics"] == other["metrics"]


def test_own_module_on_a_folder(journey: Journeys, tmp_path: Path) -> None:
    def module() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                             nn.Linear(4, 2))  # fmt: skip

    runs = [
        convivo.train(journey("cells").data, out=tmp_path / name, net=module(), epochs=1,
                      threads=1, quiet=True)
        for name in ("one", "two")
    ]  # fmt: skip
    weights = [(run.path / "weights.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    assert runs[0].evaluate(quiet=True)["metrics"] == runs[0].evaluation["metrics"]
    with pytest.raises(UsageError, match=r"not one of ours; .* Give it: convivo\.load\(run, net="):
        convivo.evaluate(tmp_path / "one", quiet=True)


def test_a_dataset_on_one_of_our_networks(tmp_path: Path) -> None:
    run = train_tiny(Squares(), tmp_path / "run", epochs=1)
    assert run.plan["network"]["name"] == "resnet18"
    assert isinstance(run.network, nn.Module)
    with pytest.raises(ReadError, match="must know where its data is; got a data set given in Py"):
        run.evaluate(quiet=True)


def test_datasets_that_are_none(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(UsageError, match=r"must hold Samples; got int\. Return convivo"):
        convivo.train([1, 2], out=out, quiet=True)
    with pytest.raises(UsageError, match="must be a path, an inspection or a sequence of Samples"):
        convivo.train(7, out=out, quiet=True)
    twice = [Squares()[0], Squares()[0]]
    with pytest.raises(DataError, match="a repeated id or a missing target"):
        convivo.train(twice, out=out, quiet=True)
    bare = [replace(Squares()[0], target=None)]
    with pytest.raises(DataError, match="a repeated id or a missing target"):
        convivo.train(bare, out=out, quiet=True)
    assert not out.exists()


# --- a split that is given


def given_split(folder: Path, *parts: str) -> Path:
    """Cases in train/ and test/ (and val/): subjects 7 and 8 to test, 6 for val if asked for."""
    cells = make_data("cells", folder / "cells")
    for image in sorted(cells.rglob("*.png")):
        subject = int(image.name[1:3])
        part = "test" if subject > 6 else "val" if subject == 6 and "val" in parts else "train"
        place = folder / "data" / part / image.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    return folder / "data"


THREE = pytest.param(("train", "val", "test"), marks=pytest.mark.slow)


@pytest.mark.parametrize("parts", [("train", "test"), THREE])
def test_a_given_split_is_honoured(parts: tuple[str, ...], tmp_path: Path) -> None:
    data = given_split(tmp_path, *parts)
    run = train_tiny(data, tmp_path / "run", epochs=1)
    split = json.loads((run.path / "split.json").read_text(encoding="utf-8"))
    assert len(split["test"]) == 4
    assert all(name.startswith("test/") for name in split["test"])
    assert not any(name.startswith("test/") for name in (*split["train"], *split["val"]))
    if "val" in parts:
        assert all(name.startswith("val/") for name in split["val"])
    subjects = [{split["units"][i] for i in split[part]} for part in ("train", "val", "test")]
    assert sum(map(len, subjects)) == len(set.union(*subjects))


def test_a_subject_on_both_sides_is_refused(tmp_path: Path) -> None:
    data = given_split(tmp_path)
    image = sorted((data / "test").rglob("P07*.png"))[0]
    shutil.move(image, data / "train" / image.parent.name)
    with pytest.raises(DataError, match=r" \(subject-across-splits\); got "):
        train_tiny(data, tmp_path / "run")
    run = train_tiny(data, tmp_path / "run", epochs=1, accept=["subject-across-splits"])
    assert "waived" in (run.path / "report.html").read_text(encoding="utf-8")


def test_unlabelled_volumes_are_for_prediction(journey: Journeys, tmp_path: Path) -> None:
    volumes = journey("volumes")
    split = json.loads((volumes.run.path / "split.json").read_text(encoding="utf-8"))
    named = {name for part in ("train", "val", "test") for name in split[part]}
    assert len(named) == 6
    assert not any("imagesTs" in name for name in named)
    document = volumes.run.predict(volumes.data, tmp_path / "out", quiet=True)
    assert (document["done"], document["failed"]) == (8, [])
    assert not list((tmp_path / "out").rglob("labelsTr"))


# --- stopped by its control file


def test_the_control_file_ends_a_run_early(journey: Journeys, tmp_path: Path) -> None:
    """`stop` is written by the run's own network after a few steps, as another process would."""
    out = tmp_path / "run"

    class Stopping(Small):
        seen = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.seen += self.training
            if self.seen == 4 and (out / "control.json").exists():
                text = json.dumps({"schema": 1, "action": "stop"})
                (out / "control.json").write_text(text, encoding="utf-8")
            return super().forward(images)

    run = convivo.train(Squares(), out=out, net=Stopping(), epochs=50, threads=1, quiet=True)
    assert run.plan["measured"]["ended"] == "control"
    assert run.plan["measured"]["steps"] < run.plan["steps"]
    (note,) = [note for note in run.evaluation["notes"] if "control file" in note]
    assert note in (out / "report.html").read_text(encoding="utf-8")
