"""What belongs together: the subject of each case, found from what the files say or are called.

Splits, intervals and tests all go by these units, so that no person is on both sides of a split.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Literal, TypeVar

from convivo.data.sample import Case, Index
from convivo.errors import UsageError

Unit = Literal["subject", "case", "section"]
Item = TypeVar("Item")

SECTIONS = 25  # a stack is cut into so many: the test run, a fifth of it, then holds five

NAME_PATTERNS: tuple[tuple[str, str], ...] = (
    # (what the user is shown, how a name begins); each must fit every name to be accepted
    ("sub-<label>", r"sub-[A-Za-z0-9]+"),
    ("TCGA-<site>-<number>", r"TCGA-[A-Za-z0-9]{2}-[A-Za-z0-9]{4}"),
    ("patient<number>", r"patient[-_ ]?\d+"),
    ("subject<number>", r"subject[-_ ]?\d+"),
    ("subj<number>", r"subj[-_ ]?\d+"),
    ("sub<number>", r"sub[_ ]?\d+"),
    ("pat<number>", r"pat[-_ ]?\d+"),
    ("case<number>", r"case[-_ ]?\d+"),
    ("P<number>", r"p[-_]?\d+"),
    ("C<number>", r"c[-_]?\d+"),
    ("S<number>", r"s[-_]?\d+"),
)


@dataclass(frozen=True, kw_only=True)
class Units:
    """Case id -> unit, of which kind the units are, and how they were found ("none")."""

    unit: Unit
    of: Mapping[str, str]
    source: str
    unknown: tuple[str, ...] = ()  # ids without a subject, in a set where others have one

    @property
    def count(self) -> int:
        return len(set(self.of.values()))


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which numbers count as numbers: `2.png` before `10.png`.

    Example:
        >>> sorted(["b10", "b9", "a"], key=natural)
        ['a', 'b9', 'b10']
    """
    parts = re.split(r"(\d+)", text)
    return tuple((1, int(p), p) if i % 2 else (0, 0, p) for i, p in enumerate(parts))


def cut(items: Sequence[Item], pieces: int) -> list[Sequence[Item]]:
    """Contiguous pieces of nearly equal length, none empty: at most one per item.

    Example:
        >>> cut("abcdefg", 3), cut("ab", 5)
        (['ab', 'cd', 'efg'], ['a', 'b'])
    """
    pieces = min(pieces, len(items))
    ends = [len(items) * i // pieces for i in range(pieces + 1)] if pieces else [0]
    return [items[a:b] for a, b in pairwise(ends)]


def find_units(index: Index, cases: Sequence[Case], subject: str | None = None) -> Units:
    """The unit of each case: `--subject`, else what the data says, else what the names say.

    Args:
        index: tells where the layout found its subjects.
        cases: with headers filled.
        subject: regular expression on the id; its first group, else its whole match.
    Raises:
        UsageError: `subject` is no regular expression or does not fit every id.
    """
    if subject is not None:
        return _by_expression(cases, subject)
    stated = {c.id: c.subject or (c.header.subject if c.header else None) for c in cases}
    if any(stated.values()):
        source = index.subject_source or "file header"
        of = {i: str(s or i) for i, s in stated.items()}
        unknown = tuple(i for i, s in stated.items() if not s)
        return Units(unit="subject", of=of, source=source, unknown=unknown)
    return _by_name(cases) or Units(unit="case", of={c.id: c.id for c in cases}, source="none")


def sections(ids: Iterable[str], source: str) -> Units:
    """One subject cut into contiguous sections, in the natural order of the ids."""
    pieces = cut(sorted(ids, key=natural), SECTIONS)
    of = {i: f"section {n}" for n, piece in enumerate(pieces, start=1) for i in piece}
    return Units(unit="section", of=of, source=source)


def _by_expression(cases: Sequence[Case], subject: str) -> Units:
    try:
        expression = re.compile(subject)
    except re.error as error:
        remedy = r"Write it in Python's syntax, like '(sub-\d+)'"
        raise UsageError("--subject", "a regular expression", subject, remedy) from error
    of = {}
    for case in cases:
        match = expression.search(case.id)
        found = match and (match.group(1) if expression.groups else match.group(0))
        if not found:
            remedy = "Widen the expression until it fits every id"
            rule = f"{subject!r} fits every id"
            raise UsageError("--subject", rule, f"{case.id!r}, which it does not fit", remedy)
        of[case.id] = found
    return Units(unit="subject", of=of, source=f"--subject {subject}")


def _by_name(cases: Sequence[Case]) -> Units | None:
    """Subjects from how files (else folders) are called, where a known pattern fits them all."""
    if any(case.index is not None for case in cases):
        return None  # items of a container have numbers, not names
    for shown, pattern in NAME_PATTERNS:
        for place, names_of in (("file", _file_name), ("folder", _folders)):
            # A number must end where it ends: P1 is not the beginning of P12.
            expression = re.compile(rf"(?:{pattern})(?![0-9])", re.IGNORECASE)
            groups = _groups(cases, expression, names_of)
            if groups and _plausible(cases, groups):
                case = cases[0]
                example = f"{names_of(case)[-1][:20]}... -> {groups[case.id]}"
                source = f"{place} name pattern {shown} ({example})"
                return Units(unit="subject", of=groups, source=source)
    return None


def _groups(
    cases: Sequence[Case], expression: re.Pattern[str], names_of: Callable[[Case], list[str]]
) -> dict[str, str] | None:
    """Case id -> the beginning of its name that fits; None where one name does not fit."""
    groups = {}
    for case in cases:
        matches = [m for name in names_of(case) if (m := expression.match(name))]
        if not matches:
            return None
        groups[case.id] = matches[-1].group(0)
    return groups


def _file_name(case: Case) -> list[str]:
    return [PurePosixPath(case.id).name]


def _folders(case: Case) -> list[str]:
    return list(PurePosixPath(case.id).parts[:-1]) or [""]


def _plausible(cases: Sequence[Case], groups: Mapping[str, str]) -> bool:
    """Several groups, some of several files, and not merely another spelling of the classes."""
    count = len(set(groups.values()))
    if not 1 < count < len(cases):
        return False
    of_group: dict[str, set[int | float | None]] = {}
    for case in cases:
        of_group.setdefault(groups[case.id], set()).add(case.target)
    classes = len({case.target for case in cases})
    return count > classes or any(len(targets) > 1 for targets in of_group.values())
