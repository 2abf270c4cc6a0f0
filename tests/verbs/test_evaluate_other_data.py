"""Other data under a run's own classes: by name, whatever values their own label maps hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import inspect_data
from convivo.data.phantoms import make_images
from convivo.verbs.evaluate import _with_classes

PLAN = {"task_fields": {"classes": ["background", "healthy", "infected"]}}


def test_maps_with_other_values_keep_their_names(tmp_path: Path) -> None:
    data = make_images(tmp_path, count=3)
    for path in (data / "labels").iterdir():
        mask = np.array(Image.open(path))
        Image.fromarray(np.where(mask == 2, 9, 0).astype(np.uint8)).save(path)
    inspection = inspect_data(data, task="segment", labels="0=background,9=infected")
    assert inspection.index.classes == ("background", "infected")
    ours = _with_classes(inspection, PLAN)
    assert ours.index.classes == ("background", "healthy", "infected")
    for case in ours.cases:
        stored = np.array(Image.open(str(case.label)))
        target = ours.load(case).target
        assert np.array_equal(target, np.where(stored == 9, 2, 0))


def test_cases_of_other_indices_keep_their_names(tmp_path: Path) -> None:
    data = make_images(tmp_path, count=8, task="classify")
    inspection = inspect_data(data, task="classify")
    ours = _with_classes(inspection, PLAN)
    for before, after in zip(inspection.cases, ours.cases, strict=True):
        assert after == replace(before, target=(before.target or 0) + 1)


@pytest.mark.parametrize("classes", [("background", "healthy", "infected")])
def test_equal_classes_change_nothing(classes: tuple[str, ...], tmp_path: Path) -> None:
    inspection = inspect_data(make_images(tmp_path, count=3), task="segment")
    named = replace(inspection, index=replace(inspection.index, classes=classes))
    assert _with_classes(named, PLAN) is named
