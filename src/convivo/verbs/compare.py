"""compare: two sides, each a run or several seeds of one, on the same test cases, unit by unit."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convivo.errors import DataError, UsageError, nearest_name
from convivo.metrics import counts
from convivo.metrics.intervals import SHARE, UNBOUNDED, Bounds, mean_of_defined, pool, ratio
from convivo.metrics.paired import Weighted, compare_sides, of_areas, of_sums
from convivo.metrics.regression import STATISTICS, regression_sums
from convivo.tasks.classify import TOGETHER
from convivo.verbs.run import Run, as_run

OPEN_BOUNDS: Mapping[str, Bounds] = {
    "mae": (0.0, np.inf),
    "rmse": (0.0, np.inf),
    "mse": (0.0, np.inf),
    "r2": (-np.inf, 1.0),
    "psnr": UNBOUNDED,
    "ssim": (-1.0, 1.0),
}
LOWER_IS_BETTER = ("mae", "rmse", "mse")
Known = dict[str, Callable[[], Weighted]]


@dataclass(frozen=True, kw_only=True)
class _Answers:
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


def compare(
    a: Sequence[Run | str | Path] | Run | str | Path,
    b: Sequence[Run | str | Path] | Run | str | Path,
    *,
    metric: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Hold runs against each other on their test parts.

    Args:
        a, b: a run or its folder, or several that differ by their seed and count as one.
        metric: default the score of the first run.
        seed: of the bootstrap over units.
    Returns:
        {"schema": 1, "metric", "a": {value, low, high}, "b", "difference", "p", "units",
        "seeds": [runs of a, runs of b]}; the difference is a - b.
    Raises:
        DataError: other tasks, classes, test cases or units. UsageError: no such metric, no run.
        ReadError: not the folder of a finished run.
    """
    sides = [[_answers(as_run(run)) for run in _several(side)] for side in (a, b)]
    if not all(sides):
        got = f"{len(sides[0])} and {len(sides[1])} runs"
        raise UsageError("compare", "each side has at least one run", got, "Name both sides")
    first = sides[0][0]
    for other in (run for side in sides for run in side):
        _must_agree(first, other)
    named = metric or str(first.run.evaluation["score_name"])
    weighted = [[_metric(run, named) for run in side] for side in sides]
    bounds = OPEN_BOUNDS.get(named.partition(".")[0], SHARE)
    found = compare_sides(*weighted, len(first.units), bounds=bounds, seed=seed)
    return {
        "schema": 1,
        "metric": named,
        **found,
        "units": len(first.units),
        "unit": first.run.evaluation["unit"],
        "seeds": [len(side) for side in sides],
    }


def _several(side: Any) -> list[Any]:
    return [side] if isinstance(side, Run | str | Path) else list(side)


def _answers(run: Run) -> _Answers:
    rows = run.evaluation["per_case"]
    names = tuple(sorted({str(row["unit"]) for row in rows}))
    place = {name: number for number, name in enumerate(names)}
    index = {row["id"]: place[str(row["unit"])] for row in rows}
    return _Answers(run=run, rows=rows, units=names, index=index)


def _must_agree(first: _Answers, other: _Answers) -> None:
    """Refuse runs that were not measured on the same things.

    Raises:
        DataError: another task, other classes, other test cases or units.
    """
    plans = first.run.plan, other.run.plan
    tasks = [plan["task"] for plan in plans]
    remedy = "Compare runs of one task on one split (the same data and --seed, or a given split)"
    if tasks[0] != tasks[1]:
        raise DataError(other.run.path, f"all runs {tasks[0]}", tasks[1], remedy)
    classes = [plan["task_fields"]["classes"] for plan in plans]
    if classes[0] != classes[1]:
        rule = f"all runs have the classes {', '.join(classes[0])}"
        raise DataError(other.run.path, rule, ", ".join(classes[1]), remedy)
    if first.index.keys() != other.index.keys() or first.units != other.units:
        odd = sorted(first.index.keys() ^ other.index.keys())
        got = f"{len(odd)} cases in one of them only, first {odd[0]}" if odd else "other units"
        rule = f"all runs were tested on the same cases ({first.run.path.name})"
        raise DataError(other.run.path, rule, got, remedy)
    if first.index != other.index:
        raise DataError(other.run.path, "a case is of one unit", "other units", remedy)


def _metric(answers: _Answers, name: str) -> Weighted:
    """A run's metric by how often each unit counts.

    Raises:
        UsageError: none of that name can be compared.
    """
    known = MAKERS.get(answers.run.plan["task"], lambda answers: {})(answers)
    if name not in known:
        task = answers.run.plan["task"]
        rule, near = f"a metric of runs that {task}, unit by unit", nearest_name(name, known)
        raise UsageError("--metric", rule, repr(name), near)
    return known[name]()


def _means(answers: _Answers, keys: Sequence[str], weight: str | None = None) -> Weighted:
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


def _segment(answers: _Answers) -> Known:
    names = [f"dice.{name}" for name in answers.fields["classes"][1:]]
    known: Known = {name: lambda name=name: _means(answers, [name]) for name in names}
    return known | {"dice": lambda: _means(answers, names)}


def _regress(answers: _Answers) -> Known:
    columns = [np.array([row[key] for row in answers.rows], float) for key in ("value", "truth")]
    per_unit = pool(regression_sums(*columns), answers.places, len(answers.units))
    return {
        name: lambda statistic=statistic: of_sums(statistic, per_unit)
        for name, statistic in STATISTICS.items()
    }


def _reconstruct(answers: _Answers) -> Known:
    known: Known = {
        name: lambda name=name: _means(answers, [name], "items") for name in ("mse", "psnr", "ssim")
    }
    normal = answers.fields["normal"]
    return known if normal is None else known | {"auroc": lambda: _anomalies(answers, normal)}


def _anomalies(answers: _Answers, normal: int) -> Weighted:
    name = answers.fields["classes"][normal]
    lines = [line for line in answers.table() if line.get("truth")]
    scores = np.array([[float(line["score"])] for line in lines])
    odd = np.array([[line["truth"] != name] for line in lines])
    return of_areas(scores, odd, _of_lines(answers, lines), len(answers.units))


def _of_lines(answers: _Answers, lines: Sequence[Mapping[str, str]]) -> np.ndarray:
    return np.array([answers.index[line["case"]] for line in lines])


def _classify(answers: _Answers) -> Known:
    fields, lines = answers.fields, answers.table()
    classes, several = list(fields["classes"]), bool(fields.get("several"))
    truth = _said([line["truth"] for line in lines], classes, several)
    called = _said([line["prediction"] for line in lines], classes, several)
    index, units = _of_lines(answers, lines), len(answers.units)
    sums = counts.counts_by_unit(truth, called, index, units)
    kinds = {
        "accuracy": counts.label_accuracy if several else counts.accuracy,
        "balanced_accuracy": counts.macro_balance if several else counts.macro_sensitivity,
        "f1": counts.macro_f1,
    }
    ratios = {kind: getattr(counts, kind) for kind in ("sensitivity", "precision", "specificity")}
    for kind, statistic in ratios.items():
        for c, name in enumerate(classes):
            kinds[f"{kind}.{name}"] = lambda s, c=c, statistic=statistic: statistic(s)[:, c]
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


def _said(texts: Sequence[str], classes: Sequence[str], several: bool) -> np.ndarray:
    """(n, K) which classes are named."""
    if not several:
        return np.array([[name == text for name in classes] for text in texts])
    rows = [text.split(TOGETHER) for text in texts]
    return np.array([[name in row for name in classes] for row in rows])


MAKERS: Mapping[str, Callable[[_Answers], Known]] = {
    "classify": _classify,
    "segment": _segment,
    "regress": _regress,
    "reconstruct": _reconstruct,
}


def text(document: Mapping[str, Any]) -> str:
    """A comparison in lines for people."""
    units = f"{document['units']} units ({document['unit']})"
    lines = [f"{document['metric']}: paired over {units}"]
    for key, runs in zip(("a", "b"), document["seeds"], strict=True):
        lines.append(f"  {key:<12}{_line(document[key])}   {runs} run{'s' * (runs != 1)}")
    lines.append(f"  {'a - b':<12}{_line(document['difference'])}")
    if document["p"] is not None:
        lines.append(f"  p {document['p']:.4f} that other units would show no difference")
    if str(document["metric"]).partition(".")[0] in LOWER_IS_BETTER:
        lines.append("  lower is better")
    return "\n".join(lines)


def _line(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "undefined"
    low, high = entry["low"], entry["high"]
    return f"{entry['value']:.4f}" + ("" if low is None else f"   [{low:.4f}, {high:.4f}]")
