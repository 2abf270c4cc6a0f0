"""The results: every metric with its interval, the confusion matrix, and what they mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from convivo.reporting.content import Report
from convivo.reporting.distributions import (
    interval_range,
    whisker,
    whisker_axis,
)
from convivo.reporting.formatting import at, count, decimal, mapping, real, sequence, short
from convivo.reporting.headline import score_name
from convivo.reporting.results_figures import (
    agreement_figure,
    calibration_figure,
    case_figure,
    roc_figure,
)
from convivo.reporting.wording import GROUPS, class_of, interval_text, places_of, wording

LARGEST_CONFUSION = 16
CURVES = (roc_figure, calibration_figure, agreement_figure)


def metric_tables(report: Report) -> list[dict[str, Any]]:
    """One table a group of metrics that share an axis, in the order of GROUPS."""
    metrics = mapping(at(report.evaluation, "metrics"))
    numbers = {k: v for k, v in metrics.items() if isinstance(v, Mapping) and k != "confusion"}
    every = len(sequence(at(report.inspection, "classes")))
    first, tables = score_name(report.evaluation), []
    for group, title in GROUPS.items():
        names = together([n for n in numbers if wording(n).group == group])
        if names:
            rows = [metric_row(n, numbers[n], first=n == first, every=every) for n in names]
            tables.append({"title": title, **whiskers(rows, group), "rows": rows,
                           "classes": any(row["of"] for row in rows)})  # fmt: skip
    return tables


def together(names: Sequence[str]) -> list[str]:
    """Names in their order, but each metric's classes right behind it."""
    bases = list(dict.fromkeys(n.partition(".")[0] for n in names))
    return sorted(names, key=lambda n: (bases.index(n.partition(".")[0]), bool(class_of(n))))


def metric_row(name: str, metric: Mapping[str, Any], *, first: bool, every: int) -> dict[str, Any]:
    """The texts of one metric; `first` marks the score, `every` is the number of classes."""
    value = real(metric.get("value"))
    return {
        "name": wording(name).name,
        "of": class_of(name),
        "first": first,
        "triple": [value, real(metric.get("low")), real(metric.get("high"))],
        "value": decimal(value, places_of(name)),
        "unit": str(metric.get("unit") or "") if wording(name).group == "distance" else "",
        "interval": interval_text(metric, places_of(name)) or "none",
        "note": metric_note(metric, every),
    }


def whiskers(rows: list[dict[str, Any]], group: str) -> dict[str, Any]:
    """Draw each row's value and interval on one axis; none where the rows share no scale."""
    triples = [row["triple"] for row in rows]
    shared = group in ("score", "distance") or len({row["name"] for row in rows}) == 1
    if not shared or all(low is None for _, low, _ in triples):
        return {"axis": None}
    span = interval_range(triples, bounded=group == "score")
    for row in rows:
        row["whisker"] = whisker(row["triple"], span)
    return {"axis": whisker_axis(span)}


def metric_note(metric: Mapping[str, Any], every: int) -> str:
    """What a reader must know about one number: exclusions, tolerance, covered classes."""
    parts = []
    if real(metric.get("excluded")):
        parts.append(f"{count(metric['excluded'], 'case')} left out")
    if real(metric.get("tolerance")) is not None:
        parts.append(f"tolerance {short(metric['tolerance'])} {metric.get('unit') or ''}".strip())
    classes = sequence(metric.get("classes"))
    if classes and len(classes) < every:
        parts.append("class " + ", ".join(str(c) for c in classes))
    if metric.get("note"):
        parts.append(str(metric["note"]))
    return "; ".join(parts)


def confusion(report: Report) -> dict[str, Any] | None:
    """Counts and shares of each true class by predicted class; None where there are none."""
    found = at(report.evaluation, "metrics", "confusion")
    value = found if found is not None else at(report.evaluation, "confusion")
    if _is_several(value):
        return None
    rows = [[real(v) or 0.0 for v in sequence(row)] for row in sequence(at(value, "value"))]
    labels = [str(label) for label in sequence(at(value, "labels"))]
    rows, labels = occurring(rows, labels)
    if not rows or len(rows) > LARGEST_CONFUSION or len({len(row) for row in rows}) != 1:
        return None
    columns = [str(c) for c in sequence(at(value, "columns"))] or labels
    names = labels + [str(n) for n in range(len(labels), len(rows))]
    heads = columns + [f"other {n}" for n in range(1, len(rows[0]) - len(columns) + 1)]
    return {
        "columns": heads[: len(rows[0])],
        "rows": [confusion_row(name, row, n) for n, (name, row) in
                 enumerate(zip(names, rows, strict=False))],
    }  # fmt: skip


def _is_several(value: object) -> bool:
    """Whether there is a table for each class, since classes may occur together."""
    first = next(iter(sequence(at(value, "value"))), None)
    return bool(sequence(next(iter(sequence(first)), None)))


def occurring(rows: list[list[float]], labels: list[str]) -> tuple[list[list[float]], list[str]]:
    """A square matrix without the classes that neither occur nor are predicted."""
    size = len(labels)
    if len(rows) != size or any(len(row) != size for row in rows):
        return rows, labels
    kept = [n for n in range(size) if any(rows[n]) or any(row[n] for row in rows)]
    return [[rows[i][j] for j in kept] for i in kept], [labels[n] for n in kept]


def confusion_row(name: str, row: Sequence[float], place: int) -> dict[str, Any]:
    """One true class: its cells with count, share of the row, and whether they are right."""
    total = sum(row)
    shares = [v / total if total else 0.0 for v in row]
    cells = [
        {"count": count(v), "percent": f"{100 * s:.0f} %" if total else "", "share": f"{s:.3f}",
         "right": n == place, "dark": s >= 0.8}
        for n, (v, s) in enumerate(zip(row, shares, strict=True))
    ]  # fmt: skip
    return {"name": name, "cells": cells, "total": count(total)}


def confused_pairs(report: Report) -> list[dict[str, str]]:
    """The most frequent mistakes, for a confusion matrix too large to print."""
    value = at(report.evaluation, "metrics", "confusion")
    if _is_several(value):
        return []
    rows, labels = sequence(at(value, "value")), sequence(at(value, "labels"))
    if len(rows) <= LARGEST_CONFUSION or len(labels) < len(rows):
        return []
    wrong = [(real(v) or 0, str(labels[i]), str(labels[j]))
             for i, row in enumerate(rows) for j, v in enumerate(sequence(row)[: len(labels)])
             if i != j and real(v)]  # fmt: skip
    wrong.sort(key=lambda item: -item[0])
    return [{"truth": t, "predicted": p, "count": count(n)} for n, t, p in wrong[:15]]


def explanations(report: Report) -> list[tuple[str, str]]:
    """Each metric on the page with its meaning."""
    names = [n.partition(".")[0] for n in mapping(at(report.evaluation, "metrics"))]
    words = [wording(n) for n in dict.fromkeys(names)]
    return [(w.name, w.explanation) for w in words if w.explanation]


def results_card(report: Report) -> dict[str, Any]:
    """Everything the results part of the page shows."""
    return {
        "tables": metric_tables(report),
        "confusion": confusion(report),
        "confused": confused_pairs(report),
        "curves": [figure for draw in CURVES if (figure := draw(report))],
        "cases": case_figure(report),
        "explanations": explanations(report),
        "unit": str(at(report.evaluation, "unit") or "unit"),
    }
