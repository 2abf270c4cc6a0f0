"""Hunts what would let a network see its test: equal images and subjects on both sides.

Also puts equal images into one unit, so that our own split cannot part them.
"""

from collections.abc import Iterable, Mapping, Sequence

from convivo.data.problems import WHOLE, problem
from convivo.data.sample import Case, Problem
from convivo.data.survey import Pixels
from convivo.data.units import Units, natural


def equal_images(cases: Sequence[Case], pixels: Mapping[str, Pixels]) -> list[list[Case]]:
    """Groups of cases whose images hold the same values, in natural order of the ids.

    Images of one value throughout are left to `constant-image`: two of them say nothing.
    """
    groups: dict[bytes, list[Case]] = {}
    for case in cases:
        seen = pixels.get(case.id)
        if seen and seen.digest and not seen.constant:
            groups.setdefault(seen.digest, []).append(case)
    same = (sorted(group, key=_place) for group in groups.values() if len(group) > 1)
    return sorted(same, key=lambda group: _place(group[0]))


def duplicates(groups: Iterable[Sequence[Case]], units: Units) -> list[Problem]:
    """One problem per repeated image: across given splits, across subjects, or plain."""
    found = []
    for first, *rest in groups:
        for case in rest:
            found.append(_duplicate(first, case, units))
    return found


def _duplicate(first: Case, case: Case, units: Units) -> Problem:
    message = f"holds the same values as {first.id}"
    if case.target != first.target:
        message += ", under another label"
    remedy = "Remove one of the two"
    if first.split and case.split and first.split != case.split:
        message += f"; one is in {first.split}, the other in {case.split}"
        return problem("duplicate-across-splits", case.id, message, f"{remedy} from its split")
    one, other = units.of[first.id], units.of[case.id]
    if units.unit == "subject" and one != other:
        message += f"; one is of subject {one}, the other of {other}"
        remedy += ", or correct the subject; until then the two are kept in one unit"
        return problem("duplicate-across-subjects", case.id, message, remedy)
    return problem("duplicate", case.id, message, f"{remedy}; until then they are kept together")


def shared_subjects(cases: Sequence[Case], units: Units) -> list[Problem]:
    """One problem per subject that a given split has on more than one side."""
    if units.unit != "subject":
        return []
    sides: dict[str, dict[str, Case]] = {}
    for case in cases:
        if case.split:
            sides.setdefault(units.of[case.id], {}).setdefault(case.split, case)
    found = []
    for subject in sorted(sides, key=natural):
        if len(parts := sides[subject]) > 1:
            message = f"subject {subject} is in {' and '.join(sorted(parts))} of the given split"
            remedy = f"Move all of {subject} to one side, or remove the split and let one be made"
            first = min(parts.values(), key=_place)
            found.append(problem("subject-across-splits", first.id, message, remedy))
    return found


def joined(units: Units, groups: Iterable[Sequence[Case]]) -> Units:
    """The same units, those that share an image made one, named as the first of them.

    Only within one side of a given split: there both sides are fixed, and the leak is an error.
    Sections of a stack stay as they are: their order decides, not their content.
    """
    if units.unit == "section":
        return units
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.get(name, name) != name:
            name = parent[name]
        return name

    for group in groups:
        of_side: dict[str | None, str] = {}
        for case in group:
            unit = root(units.of[case.id])
            other = root(of_side.setdefault(case.split, unit))
            first, second = sorted((unit, other), key=natural)
            parent[second] = first
    of = {case_id: root(unit) for case_id, unit in units.of.items()}
    return Units(unit=units.unit, of=of, source=units.source, unknown=units.unknown)


def unknown_subjects(units: Units) -> list[Problem]:
    """What must be said where the unit is not, or not everywhere, the subject."""
    remedy = "Name them: --subject REGEX on the id, or a manifest with a subject column"
    if units.unit == "case":
        message = "nothing says which cases are of one subject: every case counts as its own"
        return [problem("subjects-unknown", WHOLE, message, remedy)]
    if units.unknown:
        message = f"{len(units.unknown)} cases name no subject: each counts as its own"
        return [problem("subjects-unknown", units.unknown[0], message, remedy)]
    if units.unit == "section":
        message = f"all cases come from one subject ({units.source}): its sections are the units"
        remedy = "Add data of other subjects; scores speak of this subject only"
        return [problem("single-subject", WHOLE, message, remedy)]
    return []


def _place(case: Case) -> tuple:
    return natural(case.id)
