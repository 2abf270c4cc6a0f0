"""What a data set is to be used for: its labels, taken as the wanted task asks for them.

A layout finds classes or label maps. Classes that are numbers can be predicted as numbers, and
any images can be rebuilt or imitated, with or without labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np

from convivo.data.layouts.listing import relative
from convivo.data.problems import WHOLE, problem
from convivo.data.readers import read_header
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ConvivoError, UsageError

TASKS = ("classify", "regress", "segment", "reconstruct", "generate")
WITHOUT_LABELS = ("reconstruct", "generate")
MOST_LABELS = 62
QUANTILES = 5  # groups of neighbouring targets that every part of a split gets its share of


def for_task(index: Index, task: str | None) -> Index:
    """The index with its labels as `task` needs them.

    Without a task: classes whose names are numbers, not all of them whole, are numbers to predict.
    To `reconstruct` and to `generate` labels are not needed: unlabelled images are its cases where
    there are no others, and label maps are left aside.

    Raises:
        UsageError: an unknown task, or labels that it cannot use.
    """
    if index.extra.get("multi_label") and task in (None, "classify"):
        return _sets(index)
    if task is None:
        return _numbers(index) if _has_fractions(index) else index
    if task not in TASKS:
        known = f"Known: {', '.join(TASKS)}"
        raise UsageError("--task", "a task that can be trained", repr(task), known)
    if task == "regress":
        return _numbers(index)
    if task in WITHOUT_LABELS:
        return _images(index, task)
    if task != index.task:
        remedy = "Leave --task out, or add label maps (segment) or class folders (classify)"
        rule = f"the data have labels to {task}"
        raise UsageError("--task", rule, f"labels to {index.task} ({index.layout})", remedy)
    return index


def is_judged_by_class(task: str) -> bool:
    """Whether a task needs classes to tell apart."""
    return task in ("classify", "segment")


def quantile_rows(cases: Sequence[Case]) -> dict[str, tuple[int, ...]]:
    """Case id -> in which fifth of the targets it lies, as a row of zeros and a one.

    With them a split deals out numbers as it does classes.
    """
    values = np.array([float(case.target or 0) for case in cases])
    if not len(values):
        return {}
    edges = np.unique(np.quantile(values, np.arange(1, QUANTILES) / QUANTILES))
    rows = np.eye(len(edges) + 1, dtype=int)[np.searchsorted(edges, values, side="right")]
    return {case.id: tuple(row) for case, row in zip(cases, rows.tolist(), strict=True)}


def target_findings(index: Index, cases: Sequence[Case]) -> list[Problem]:
    """Numbers to predict that are all the same."""
    if index.task != "regress" or len({case.target for case in cases}) > 1:
        return []
    value = f"every case has the number {cases[0].target:g}" if cases else "no case has a number"
    message, remedy = f"{value}: there is nothing to predict", "Add cases with other numbers"
    return [problem("constant-target", WHOLE, message, remedy)]


def target_row(index: Index, cases: Sequence[Case]) -> dict[str, float | int] | None:
    """What an inspection says of the numbers to predict; None for other tasks."""
    if index.task != "regress" or not cases:
        return None
    values = np.array([float(case.target or 0) for case in cases])
    low, median, high = (float(f(values)) for f in (np.min, np.median, np.max))
    distinct = len(np.unique(values))
    return {"min": low, "median": median, "max": high, "distinct": distinct}


def label_row(index: Index, case: Case) -> int:
    """Which row of `extra["targets"]` is that of a case with several labels.

    Its place in the container, or where `extra["rows"]` says so for a file of its own.
    """
    rows = index.extra.get("rows")
    return rows[case.image[0]] if isinstance(rows, dict) else case.index or 0


def _sets(index: Index) -> Index:
    """The index whose targets are sets of classes, as the bits of a whole number.

    Raises:
        UsageError: more classes than a number has bits.
    """
    table = np.asarray(index.extra["targets"], np.int64)
    if table.shape[1] > MOST_LABELS:
        rule, got = f"at most {MOST_LABELS} labels a case", f"{table.shape[1]} columns"
        raise UsageError(index.root, rule, got, "Leave out columns")
    sets = (table << np.arange(table.shape[1])).sum(1).tolist()
    cases = tuple(replace(case, target=sets[label_row(index, case)]) for case in index.cases)
    return replace(index, cases=cases)


def _number(name: str) -> float | None:
    """The number that a class is named by; NaN where the name says that there is none."""
    try:
        return float(name)
    except ValueError:
        return None


def _has_fractions(index: Index) -> bool:
    """Whether all classes are numbers, and some of them are not whole."""
    if index.task != "classify" or index.events or index.extra.get("multi_label"):
        return False
    numbers = [_number(name) for name in index.classes]
    known = [n for n in numbers if n is not None and isfinite(n)]
    return None not in numbers and any(not n.is_integer() for n in known)


def _numbers(index: Index) -> Index:
    """The index whose targets are the numbers that its classes are named by.

    Raises:
        UsageError: label maps, moments, several labels a case, or names that are no numbers.
    """
    got = _no_numbers(index)
    if got:
        remedy = "Give a manifest whose label column holds a number per case"
        raise UsageError("--task", "to regress, the labels are numbers", got, remedy)
    numbers = [_number(name) for name in index.classes]
    cases, problems = [], list(index.problems)
    for case in index.cases:
        number = None if case.target is None else numbers[int(case.target)]
        if number is None or not isfinite(number):
            remedy = "Complete the table; until then the case is left out"
            problems.append(problem("missing-label", case.id, "its number is missing", remedy))
        else:
            cases.append(replace(case, target=number))
    return replace(
        index, task="regress", cases=tuple(cases), classes=(), label_values=None,
        problems=tuple(problems),
    )  # fmt: skip


def _no_numbers(index: Index) -> str:
    """Why an index has no numbers to predict; empty where it has."""
    if index.task != "classify":
        return f"label maps ({index.layout})"
    if index.events or index.extra.get("multi_label"):
        return f"{'labelled moments' if index.events else 'several labels a case'} ({index.layout})"
    words = [name for name in index.classes if _number(name) is None]
    return f"the class {words[0]!r} ({index.layout})" if words else ""


def _images(index: Index, task: str) -> Index:
    """The index with images to learn from; classes stay, they may say what is normal."""
    if index.extra.get("multi_label"):
        index = replace(index, classes=(), extra={})
    cases = index.cases or tuple(_unlabelled(index))
    unlabelled = index.unlabelled if index.cases else ()
    if index.task == "segment":
        cases = tuple(replace(c, label=None, label_index=None, label_names=()) for c in cases)
        index = replace(index, classes=(), label_values=None)
    return replace(index, task=task, cases=cases, unlabelled=unlabelled)


def _unlabelled(index: Index) -> Iterator[Case]:
    """A case for every unlabelled image, or for every item of a container of them."""
    for path in index.unlabelled:
        name = relative(Path(path), index.root if index.root.is_dir() else index.root.parent)
        try:
            count = read_header(path).count
        except ConvivoError:  # told when its header is read for the inspection
            count = 1
        for item in range(count):
            single = count == 1
            yield Case(
                id=name if single else f"{name}#{item}", image=(path,),
                index=None if single else item,
            )  # fmt: skip
