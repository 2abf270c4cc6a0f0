"""Phantoms: the same bytes by seed, in layouts that are read, with something to learn in them."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.layouts import wfdb as layout
from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.data.readers import wfdb as reader
from convivo.errors import UsageError

MAKERS = {
    "signals": partial(make_signals, records=2, seconds=9),
    "images": partial(make_images, count=3),
    "cells": partial(make_images, count=4, task="classify"),
    "volumes": partial(make_volumes, count=2, shape=(22, 20, 12)),
}


def content(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_the_seed_decides_every_byte(maker: Callable[..., Path], tmp_path: Path) -> None:
    first = content(maker(tmp_path / "first", seed=7))
    assert first == content(maker(tmp_path / "again", seed=7))
    other = content(maker(tmp_path / "other", seed=8))
    assert set(other) == set(first)
    data = [name for name in first if not name.endswith(".json")]
    assert all(first[name] != other[name] for name in data)


def test_records_hold_mostly_normal_beats_and_both_early_ones(tmp_path: Path) -> None:
    index = layout.index(make_signals(tmp_path, records=6))
    assert index.problems == ()
    assert [case.id for case in index.cases][:2] == ["ecg01.hea", "ecg02.hea"]
    events = [reader.read_events(str(case.label), index.classes) for case in index.cases]
    counts = np.bincount(np.concatenate([e.labels for e in events]), minlength=3)
    assert 0.78 < counts[0] / counts.sum() < 0.92
    assert counts[1] >= 10
    assert counts[2] >= 10


def test_early_beats_come_early_and_ventricular_ones_are_wide(tmp_path: Path) -> None:
    make_signals(tmp_path, records=6)
    early, widths = {1: [], 2: []}, {0: [], 2: []}
    for path in sorted(tmp_path.glob("*.hea")):
        raw = reader.read(path)
        assert raw.header.channel_names == ("MLII", "V1")
        assert raw.array.shape == (2, 360 * 60)
        events = reader.read_events(path.with_suffix(".atr"), ("N", "S", "V"))
        gaps = np.diff(events.positions) / np.median(np.diff(events.positions))
        for gap, label, at in zip(gaps, events.labels[1:], events.positions[1:], strict=True):
            if label in early:
                early[label].append(gap)
            if label in widths:
                around = np.abs(raw.array[0, at - 40 : at + 40])
                widths[label].append(np.mean(around > around.max() / 2))
    assert max(np.mean(early[1]), np.mean(early[2])) < 0.85
    assert np.median(widths[2]) > 2 * np.median(widths[0])


def test_detected_beats_are_the_annotated_ones(tmp_path: Path) -> None:
    make_signals(tmp_path, records=1, seconds=40)
    path = tmp_path / "ecg01.hea"
    truth, source = reader.beat_positions(path)
    assert source == "atr"
    found = reader.detect_beats(reader.read(path).array[0], 360)
    nearest = np.abs(truth[:, None] - found).min(axis=1)
    assert np.mean(nearest < 30) > 0.9


def test_micrographs_have_masks_of_two_cell_types(tmp_path: Path) -> None:
    make_images(tmp_path, count=8, size=(64, 80))
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "labels").iterdir())
    assert names[0] == "P01_field_001.png"
    assert {name[:3] for name in names} == {f"P{n:02d}" for n in range(1, 9)}
    inside = []
    for name in names:
        image = np.asarray(Image.open(tmp_path / "images" / name), dtype=np.float64)
        mask = np.asarray(Image.open(tmp_path / "labels" / name))
        assert (image.shape, mask.shape) == ((64, 80, 3), (64, 80))
        assert set(np.unique(mask)) <= {0, 1, 2}
        inside.append([image[mask == value, 1].mean() for value in (0, 1, 2) if value in mask])
    background, healthy, infected = np.mean([row for row in inside if len(row) == 3], axis=0)
    assert background > healthy > infected


def test_single_cells_are_sorted_into_folders_with_every_subject_in_both(tmp_path: Path) -> None:
    make_images(tmp_path, count=32, task="classify")
    subjects = {}
    for folder in ("healthy", "infected"):
        paths = list((tmp_path / folder).iterdir())
        assert len(paths) == 16
        with Image.open(paths[0]) as image:
            assert (image.size, image.mode) == ((56, 48), "RGB")
        subjects[folder] = {path.name[:3] for path in paths}
    assert subjects["healthy"] == subjects["infected"]
    assert len(subjects["healthy"]) == 8


def test_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="made for segment or classify; got 'draw'"):
        make_images(tmp_path, task="draw")  # type: ignore[arg-type]


def test_volumes_are_a_decathlon_folder(tmp_path: Path) -> None:
    make_volumes(tmp_path, count=5, shape=(30, 28, 14))
    document = json.loads((tmp_path / "dataset.json").read_text())
    assert document["labels"] == {"0": "background", "1": "organ", "2": "lesion"}
    assert len(document["training"]) == 5
    assert len(list((tmp_path / "imagesTs").iterdir())) == len(document["test"]) == 2
    lesions = 0
    for case in document["training"]:
        image = nibabel.load(tmp_path / case["image"])
        label = nibabel.load(tmp_path / case["label"])
        assert image.shape == label.shape
        np.testing.assert_allclose(image.header.get_zooms(), (1, 1, 2.5), rtol=1e-5)
        np.testing.assert_array_equal(image.affine, label.affine)
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
        assert np.count_nonzero(image.affine[:3, :3]) == 9  # oblique
        values = np.asarray(label.dataobj)
        lesions += bool((values == 2).any())
        assert (values == 1).sum() > (values == 2).sum()
    assert lesions == 4
