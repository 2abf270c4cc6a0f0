"""compare: two sides, each a run or several seeds of one, on the same test cases, unit by unit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convivo.errors import DataError, UsageError, nearest_name
from convivo.metrics.intervals import SHARE, UNBOUNDED, Bounds
from convivo.metrics.paired import Weighted, compare_sides
from convivo.verbs.run import Run, as_run
from convivo.verbs.unit_metrics import Answers, answers_of, metrics_of

OPEN_BOUNDS: Mapping[str, Bounds] = {
    "mae": (0.0, np.inf),
    "rmse": (0.0, np.inf),
    "mse": (0.0, np.inf),
    "r2": (-np.inf, 1.0),
    "psnr": UNBOUNDED,
    "ssim": (-1.0, 1.0),
}
LOWER_IS_BETTER = ("mae", "rmse", "mse")


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
    sides = [[answers_of(as_run(run)) for run in _several(side)] for side in (a, b)]
    if not all(sides):
        got = f"{len(sides[0])} and {len(sides[1])} runs"
        raise UsageError("compare", "each side has at least one run", got, "Name both sides")
    first = sides[0][0]
    for other in (run for side in sides for run in side):
        _must_agree(first, other)
    named = metric or str(first.run.evaluation["score_name"])
    mine, theirs = ([_metric(run, named) for run in side] for side in sides)
    bounds = OPEN_BOUNDS.get(named.partition(".")[0], SHARE)
    found = compare_sides(mine, theirs, len(first.units), bounds=bounds, seed=seed)
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


def _must_agree(first: Answers, other: Answers) -> None:
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


def _metric(answers: Answers, name: str) -> Weighted:
    """A run's metric by how often each unit counts.

    Raises:
        UsageError: none of that name can be compared.
    """
    known = metrics_of(answers)
    if name not in known:
        task = answers.run.plan["task"]
        rule, near = f"a metric of runs that {task}, unit by unit", nearest_name(name, known)
        raise UsageError("--metric", rule, repr(name), near)
    return known[name]()


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
