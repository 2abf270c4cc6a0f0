"""A run's metrics as functions of how often each unit counts: what `compare` resamples."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convivo.metrics import counts
from convivo.metrics.intervals import mean_of_defined, pool, ratio
from convivo.metrics.paired import Weighted, of_areas, of_sums
from convivo.metrics.regression import STATISTICS, regression_sums
from convivo.tasks.classify import TOGETHER
from convivo.verbs.run import Run

Known = dict[str, Callable[[], Weighted]]
"""Metric -> how to make it, since some of them read a table."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A run's test cases and what it said of them. index: case -> place of its unit."""

    run: Run
    rows: list[dict[str, Any]]
    units: tuple[str, ...]
    index: dict[str, int]

    @property
    def fields(self) -> dict[str, Any]:
        return self.run.plan["task_fields"]

    @property
    def places(self) -> np.ndarray:
        """(n,) the unit of each case."""
        return np.array([self.index[row["id"]] for row in self.rows])

    def table(self) -> list[dict[str, str]]:
        """The lines of predictions.csv."""
        with (self.run.path / "predictions.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def answers_of(run: Run) -> Answers:
    rows = run.evaluation["per_case"]
    names = tuple(sorted({str(row["unit"]) for row in rows}))
    place = {name: number for number, name in enumerate(names)}
    index = {row["id"]: place[str(row["unit"])] for row in rows}
    return Answers(run=run, rows=rows, units=names, index=index)


def metrics_of(answers: Answers) -> Known:
    """The metrics of a run that are found unit by unit; none to generate."""
    make = MAKERS.get(answers.run.plan["task"])
    return {} if make is None else make(answers)


def _means(answers: Answers, keys: Sequence[str], weight: str | None = None) -> Weighted:
    """The mean over cases of each key, then over keys; cases without a value are left out."""
    columns = []
    for key in keys:
        values = np.array([np.nan if (v := r.get(key)) is None else v for r in answers.rows], float)
        known = np.isfinite(values).astype(float)
        if weight is not None:
            known *= [float(row[weight]) for row in answers.rows]
        columns += [np.where(known > 0, values, 0) * known, known]
    per_unit = pool(np.stack(columns, axis=1), answers.places, len(answers.units))
    return of_sums(lambda sums: mean_of_defined(ratio(sums[:, ::2], sums[:, 1::2])), per_unit)


def _segment(answers: Answers) -> Known:
    regions = [region["name"] for region in answers.fields.get("regions", ())]
    names = [f"dice.{name}" for name in regions or answers.fields["classes"][1:]]
    known: Known = {name: lambda name=name: _means(answers, [name]) for name in names}
    if answers.fields.get("instances"):
        of_objects = ("ap50", "ap", "count_error")
        known |= {name: lambda name=name: _means(answers, [name]) for name in of_objects}
    return known | {"dice": lambda: _means(answers, names)}


def _regress(answers: Answers) -> Known:
    columns = [np.array([row[key] for row in answers.rows], float) for key in ("value", "truth")]
    per_unit = pool(regression_sums(*columns), answers.places, len(answers.units))
    return {
        name: lambda statistic=statistic: of_sums(statistic, per_unit)
        for name, statistic in STATISTICS.items()
    }


def _reconstruct(answers: Answers) -> Known:
    known: Known = {
        name: lambda name=name: _means(answers, [name], "items") for name in ("mse", "psnr", "ssim")
    }
    normal = answers.fields["normal"]
    return known if normal is None else known | {"auroc": lambda: _anomalies(answers, normal)}


def _anomalies(answers: Answers, normal: int) -> Weighted:
    name = answers.fields["classes"][normal]
    lines = [line for line in answers.table() if line.get("truth")]
    scores = np.array([[float(line["score"])] for line in lines])
    odd = np.array([[line["truth"] != name] for line in lines])
    return of_areas(scores, odd, _of_lines(answers, lines), len(answers.units))


def _of_lines(answers: Answers, lines: Sequence[Mapping[str, str]]) -> np.ndarray:
    return np.array([answers.index[line["case"]] for line in lines])


def _classify(answers: Answers) -> Known:
    fields, lines = answers.fields, answers.table()
    classes, several = list(fields["classes"]), bool(fields.get("several"))
    truth = _said([line["truth"] for line in lines], classes, several)
    called = _said([line["prediction"] for line in lines], classes, several)
    index, units = _of_lines(answers, lines), len(answers.units)
    sums = counts.counts_by_unit(truth, called, index, units)
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "accuracy": counts.label_accuracy if several else counts.accuracy,
        "balanced_accuracy": counts.macro_balance if several else counts.macro_sensitivity,
        "f1": counts.macro_f1,
    }
    ratios = {kind: getattr(counts, kind) for kind in ("sensitivity", "precision", "specificity")}
    for kind, statistic in ratios.items():
        for c, name in enumerate(classes):
            kinds[f"{kind}.{name}"] = _column(statistic, c)
    two = len(classes) == 2 and not several
    if two:
        positive = classes[fields["positive"]]
        kinds |= {kind: kinds[f"{kind}.{positive}"] for kind in ratios}
    known: Known = {name: lambda of=of: of_sums(of, sums) for name, of in kinds.items()}
    ranked = [fields["positive"]] if two else list(range(len(classes)))

    def areas() -> Weighted:
        scores = [[float(line[f"p_{classes[c]}"]) for c in ranked] for line in lines]
        return of_areas(np.array(scores), truth[:, ranked], index, units)

    return known | {"auroc": areas}


def _column(
    statistic: Callable[[np.ndarray], np.ndarray], place: int
) -> Callable[[np.ndarray], np.ndarray]:
    """One class of a metric that is found for all of them."""
    return lambda sums: statistic(sums)[:, place]


def _said(texts: Sequence[str], classes: Sequence[str], several: bool) -> np.ndarray:
    """(n, K) which classes are named."""
    if not several:
        return np.array([[name == text for name in classes] for text in texts])
    rows = [text.split(TOGETHER) for text in texts]
    return np.array([[name in row for name in classes] for row in rows])


MAKERS: Mapping[str, Callable[[Answers], Known]] = {
    "classify": _classify,
    "segment": _segment,
    "regress": _regress,
    "reconstruct": _reconstruct,
}
