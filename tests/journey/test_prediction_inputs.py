"""How `predict` goes about many inputs: skipped, sharded, bad, in each other's way."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.cli import main
from convivo.errors import ReadError, UsageError

from .tiny_runs import KINDS, Journey, files_below, rows_of, valid

Journeys = Callable[[str], Journey]


@pytest.mark.parametrize("kind", KINDS)
def test_finished_outputs_are_skipped(kind: str, journey: Journeys, tmp_path: Path) -> None:
    given = journey(kind)
    first = given.run.predict(given.inputs, tmp_path, threads=1, quiet=True)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files_below(tmp_path)}
    second = given.run.predict(given.inputs, tmp_path, threads=1, quiet=True)
    assert (second["done"], second["skipped"]) == (0, first["done"])
    assert before == {n: (tmp_path / n).stat().st_mtime_ns for n in files_below(tmp_path)}
    content = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}
    third = given.run.predict(given.inputs, tmp_path, overwrite=True, threads=1, quiet=True)
    assert (third["done"], third["skipped"]) == (first["done"], 0)
    if kind != "volumes":  # a gzip header holds the time
        assert content == {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_missing_is_predicted(kind: str, journey: Journeys, tmp_path: Path) -> None:
    given = journey(kind)
    suffix = {"signals": "*.hea", "volumes": "*.nii.gz"}.get(kind, "*.png")
    some = sorted(given.inputs.rglob(suffix))[:2]
    given.run.predict(some[0], tmp_path, quiet=True)
    document = given.run.predict(some, tmp_path, quiet=True)
    assert (document["done"], document["skipped"]) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_input_does_not_stop_the_rest(
    kind: str, journey: Journeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = journey(kind)
    data = tmp_path / "data"
    shutil.copytree(given.inputs, data)
    suffix = {"signals": "*.dat", "volumes": "*.nii.gz"}.get(kind, "*.png")
    bad = sorted(data.rglob(suffix))[1]
    bad.write_bytes(bad.read_bytes()[:40])
    out = tmp_path / "out"
    assert main(["predict", str(given.run.path), str(data), "--out", str(out), "--json", "-q"]) == 1
    document = valid("predict", capsys.readouterr().out)
    (failed,) = document["failed"]
    assert Path(failed["path"]).stem == bad.stem
    assert bad.stem in failed["error"]
    assert document["done"] == len(list(data.rglob(suffix))) - 1
    assert not [name for name in files_below(out) if bad.name in name or name.startswith(".")]
    assert main(["predict", str(given.run.path), str(data), "--out", str(out), "-q"]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith(f"0 done, {document['done']} there already, 1 failed\nfailed: ")


@pytest.mark.parametrize("kind", KINDS)
def test_shards_together_are_everything(kind: str, journey: Journeys, tmp_path: Path) -> None:
    given = journey(kind)
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    everything = given.run.predict(given.inputs, whole, threads=1, quiet=True)["done"]
    halves = [
        given.run.predict(given.inputs, parted, shard=shard, threads=1, quiet=True)["done"]
        for shard in ("1/2", "2/2")
    ]
    assert sum(halves) == everything
    assert abs(halves[0] - halves[1]) <= 1
    key = {"signals": "record", "cells": "case"}.get(kind)
    if key is not None:
        rows = [r for n in (1, 2) for r in rows_of(parted / f"predictions_{n}_of_2.csv")]
        together = [row[key] for row in rows_of(whole / "predictions.csv")]
        assert sorted(row[key] for row in rows) == sorted(together)
    else:
        assert files_below(parted) == files_below(whole)


def test_an_image_of_another_kind_is_a_bad_input(journey: Journeys, tmp_path: Path) -> None:
    volume = sorted(journey("volumes").inputs.iterdir())[0]
    (failed,) = journey("fields").run.predict(volume, tmp_path / "out", quiet=True)["failed"]
    assert re.search(r"axes|dimension", failed["error"])
    flat = sorted(journey("fields").inputs.iterdir())[0]
    (failed,) = journey("volumes").run.predict(flat, tmp_path / "out", quiet=True)["failed"]
    assert re.search(r"axes|dimension", failed["error"])


def test_maps_are_never_written_over_images(journey: Journeys, tmp_path: Path) -> None:
    fields = journey("fields")
    images = Path(shutil.copytree(fields.inputs, tmp_path / "images"))
    with pytest.raises(UsageError, match="label maps are not written over images; got 'P01_"):
        fields.run.predict(images, images, overwrite=True, quiet=True)
    assert files_below(images) == files_below(fields.inputs)


def test_two_images_of_one_map_are_refused(journey: Journeys, tmp_path: Path) -> None:
    fields = journey("fields")
    source = Image.open(sorted(fields.inputs.iterdir())[0])
    source.save(tmp_path / "a.png")
    source.save(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match=r"label maps of different names; got 'a.jpg', 'a.png'"):
        fields.run.predict(tmp_path, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    fields.run.predict(tmp_path / "a.jpg", tmp_path / "out", quiet=True)
    assert files_below(tmp_path / "out") == ["a.png"]
    assert fields.run.predict(tmp_path / "a.jpg", tmp_path / "out", quiet=True)["skipped"] == 1


def test_items_of_a_container_are_maps_of_their_own(journey: Journeys, tmp_path: Path) -> None:
    fields = journey("fields")
    some = [np.array(Image.open(path)) for path in sorted(fields.inputs.iterdir())[:3]]
    np.savez(tmp_path / "stack.npz", test_images=np.stack(some))
    document = fields.run.predict(tmp_path / "stack.npz", tmp_path / "out", quiet=True)
    assert document["failed"] == []
    assert files_below(tmp_path / "out") == [f"stack.npz#{i}.npy" for i in range(3)]
    assert np.load(tmp_path / "out" / "stack.npz#2.npy").shape == (36, 44)


def test_a_shard_that_is_none(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    for shard in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(UsageError, match=f"--shard: I/N with 1 <= I <= N; got '{shard}'"):
            cells.run.predict(cells.inputs, tmp_path / "out", shard=shard, quiet=True)


def test_a_table_of_something_else_is_not_continued(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    (tmp_path / "predictions.csv").write_text("name,age\n", encoding="utf-8")
    with pytest.raises(ReadError, match=r"columns case,.*; got name,age. Add --overwrite."):
        cells.run.predict(cells.inputs, tmp_path, quiet=True)
    assert cells.run.predict(cells.inputs, tmp_path, overwrite=True, quiet=True)["done"] == 16
