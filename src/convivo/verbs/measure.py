"""Measure a network on named cases, and write what was found as the contract's documents."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from convivo.data.inspection import Inspection
from convivo.data.sample import Problem, Sample
from convivo.evaluation.evaluate import Evaluation, evaluate_cases
from convivo.files import plain, write_text
from convivo.inference.fitting import Fit, Fitting
from convivo.metrics.classification import calibration_curve, roc_curves
from convivo.progress import Progress
from convivo.verbs.memory_words import costs_line
from convivo.verbs.observed import observed_evaluation
from convivo.verbs.setup import build_predictor, build_preparation, build_task

LEAVES_OUT = ("missing", "unreadable", "truncated")
NARROW = (
    "Subjects are not known here, so the unit of the split and of the intervals is the {unit}: "
    "one subject may be on both sides of the split, and the intervals may be too narrow."
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found.

    document: the contract's evaluation. evaluation: the answers it was made from. fit: the
    predictor that stayed within the memory, for more of the same.
    """

    document: dict[str, Any]
    evaluation: Evaluation
    fit: Fit


def measure(
    plan: Mapping[str, Any],
    network: nn.Module,
    inspection: Inspection,
    ids: Sequence[str],
    *,
    units: Mapping[str, str],
    unit: str,
    name: str,
    limit: int | None = None,
    training: bool = False,
    lasting: int = 0,
    quiet: bool = False,
) -> Measured:
    """Evaluate the cases `ids`, the part `name` of the split, units as the split has them.

    Args:
        limit: bytes that the process stays within; None for any. training: it has trained before.
        lasting: bytes of data that it still holds.
    Raises:
        PlanError: not even the smallest pass of a case fits.
    """
    task = build_task(plan)
    cases = {case.id: case for case in inspection.cases}

    def load(case_id: str) -> Sample:
        return replace(inspection.load(cases[case_id]), unit=units.get(case_id, case_id))

    bar = Progress("evaluating", len(ids), unit="cases", quiet=quiet)
    predictor = build_predictor(plan, network.eval(), task, say=bar.say)
    fitting = Fitting(
        predictor=predictor, limit=limit, training=training, lasting=lasting, say=bar.say
    )
    with observed_evaluation(network, predictor.precision) as costs:
        evaluation = evaluate_cases(
            predictor, load, ids, build_preparation(plan),
            seed=int(plan["seed"]), fit=fitting.to, tick=bar.update,
        )  # fmt: skip
    bar.say(costs_line({"memory": costs["predicted"], "measured": costs["measured"]}, "evaluation"))
    document = {
        "schema": 1,
        "task": task.name,
        "split": name,
        "cases": len(ids),
        "unit": unit,
        "units": len({units.get(i, i) for i in ids}),
        "excluded": [p.path for p in inspection.problems if _leaves_out(p)],
        "metrics": evaluation.metrics,
        "predicted": costs["predicted"],
        "measured": costs["measured"],
        "score_name": "j_kappa" if "j_kappa" in evaluation.metrics else task.score_name,
        "per_case": [row_of(task, answer) for answer in evaluation.answers],
        "notes": [] if unit == "subject" else [NARROW.format(unit=unit)],
    }  # fmt: skip
    if task.output == "table":
        document |= _curves(evaluation, task.classes, getattr(task, "positive", 1))
    return Measured(document=plain(document), evaluation=evaluation, fit=fitting.to)


def _leaves_out(found: Problem) -> bool:
    return found.severity == "warning" and found.code.startswith(LEAVES_OUT)


def _curves(evaluation: Evaluation, classes: Sequence[str], positive: int) -> dict[str, Any]:
    probabilities = np.concatenate([a["probabilities"] for a in evaluation.answers])
    targets = np.concatenate([a["targets"] for a in evaluation.answers])
    return {
        "items": len(targets),
        "roc": roc_curves(probabilities, targets, classes, positive=positive),
        "calibration": calibration_curve(probabilities, targets),
    }


def row_of(task: Any, answer: Mapping[str, Any]) -> dict[str, Any]:
    """One case in a line: Dice per class, or how many of its items were right."""
    row: dict[str, Any] = {"id": answer["id"], "unit": answer["unit"]}
    if task.output == "map":
        statistics = answer["statistics"]
        dice = {task.classes[c]: statistics[c]["dice"] for c in statistics}
        known = [value for value in dice.values() if not np.isnan(value)]
        row["dice"] = float(np.mean(known)) if known else None
        return row | {f"dice.{name}": value for name, value in dice.items()}
    predicted = answer["probabilities"].argmax(1)
    right = predicted == answer["targets"]
    row |= {"items": len(right), "accuracy": float(right.mean()) if len(right) else None}
    if len(right) == 1:
        row |= {
            "truth": task.classes[int(answer["targets"][0])],
            "prediction": task.classes[int(predicted[0])],
            "probability": float(answer["probabilities"].max()),
        }
    return row


def write_predictions(path: Path, measured: Measured, plan: Mapping[str, Any]) -> None:
    """predictions.csv of a run: a row an item, or Dice a case."""
    task = build_task(plan)
    names = list(task.classes)
    rows: list[list[Any]]
    if task.output == "map":
        head = ["case", *[f"dice.{name}" for name in names[1:]]]
        rows = [
            [row["id"], *[row.get(f"dice.{name}") for name in names[1:]]]
            for row in measured.document["per_case"]
        ]
    else:
        head = ["case", "sample", "truth", "prediction", *[f"p_{name}" for name in names]]
        rows = [line for a in measured.evaluation.answers for line in _lines(a, names)]
        if all(row[1] == "" for row in rows):
            head, rows = [*head[:1], *head[2:]], [[*row[:1], *row[2:]] for row in rows]
    write_text(path, csv_text(head, rows))


def _lines(answer: Mapping[str, Any], names: list[str]) -> list[list[Any]]:
    samples = answer.get("samples", [""] * len(answer["targets"]))
    return [
        [answer["id"], sample, names[int(target)], names[int(p.argmax())], *[f"{v:.6f}" for v in p]]
        for sample, target, p in zip(
            samples, answer["targets"], answer["probabilities"], strict=True
        )
    ]


def csv_text(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV, quoted where needed; None as an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def headline(document: Mapping[str, Any]) -> str:
    """The metrics in lines for people, the score first."""
    metrics = document["metrics"]
    first = document.get("score_name")
    order = ([first] if first in metrics else []) + [name for name in metrics if name != first]
    lines = []
    for name in order:
        entry = metrics[name]
        if not isinstance(entry, Mapping) or isinstance(entry.get("value"), list | type(None)):
            continue
        # a surface Dice is a share; the unit beside it is its tolerance's
        unit = f" {entry['unit']}" if entry.get("unit") and "tolerance" not in entry else ""
        low, high = entry.get("low"), entry.get("high")
        bounds = f"   [{low:.4f}, {high:.4f}]" if low is not None and high is not None else ""
        lines.append(f"  {name:<24} {entry['value']:.4f}{unit}{bounds}")
    cases = f"{document['cases']} {document['split']} cases"
    head = f"{document['task']}: {cases}, {document['units']} units ({document['unit']})"
    return "\n".join([head, *lines])
