"""Which cases train, which choose, which are held out: Inspection -> Split.

A unit (subject, case, or section of one subject) is never in two parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import floor
from typing import Literal

import numpy as np

from convivo.data.balance import balance
from convivo.data.inspection import Inspection
from convivo.data.leaks import joined
from convivo.data.purpose import is_judged_by_class
from convivo.data.sample import Case
from convivo.data.units import SECTIONS, Unit, Units, cut, natural
from convivo.errors import DataError, ReadError

FRACTIONS = (0.6, 0.2, 0.2)
ENOUGH_FOR_VALIDATION = 5_000  # items; more would cost time each epoch and sharpen nothing
TEST_SECTIONS = 5  # at least, so that an interval over sections exists

Part = Literal["train", "val", "test"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Ids of the three parts. units: id -> what is kept together; unit: of which kind it is.

    given: the data came with this split (validation may still be ours). notes: what was decided.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    unit: Unit
    units: Mapping[str, str]
    given: bool = False
    notes: tuple[str, ...] = ()

    @property
    def test_sections(self) -> dict[str, str]:
        """Id -> section of the test run, where all comes from one subject; else empty."""
        return {i: self.units[i] for i in self.test} if self.unit == "section" else {}

    def document(self) -> dict:
        """`split.json` of the contract."""
        return {
            "schema": 1,
            "unit": self.unit,
            "train": list(self.train),
            "val": list(self.val),
            "test": list(self.test),
            "units": dict(self.units),
            "given": self.given,
            "notes": list(self.notes),
        }

    @classmethod
    def from_document(cls, document: Mapping) -> "Split":
        """Read `split.json` back.

        Raises:
            ReadError: a key is missing, an id is in two parts or has no unit.
        """
        _check(document)
        return cls(
            train=tuple(document["train"]),
            val=tuple(document["val"]),
            test=tuple(document["test"]),
            unit=document["unit"],
            units=dict(document["units"]),
            given=bool(document.get("given", False)),
            notes=tuple(document.get("notes", ())),
        )


def make_split(
    inspection: Inspection,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Split:
    """Divide the usable cases into train, val and test, by unit, classes balanced.

    A split that the data brings is honoured: without a validation part a fifth of the training
    units (at most 5,000 cases) is taken for it; without a test part the given validation part is
    the test (nobody shall choose on what is reported) and a new one is taken from train. Where all
    is one subject, each part is one contiguous run. The same seed gives the same split, in
    whatever order the cases come.

    Raises:
        DataError: fewer than two classes, or fewer than three units.
    """
    if is_judged_by_class(inspection.index.task):
        require_classes(inspection)
    cases = sorted(inspection.cases, key=lambda case: natural(case.id))
    # A case without a part, in a set that has parts, is there to train on. A lone part divides
    # nothing (a training folder beside an unlabelled test folder).
    parts = {case.split or "train" for case in cases}
    if "train" in parts and len(parts) > 1:
        return _given_split(inspection, cases, seed)
    if inspection.unit == "section":
        return _section_split(inspection, fractions)
    return split_of(inspection, *divide(inspection, cases, seed, shares=fractions))


def require_classes(inspection: Inspection) -> None:
    present = [row["name"] for row in inspection.class_counts if row["count"]]
    if len(present) < 2:
        got = f"only {present[0]!r}" if present else "no labelled class"
        remedy = "Add cases of another class, or name the classes with --labels"
        raise DataError(inspection.index.root, "a training needs two classes", got, remedy)


def _given_split(inspection: Inspection, cases: Sequence[Case], seed: int) -> Split:
    parts: dict[str, list[Case]] = {"train": [], "val": [], "test": []}
    for case in cases:
        parts[case.split or "train"].append(case)
    notes = []
    if not parts["test"]:
        parts["test"], parts["val"] = parts["val"], []
        notes.append("the given validation part is the test; a new one was taken from train")
    if not parts["val"]:
        parts["train"], parts["val"] = take_validation(inspection, parts["train"], seed)
        notes.append(
            f"validation: {len(parts['val'])} cases taken from train, by {inspection.unit}"
        )
    split = split_of(inspection, parts["train"], parts["val"], parts["test"])
    return replace(split, given=True, notes=tuple(notes))


def take_validation(
    inspection: Inspection, cases: Sequence[Case], seed: int
) -> tuple[list[Case], list[Case]]:
    """(train, val): a fifth of the units chooses, at most 5,000 cases; of a stack its end."""
    share = min(FRACTIONS[1], ENOUGH_FOR_VALIDATION / len(cases))
    shares = (1 - share, share)
    if inspection.unit == "section":
        train, val = runs(cases, shares)
    else:
        train, val = divide(inspection, cases, seed, shares=shares)
    return train, val


def _section_split(inspection: Inspection, fractions: Sequence[float]) -> Split:
    cases = sorted(inspection.cases, key=lambda case: natural(case.id))
    note = "one subject: train, val and test are one contiguous run each, in the stack's order"
    return replace(split_of(inspection, *runs(cases, fractions)), notes=(note,))


def runs(cases: Sequence[Case], shares: Sequence[float]) -> list[list[Case]]:
    """Contiguous runs of cases in the order given, one per share."""
    _require_units(len(cases), len(shares), "images of the stack")
    ends = np.cumsum([0, *part_sizes(len(cases), shares)])
    return [list(cases[a:b]) for a, b in pairwise(ends)]


def sections(parts: Sequence[Sequence[str]]) -> dict[str, str]:
    """Id -> section; every run of ids cut by its share of the whole, at least into five."""
    units: dict[str, str] = {}
    whole, first = sum(len(run) for run in parts), 1
    for run in parts:
        pieces = cut(run, max(TEST_SECTIONS, floor(SECTIONS * len(run) / whole)))
        for number, piece in enumerate(pieces, start=first):
            units |= dict.fromkeys(piece, f"section {number}")
        first += len(pieces)
    return units


def part_sizes(units: int, shares: Sequence[float]) -> list[int]:
    """How many units each part gets: rounded down, never none, the rest to the last part.

    Of equal shares none gets more than one more than another.

    Example:
        >>> part_sizes(22, (0.6, 0.2, 0.2)), part_sizes(3, (0.6, 0.2, 0.2))
        ([13, 4, 5], [1, 1, 1])
        >>> part_sizes(22, (0.2,) * 5)
        [5, 5, 4, 4, 4]
    """
    if len(set(shares)) == 1:
        return [units // len(shares) + (n < units % len(shares)) for n in range(len(shares))]
    sizes = [max(1, floor(units * share + 1e-9)) for share in shares[:-1]]
    while units - sum(sizes) < 1:  # only for very few units or lopsided shares
        sizes[int(np.argmax(sizes))] -= 1
    return [*sizes, units - sum(sizes)]


def divide(
    inspection: Inspection, cases: Sequence[Case], seed: int, *, shares: Sequence[float]
) -> list[list[Case]]:
    """Cases in as many lists as shares, by unit, class counts in the ratio of the shares."""
    together = _together(inspection)
    of_unit: dict[str, list[Case]] = {}
    for case in cases:
        of_unit.setdefault(together[case.id], []).append(case)
    names = sorted(of_unit, key=natural)
    _require_units(len(names), len(shares), f"{inspection.unit}s", where=inspection.index.root)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    weights = np.stack([_weight(inspection, of_unit[names[i]]) for i in order])
    part_of = balance(weights, part_sizes(len(names), shares), np.asarray(shares, float))
    parts: list[list[Case]] = [[] for _ in shares]
    for i, part in zip(order, part_of, strict=True):
        parts[part].extend(of_unit[names[i]])
    return [sorted(part, key=lambda case: natural(case.id)) for part in parts]


def _together(inspection: Inspection) -> Mapping[str, str]:
    """Case id -> what no split tears apart: its unit, with those that show the same."""
    by_id = {case.id: case for case in inspection.cases}
    pairs = [(by_id[link.first], by_id[link.second]) for link in inspection.audit.links]
    units = Units(unit=inspection.unit, of=dict(inspection.units), source="")
    return joined(units, pairs).of


def _weight(inspection: Inspection, cases: Sequence[Case]) -> np.ndarray:
    """(K,) what the cases of one unit add to each class's count, or each fifth's of a number."""
    some = next(iter(inspection.case_counts.values()), ())
    none = (0,) * (len(some) or len(inspection.index.classes))
    rows = [inspection.case_counts.get(case.id, none) for case in cases]
    return np.array(rows, dtype=np.float64).sum(axis=0)


def _require_units(found: int, least: int, what: str, where: object = "split") -> None:
    if found < least:
        remedy = "Add data, or give a split of your own (train/ val/ test folders or a manifest)"
        raise DataError(where, f"a split needs at least {least} {what}", found, remedy)


def split_of(
    inspection: Inspection, train: Sequence[Case], val: Sequence[Case], test: Sequence[Case]
) -> Split:
    ids = [tuple(case.id for case in part) for part in (train, val, test)]
    if inspection.unit == "section":
        units = sections(ids)
    else:
        units = {i: inspection.units[i] for part in ids for i in part}
    return Split(train=ids[0], val=ids[1], test=ids[2], unit=inspection.unit, units=units)


def _check(document: Mapping) -> None:
    remedy = "Restore the file, or train again"
    missing = {"unit", "train", "val", "test", "units"} - set(document)
    if missing:
        raise ReadError("split.json", "has all its keys", f"none of {sorted(missing)}", remedy)
    ids = [i for part in ("train", "val", "test") for i in document[part]]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ReadError("split.json", "an id is in one part", f"{twice} in two", remedy)
    unknown = [i for i in ids if i not in document["units"]]
    if unknown:
        raise ReadError("split.json", "every id has a unit", f"none for {unknown[0]}", remedy)
