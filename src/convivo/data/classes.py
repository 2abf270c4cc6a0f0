"""Counts classes and completes what the layout could not know of them: names, stored values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from convivo.data.labels import FEW_UNNAMED, MOST_UNNAMED, names_of_values
from convivo.data.numbered_maps import numbering
from convivo.data.problems import WHOLE, problem
from convivo.data.purpose import label_row, quantile_rows
from convivo.data.readers import read_events
from convivo.data.sample import Case, Index, Problem
from convivo.data.strays import find_strays, strays_of
from convivo.data.survey import LabelMap, damaged
from convivo.errors import ReadError

Counts = dict[str, tuple[int, ...]]
"""Case id -> number per class index."""


def completed(index: Index, maps: Mapping[str, LabelMap]) -> tuple[Index, list[Problem]]:
    """The index with classes and label values of a segmentation, read from its maps if need be.

    Values that nothing names are classes by value, lowest first. Negative values are none.
    """
    if index.task != "segment" or index.label_values is not None:
        return index, []
    if index.classes:
        return replace(index, label_values=tuple(range(len(index.classes)))), []
    counts = sum((Counter(labels.counts) for labels in maps.values()), Counter())
    strays = find_strays(counts)
    values = sorted(v for v in counts if v >= 0 and v not in strays)
    named = replace(index, classes=names_of_values(values), label_values=tuple(values))
    if strays:
        number = sum(counts[value] for value in strays)
        shown = ", ".join(map(str, list(strays)[:5])) + (" ..." if len(strays) > 5 else "")
        message = f"{number:,} positions of the label maps hold {shown}: each counts as the "
        message += f"nearest of {', '.join(map(str, values))}"
        remedy = "Save masks without lossy compression, resample them by nearest neighbour"
        extra = {**index.extra, "strays": strays}
        return replace(named, extra=extra), [problem("stray-labels", WHOLE, message, remedy)]
    if len(values) <= FEW_UNNAMED:
        return named, []
    if len(values) <= MOST_UNNAMED:
        message = (
            f"the label maps hold {len(values)} values without names: one class each is assumed"
        )
        remedy = "If they number objects (nuclei), train with --set task.instances=true"
        return named, [problem("unnamed-labels", WHOLE, message, remedy)]
    message = f"the label maps hold {len(values)} different values: grey levels or object numbers"
    remedy = "Save masks without lossy compression, one value per class; of numbers of objects, "
    remedy += "train with --set task.instances=true"
    return named, [problem("label-out-of-range", WHOLE, message, remedy)]


def pixel_counts(index: Index, maps: Mapping[str, LabelMap]) -> Counts:
    """Positions of each class in every label map; of numbered objects, of all together."""
    if numbering(index) in ("files", "values"):
        return {
            case_id: (labels.counts.get(0, 0), sum(n for v, n in labels.counts.items() if v > 0))
            for case_id, labels in maps.items()
            if labels.problem is None
        }
    values, strays = index.label_values or (), strays_of(index)
    return {
        case_id: tuple(
            labels.counts.get(value, 0)
            + sum(labels.counts.get(odd, 0) for odd, owner in strays.items() if owner == value)
            for value in values
        )
        for case_id, labels in maps.items()
        if labels.problem is None
    }


def case_counts(
    index: Index, cases: Sequence[Case], pixels: Mapping[str, Sequence[int]]
) -> tuple[Counts, list[Problem]]:
    """What each case adds to `count`: its beats per class, or 1 for every class it has.

    Of numbers to predict, 1 for the fifth of them that its own lies in.
    """
    if index.task == "regress":
        return quantile_rows(cases), []
    if index.events:
        return _beats(index, cases)
    if index.task == "segment":
        return {c.id: tuple(int(n > 0) for n in pixels.get(c.id, ())) for c in cases}, []
    several = index.extra.get("targets") if index.task == "classify" else None
    if isinstance(several, np.ndarray):  # several labels a case, a row (L,) each
        return {c.id: tuple(several[label_row(index, c)].tolist()) for c in cases}, []
    rows = np.eye(len(index.classes), dtype=int).tolist()
    one_hot = [tuple(row) for row in rows]
    return {c.id: one_hot[int(c.target)] for c in cases if c.target is not None}, []


def class_rows(
    index: Index, cases: Sequence[Case], counts: Counts, pixels: Counts
) -> tuple[dict, ...]:
    """The rows of `classes` in the inspection's JSON: name, count and, for label maps, pixels."""
    if not index.classes:  # numbers to predict, or images without labels
        return ()
    rows = [{"name": name, "count": 0} for name in index.classes]
    for key, numbers in (("count", counts), ("pixels", pixels)):
        if key == "pixels" and index.task != "segment":
            continue
        for row, total in zip(rows, totals(cases, numbers, len(rows)), strict=True):
            row[key] = total
    return tuple(rows)


def totals(cases: Sequence[Case], counts: Mapping[str, Sequence[int]], classes: int) -> list[int]:
    """The sum of the cases' numbers per class."""
    rows = [counts[case.id] for case in cases if case.id in counts]
    return np.array(rows, dtype=np.int64).sum(axis=0).tolist() if rows else [0] * classes


def _beats(index: Index, cases: Sequence[Case]) -> tuple[Counts, list[Problem]]:
    counts: Counts = {}
    problems = []
    for case in cases:
        if case.label is None or case.header is None:
            continue
        try:
            labels = read_events(case.label, index.classes, case.header).labels
        except ReadError as error:
            problems.append(damaged(case.id, error))
            continue
        found = np.bincount(labels[labels >= 0], minlength=len(index.classes))
        counts[case.id] = tuple(found.tolist())
    return counts, problems
