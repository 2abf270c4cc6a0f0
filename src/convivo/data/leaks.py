"""Hunts what would let a network see its test: equal images and subjects on both sides.

Also puts equal images into one unit, so that our own split cannot part them.
"""

from collections.abc import Iterable, Mapping, Sequence

from convivo.data.audit import Link
from convivo.data.problems import WHOLE, problem
from convivo.data.sample import Case, Problem
from convivo.data.units import Units, natural

GRAVITY = ("duplicate-across-splits", "duplicate-across-subjects", "duplicate")


def duplicates(
    links: Iterable[Link], cases: Sequence[Case], units: Units, spatial_dims: int
) -> list[Problem]:
    """One problem per case that shows what an earlier one does: its gravest, then likest, link.

    Across given splits, across subjects, or plain.
    """
    by_id = {case.id: case for case in cases}
    thing = ("signal", "image", "volume")[spatial_dims - 1]
    worst: dict[str, tuple[tuple, Link]] = {}
    for link in links:
        if link.kind != "equal" and units.of[link.first] == units.of[link.second]:
            continue  # of one subject much is alike, and it is kept together anyhow
        rank = (-GRAVITY.index(_code(link, by_id, units)), link.similarity)
        if link.second not in worst or rank > worst[link.second][0]:
            worst[link.second] = (rank, link)
    found = sorted((link for _, link in worst.values()), key=lambda link: natural(link.second))
    return [_duplicate(link, by_id, units, thing) for link in found]


def _code(link: Link, by_id: Mapping[str, Case], units: Units) -> str:
    first, second = by_id[link.first], by_id[link.second]
    if first.split and second.split and first.split != second.split:
        return "duplicate-across-splits"
    apart = units.unit == "subject" and units.of[first.id] != units.of[second.id]
    return "duplicate-across-subjects" if apart else "duplicate"


def _duplicate(link: Link, by_id: Mapping[str, Case], units: Units, thing: str) -> Problem:
    first, case = by_id[link.first], by_id[link.second]
    message = _message(link, thing)
    if case.target != first.target:
        message += ", under another label"
    remedy, code = "Remove one of the two", _code(link, by_id, units)
    if code == "duplicate-across-splits":
        message += f"; one is in {first.split}, the other in {case.split}"
        return problem(code, case.id, message, f"{remedy} from its split")
    if code == "duplicate-across-subjects":
        message += f"; one is of subject {units.of[first.id]}, the other of {units.of[case.id]}"
        remedy += ", or correct the subject; until then no split of ours parts them"
        return problem(code, case.id, message, remedy)
    return problem(code, case.id, message, f"{remedy}; until then they are kept together")


def _message(link: Link, thing: str) -> str:
    if link.kind == "equal":
        return f"holds the same values as {link.first}"
    details = f"similarity {link.similarity:.4f}"
    if link.kind == "overlap":
        return f"overlaps {link.first} ({link.how}, {details})"
    if link.how:
        details = f"{link.how}, {details}"
    return f"shows the same {thing} as {link.first} ({details})"


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
