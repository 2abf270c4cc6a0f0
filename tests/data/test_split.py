"""Splits: by unit, balanced, repeatable, whatever the order of the files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convivo.data.balance import balance
from convivo.data.inspection import Inspection
from convivo.data.sample import Case, Header, Index
from convivo.data.split import Split, make_split, part_sizes
from convivo.data.statistics import statistics_of
from convivo.data.units import Unit, sections
from convivo.errors import DataError, ReadError
from convivo.schemas import schema

HEADER = Header(shape=(7, 9), channels=1, dtype="uint8", axes="YX")


def make_inspection(
    cases: Sequence[Case],
    counts: Mapping[str, tuple[int, ...]],
    *,
    units: Mapping[str, str] | None = None,
    unit: Unit = "subject",
) -> Inspection:
    classes = tuple(f"class {i}" for i in range(len(next(iter(counts.values())))))
    total = np.sum([counts[case.id] for case in cases], axis=0).tolist()
    index = Index(
        layout="manifest",
        root=Path("data"),
        task="classify",
        spatial_dims=2,
        cases=tuple(cases),
        classes=classes,
    )
    return Inspection(
        index=index,
        cases=tuple(cases),
        units=units or {case.id: case.id for case in cases},
        unit=unit,
        unit_source="test",
        subject_known=unit == "subject",
        positive_class=None,
        statistics=statistics_of([HEADER]),
        class_counts=tuple({"name": c, "count": n} for c, n in zip(classes, total, strict=True)),
        problems=(),
        case_counts=dict(counts),
        pixel_counts={},
    )


def of_targets(
    targets: Sequence[int], subjects: Sequence[str], splits: Sequence[str | None] | None = None
) -> Inspection:
    """Cases img0, img1, ... of two or more classes."""
    rows = np.eye(max(targets) + 1, dtype=int).tolist()
    given_ones = splits or [None] * len(targets)
    cases = [
        Case(id=f"img{i}.png", image=("",), target=t, split=s)  # type: ignore[arg-type]
        for i, (t, s) in enumerate(zip(targets, given_ones, strict=True))
    ]
    counts = {case.id: tuple(rows[t]) for case, t in zip(cases, targets, strict=True)}
    units = {case.id: s for case, s in zip(cases, subjects, strict=True)}
    return make_inspection(cases, counts, units=units)


@st.composite
def data_sets(draw: st.DrawFn) -> Inspection:
    """Two or three classes, three or more subjects of some cases each."""
    subjects = draw(st.lists(st.integers(0, 12), min_size=4, max_size=60))
    subjects = [0, 1, 2, *subjects]
    targets = draw(st.lists(st.integers(0, 2), min_size=len(subjects), max_size=len(subjects)))
    return of_targets([0, 1, *targets[2:]], [f"s{s}" for s in subjects])


@given(data_sets(), st.integers(0, 5))
def test_parts_are_whole_units_and_cover_everything(data: Inspection, seed: int) -> None:
    split = make_split(data, seed=seed)
    parts = [split.train, split.val, split.test]
    assert all(parts)
    assert sorted(i for part in parts for i in part) == sorted(case.id for case in data.cases)
    held = [{split.units[i] for i in part} for part in parts]
    assert sum(map(len, held)) == len(set.union(*held))


@given(data_sets(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(data: Inspection, seed: int, random: Random) -> None:
    shuffled = list(data.cases)
    random.shuffle(shuffled)
    assert make_split(data, seed=seed) == make_split(
        replace(data, cases=tuple(shuffled)), seed=seed
    )


def test_another_seed_gives_another_split() -> None:
    data = of_targets([0, 1] * 20, [f"s{i}" for i in range(40)])
    splits = {make_split(data, seed=seed).test for seed in range(5)}
    assert len(splits) == 5


@given(st.integers(3, 500))
def test_sizes_round_towards_the_test_part(units: int) -> None:
    train, val, test = part_sizes(units, (0.6, 0.2, 0.2))
    assert train + val + test == units
    assert min(train, val, test) >= 1
    assert test >= val


def test_22_records_are_13_4_and_5() -> None:
    data = of_targets([0, 1] * 11, [f"r{i}" for i in range(22)])
    split = make_split(data)
    assert [len(split.train), len(split.val), len(split.test)] == [13, 4, 5]


def test_classes_are_balanced_over_cases() -> None:
    data = of_targets([0] * 80 + [1] * 20, [f"s{i}" for i in range(100)])
    split = make_split(data, seed=3)
    target = {case.id: case.target for case in data.cases}
    rare = [sum(target[i] or 0 for i in part) for part in (split.train, split.val, split.test)]
    assert rare == [12, 4, 4]


def test_a_rare_class_reaches_every_part() -> None:
    """Three of twelve records hold the rare beat: one goes to each part."""
    counts = {f"{i}.hea": (900 + 10 * i, 0) for i in range(12)}
    counts |= {"2.hea": (800, 5), "5.hea": (950, 60), "7.hea": (700, 9)}
    cases = [Case(id=name, image=("",)) for name in counts]
    data = make_inspection(cases, counts)
    for seed in range(6):
        split = make_split(data, seed=seed)
        parts = (split.train, split.val, split.test)
        assert all(any(counts[i][1] for i in part) for part in parts)


def test_balance_gives_each_part_its_number_of_units() -> None:
    weights = np.random.default_rng(0).integers(0, 50, size=(300, 4)).astype(float)
    part_of = balance(weights, (180, 60, 60), np.array([0.6, 0.2, 0.2]))
    assert np.bincount(part_of).tolist() == [180, 60, 60]
    shares = np.stack([weights[part_of == p].sum(axis=0) for p in range(3)]) / weights.sum(axis=0)
    assert np.abs(shares - np.array([[0.6], [0.2], [0.2]])).max() < 0.02


def test_a_given_split_is_kept() -> None:
    splits = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    data = of_targets([0, 1] * 6, [f"s{i}" for i in range(12)], splits)
    split = make_split(data, seed=9)
    assert split.given
    assert split.val == ("img6.png", "img7.png")
    assert split.test == tuple(f"img{i}.png" for i in range(8, 12))


def test_a_missing_validation_part_is_taken_from_train_by_unit() -> None:
    splits = ["train"] * 40 + ["test"] * 6
    data = of_targets([0, 1] * 23, [f"s{i // 2}" for i in range(46)], splits)
    split = make_split(data)
    assert split.test == tuple(f"img{i}.png" for i in range(40, 46))
    assert (len(split.train), len(split.val)) == (32, 8)
    assert not {split.units[i] for i in split.train} & {split.units[i] for i in split.val}
    assert "taken from train" in split.notes[0]


def test_validation_from_a_large_training_part_stops_at_5000() -> None:
    count = 30_000
    splits = ["train"] * (count - 100) + ["test"] * 100
    data = of_targets([0, 1] * (count // 2), [f"s{i}" for i in range(count)], splits)
    split = make_split(data)
    assert (len(split.val), len(split.test)) == (5_000, 100)


def test_a_given_validation_part_without_a_test_becomes_the_test() -> None:
    data = of_targets([0, 1] * 8, [f"s{i}" for i in range(16)], ["train"] * 10 + ["val"] * 6)
    split = make_split(data)
    assert split.test == tuple(f"img{i}.png" for i in range(10, 16))
    assert (len(split.train), len(split.val)) == (8, 2)


def test_cases_without_a_part_train_where_a_test_is_marked() -> None:
    data = of_targets([0, 1] * 8, [f"s{i}" for i in range(16)], [None] * 12 + ["test"] * 4)
    assert make_split(data).test == tuple(f"img{i}.png" for i in range(12, 16))


def test_a_lone_training_part_divides_nothing() -> None:
    data = of_targets([0, 1] * 8, [f"s{i}" for i in range(16)], ["train"] * 16)
    split = make_split(data)
    assert not split.given
    assert len(split.test) == 4


def stack(count: int, splits: Sequence[str | None] | None = None) -> Inspection:
    """`count` images of one stack, each with both classes."""
    given_ones = splits or [None] * count
    cases = [
        Case(id=f"{i}.png", image=("",), split=given_ones[i])  # type: ignore[arg-type]
        for i in range(count)
    ]
    units = sections((case.id for case in cases), "stack").of
    return make_inspection(cases, {c.id: (1, 1) for c in cases}, units=units, unit="section")


@pytest.mark.parametrize(("count", "cut"), [(30, 5), (100, 5), (10, 2), (23, 6), (3, 1)])
def test_a_stack_is_split_into_runs_and_the_test_run_into_sections(count: int, cut: int) -> None:
    split = make_split(stack(count))
    order = [int(i.removesuffix(".png")) for i in (*split.train, *split.val, *split.test)]
    assert order == list(range(count))
    assert set(split.test_sections) == set(split.test)
    assert len(set(split.test_sections.values())) == cut
    sides = [{split.units[i] for i in part} for part in (split.train, split.val, split.test)]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_validation_from_a_given_stack_is_one_run_beside_it() -> None:
    split = make_split(stack(30, ["train"] * 20 + ["test"] * 10))
    assert split.val == ("16.png", "17.png", "18.png", "19.png")
    assert len(set(split.test_sections.values())) >= 5


def test_a_single_class_is_refused() -> None:
    data = of_targets([1] * 6, [f"s{i}" for i in range(6)])
    with pytest.raises(DataError, match=r"a training needs two classes; got only 'class 1'"):
        make_split(data)


def test_fewer_than_three_units_are_refused() -> None:
    data = of_targets([0, 1] * 6, ["a", "b"] * 6)
    with pytest.raises(DataError, match=r"a split needs at least 3 subjects; got 2\."):
        make_split(data)


def test_the_document_comes_back_and_fits_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    split = make_split(of_targets([0, 1] * 8, [f"s{i}" for i in range(16)]))
    document = json.loads(json.dumps(split.document(), allow_nan=False))
    jsonschema.validate(document, schema("split"))
    assert Split.from_document(document) == split


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": None}, "has all its keys"),
        ({"val": ["a"]}, "an id is in one part; got a in two"),
        ({"val": ["z"]}, "every id has a unit; got none for z"),
    ],
)
def test_a_damaged_document_is_refused(change: dict, message: str) -> None:
    good = {"unit": "case", "train": ["a"], "val": ["b"], "test": ["c"]}
    good |= {"units": {i: i for i in "abc"}}
    bad = {key: value for key, value in (good | change).items() if value is not None}
    with pytest.raises(ReadError, match=message):
        Split.from_document(bad)
