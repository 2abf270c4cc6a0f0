"""Measure a network on named cases, and write what was found as the contract's documents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from convivo.data.inspection import Inspection
from convivo.data.prediction_table import csv_text
from convivo.data.sample import Problem, Sample
from convivo.evaluation.evaluate import Evaluation, evaluate_cases
from convivo.files import plain, write_text
from convivo.inference.fitting import Fit, Fitting
from convivo.inference.mirrored import Mirrored
from convivo.progress import Progress
from convivo.tasks.task import Task
from convivo.training.allocator import return_memory
from convivo.training.process_memory import held_now
from convivo.verbs.features import FILE as FEATURES_FILE
from convivo.verbs.features import features_of, load_features
from convivo.verbs.folder import Folder
from convivo.verbs.imitation import measure_imitation
from convivo.verbs.memory_words import costs_line
from convivo.verbs.observed import observed_evaluation
from convivo.verbs.setup import build_predictor, build_preparation, build_task

LEAVES_OUT = ("missing", "unreadable", "truncated")
ASKED = "Each answer is the mean over mirror images: {} passes of the network instead of one."
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
    folder: Folder | None = None,
    quiet: bool = False,
) -> Measured:
    """Evaluate the cases `ids`, the part `name` of the split, units as the split has them.

    Args:
        limit: bytes that the process stays within; None for any. training: it has trained before.
        lasting: bytes of data that it still holds. folder: of the run, which a generator's
        features and training cases are taken from.
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
        predictor=predictor,
        limit=limit,
        training=training,
        lasting=lasting,
        say=bar.say,
        sparing=return_memory,
        held=held_now,
    )
    with observed_evaluation(network, predictor.precision) as costs:
        if task.output == "samples":
            evaluation = _imitation(plan, task, network, load, ids, folder, bar)
        else:
            evaluation = evaluate_cases(
                predictor, load, ids, build_preparation(plan),
                seed=int(plan["seed"]), fit=fitting.to, tick=bar.update,
            )  # fmt: skip
    bar.say(costs_line({"memory": costs["predicted"], "measured": costs["measured"]}, "evaluation"))
    document = document_of(
        task, inspection, evaluation, ids, units=units, unit=unit, name=name, costs=costs
    )
    if isinstance(network, Mirrored):
        document["notes"].append(ASKED.format(network.passes))
    return Measured(document=document, evaluation=evaluation, fit=fitting.to)


def document_of(
    task: Task,
    inspection: Inspection,
    evaluation: Evaluation,
    ids: Sequence[str],
    *,
    units: Mapping[str, str],
    unit: str,
    name: str,
    costs: Mapping[str, Any],
) -> dict[str, Any]:
    """The contract's evaluation of the cases `ids`; costs: of memory, predicted and measured."""
    metrics, answers = evaluation.metrics, evaluation.answers
    score = "j_kappa" if "j_kappa" in metrics else task.score_name
    document = {
        "schema": 1,
        "task": task.name,
        "split": name,
        "cases": len(ids),
        "unit": unit,
        "units": len({units.get(i, i) for i in ids}),
        "excluded": [p.path for p in inspection.problems if _leaves_out(p)],
        "metrics": metrics,
        "predicted": costs["predicted"],
        "measured": costs["measured"],
        "score_name": score,
        "validated_by": score,
        "per_case": [{"id": a["id"], "unit": a["unit"]} | task.row(a) for a in answers],
        "notes": [] if unit == "subject" else [NARROW.format(unit=unit)],
    }  # fmt: skip
    return plain(document | task.details(answers))


def _imitation(
    plan: Mapping[str, Any],
    task: Task,
    network: nn.Module,
    load: Callable[[str], Sample],
    ids: Sequence[str],
    folder: Folder | None,
    bar: Progress,
) -> Evaluation:
    """A generator against the cases `ids`, in the features that its run holds."""
    assert folder is not None, "a generator is measured in its run's folder"
    judge = load_features(plan, folder / FEATURES_FILE)
    found = measure_imitation(
        plan, task, network, features_of(judge), load,
        train=folder.json("split.json")["train"], test=ids,
        preparation=build_preparation(plan), tick=bar.update,
    )  # fmt: skip
    held = {key: plan["features"][key] for key in ("network", "trained", "sha256")}
    for name in ("fid", "fid_floor"):
        found.metrics[name] |= {"features": held}
    return found


def _leaves_out(found: Problem) -> bool:
    return found.severity == "warning" and found.code.startswith(LEAVES_OUT)


def write_predictions(path: Path, measured: Measured, plan: Mapping[str, Any]) -> None:
    """predictions.csv of a run: a row an item; columns that say nothing are left out."""
    task = build_task(plan)
    lines = [(a["id"], *line) for a in measured.evaluation.answers for line in task.lines(a)]
    placed = any(line[1] != "" for line in lines)
    told = any(line[2] != "" for line in lines)

    def kept(case: object, sample: object, truth: object) -> list[object]:
        return [case, *[sample] * placed, *[truth] * told]

    head = [*kept("case", "sample", "truth"), *task.columns]
    rows = [[*kept(*line[:3]), *line[3]] for line in lines]
    write_text(path, csv_text([str(name) for name in head], rows))


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
