"""Folds: each unit held out exactly once, never beside itself, whatever the order of the files."""

from pathlib import Path

import numpy as np
import pytest

from convivo.data.folds import make_folds
from convivo.data.phantoms import make_images
from convivo.data.sample import Case
from convivo.errors import DataError

from .test_split import HEADER, make_inspection


def inspection_of(
    subjects: int, *, per_subject: int = 3, order: int = 1, split=None, unit="subject"
):
    cases = [
        Case(id=f"{s:02d}/{i}.png", image=(f"{s}/{i}.png",), target=s % 2, header=HEADER,
             split=split(s) if split else None)
        for s in range(subjects) for i in range(per_subject)
    ][::order]  # fmt: skip
    counts = {case.id: (1, 0) if case.target == 0 else (0, 1) for case in cases}
    units = {case.id: case.id[:2] for case in cases}
    return make_inspection(cases, counts, units=units, unit=unit)


@pytest.mark.parametrize("count", [2, 3, 5, 11])
def test_each_unit_is_held_out_exactly_once(count):
    inspection = inspection_of(11)
    folds = make_folds(inspection, count, seed=3)
    held = [name for fold in folds for name in fold.test]
    assert sorted(held) == sorted(case.id for case in inspection.cases)
    for fold in folds:
        parts = [{fold.units[i] for i in part} for part in (fold.train, fold.val, fold.test)]
        assert all(parts), "every part has units"
        assert sum(map(len, parts)) == len(set.union(*parts)), "none has those of another"
        assert len(fold.train) + len(fold.val) + len(fold.test) == len(inspection.cases)


@pytest.mark.parametrize(("units", "count"), [(9, 5), (22, 5), (7, 4)])
def test_folds_hold_out_equally_many_units(units, count):
    folds = make_folds(inspection_of(units), count)
    sizes = [len({fold.units[name] for name in fold.test}) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_classes_are_balanced_over_folds():
    for fold in make_folds(inspection_of(20), 5):
        assert {int(fold.units[name]) % 2 for name in fold.test} == {0, 1}


def test_the_order_of_the_files_changes_nothing():
    one, other = (make_folds(inspection_of(9, order=o), 3, seed=4) for o in (1, -1))
    assert [fold.document() for fold in one] == [fold.document() for fold in other]
    assert [f.test for f in make_folds(inspection_of(9), 3, seed=5)] != [f.test for f in one]


def test_a_given_test_part_belongs_to_no_fold():
    inspection = inspection_of(10, split=lambda s: "test" if s >= 8 else "train")
    folds = make_folds(inspection, 4)
    seen = {fold.units[i] for fold in folds for i in (*fold.train, *fold.val, *fold.test)}
    assert seen == {f"{s:02d}" for s in range(8)}
    assert "the given test part (6 cases) belongs to no fold" in folds[0].notes


def test_of_one_subject_every_test_part_is_a_run_of_the_stack():
    cases = [Case(id=f"{i:02d}.png", image=(), target=i % 2, header=HEADER) for i in range(30)]
    counts = {case.id: (1, 1) for case in cases}
    inspection = make_inspection(cases, counts, unit="section")
    folds = make_folds(inspection, 3)
    for fold in folds:
        places = [int(name[:2]) for name in fold.test]
        assert np.array_equal(places, range(places[0], places[0] + 10))
        assert len({fold.units[name] for name in fold.test}) >= 5
        assert fold.units == folds[0].units
        ring = [(place - places[0]) % 30 for place in map(int, (i[:2] for i in fold.val))]
        assert sorted(ring) == list(range(26, 30)), "what chooses is one run as well"


@pytest.mark.parametrize(("subjects", "count"), [(4, 5), (2, 2)])
def test_too_few_units_are_refused(subjects, count):
    with pytest.raises(DataError, match=f"{count} folds need at least"):
        make_folds(inspection_of(subjects), count)


def test_duplicates_are_held_out_together(tmp_path: Path):
    from convivo.data.inspection import inspect_data

    data = make_images(tmp_path / "d", count=18, size=(32, 32), task="classify", seed=2)
    images = sorted(data.rglob("*.png"))
    twin = images[0].with_name("twin.png")
    twin.write_bytes(images[0].read_bytes())
    folds = make_folds(inspect_data(data), 3)
    pair = {f"{images[0].parent.name}/{name}" for name in (images[0].name, "twin.png")}
    shared = [len(pair & {"/".join(i.split("/")[-2:]) for i in fold.test}) for fold in folds]
    assert sorted(shared) == [0, 0, 2]
