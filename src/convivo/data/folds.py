"""Cross-validation: as many splits as folds, in which each unit is held out exactly once."""

from collections.abc import Sequence
from dataclasses import replace

from convivo.data.inspection import Inspection
from convivo.data.purpose import is_judged_by_class
from convivo.data.sample import Case
from convivo.data.split import (
    Split,
    divide,
    require_classes,
    runs,
    sections,
    split_of,
    take_validation,
)
from convivo.data.units import natural
from convivo.errors import DataError

FEWEST = 3  # units: one to train on, one to choose by, one held out


def make_folds(inspection: Inspection, count: int, *, seed: int = 0) -> tuple[Split, ...]:
    """`count` splits of the usable cases, by unit, classes balanced; their test parts cover all.

    What a fold does not hold out is divided as where the data gives a test part: a fifth of its
    units choose (at most 5,000 cases). Where all is one subject, each test part is one contiguous
    run of the stack, and so is what chooses. A test part that the data brings belongs to no fold.
    The same seed gives the same folds, in whatever order the cases come.

    Raises:
        DataError: fewer than two classes, or fewer units than folds (or than three).
    """
    if is_judged_by_class(inspection.index.task):
        require_classes(inspection)
    cases, notes = _divisible(inspection)
    units = len({inspection.units[case.id] for case in cases})
    least = max(count, FEWEST)
    if units < least and inspection.unit != "section":
        rule = f"{count} folds need at least {least} {inspection.unit}s"
        remedy = f"Use --folds {units}" if units >= FEWEST else "Add data"
        raise DataError(inspection.index.root, rule, units, remedy)
    shares = (1 / count,) * count
    if inspection.unit == "section":
        held = runs(cases, shares)
    else:
        held = divide(inspection, cases, seed, shares=shares)
    return tuple(_fold(inspection, held, number, seed, notes) for number in range(count))


def _divisible(inspection: Inspection) -> tuple[list[Case], tuple[str, ...]]:
    """The cases that folds share, and what is said of the others."""
    cases = sorted(inspection.cases, key=lambda case: natural(case.id))
    given = {case.split or "train" for case in cases}
    kept = [case for case in cases if case.split != "test"]
    if "train" not in given or len(kept) == len(cases):
        return cases, ()
    return kept, (f"the given test part ({len(cases) - len(kept)} cases) belongs to no fold",)


def _fold(
    inspection: Inspection,
    held: Sequence[Sequence[Case]],
    number: int,
    seed: int,
    notes: tuple[str, ...],
) -> Split:
    """The split that holds out one part; the others follow it in a ring, so that runs stay runs."""
    rest = [case for part in (*held[number + 1 :], *held[:number]) for case in part]
    train, val = take_validation(inspection, rest, seed)
    split = split_of(inspection, train, val, list(held[number]))
    if inspection.unit == "section":  # the same ones in every fold
        split = replace(split, units=sections([[case.id for case in part] for part in held]))
    return replace(split, notes=(f"fold {number} of 0 to {len(held) - 1}", *notes))
