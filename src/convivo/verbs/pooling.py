"""The folds of a cross-validation as one run: out-of-fold answers pooled, networks together."""

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from itertools import chain, zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from convivo.config import to_toml
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.evaluation.evaluate import Evaluation
from convivo.files import write_json, write_text
from convivo.reporting.content import CasePicture
from convivo.training.checkpoint import save_weights
from convivo.verbs.finish import report
from convivo.verbs.folder import Folder
from convivo.verbs.measure import Measured, document_of, measure, write_predictions
from convivo.verbs.pictures import best_and_worst
from convivo.verbs.prediction_memory import cap_of_run
from convivo.verbs.receipt import make_receipt
from convivo.verbs.run import Run
from convivo.verbs.setup import build_network, build_task, mirrored

SHOWN = 6  # pictures at either end
COSTS = ("predicted", "measured")
POOLED = (
    "Pooled over {} folds: each case was answered by the one network that had been neither trained "
    "nor chosen on its unit. What all of them answer together was not measured."
)


def pool(
    path: Path,
    runs: Sequence[Run],
    inspection: Inspection,
    splits: Sequence[Split],
    found: Mapping[int, Measured],
    *,
    began: float,
    quiet: bool,
) -> None:
    """Write the files of a run beside the folders of its folds, the receipt last.

    Its network is the ensemble of the folds' networks; its evaluation is of what each of them
    answered to the units that it had not seen. Where that is not at hand, it is measured again.

    Args:
        found: fold -> what was measured at the end of its training.
    """
    folder = Folder(path)
    folder.claim(resume=True)
    try:
        parts = [
            found.get(number) or measure_fold(run, inspection, "test", quiet=quiet)
            for number, run in enumerate(runs)
        ]
        plan = pooled_plan(runs)
        measured = pooled(plan, inspection, splits, parts)
        write_json(folder / "split.json", _split_document(splits))
        write_text(folder / "config.toml", to_toml(runs[0].folder.config()))
        _save_together(folder / "weights.safetensors", plan, runs)
        write_json(folder / "plan.json", plan)
        write_json(folder / "evaluation.json", measured.document)
        write_predictions(folder / "predictions.csv", measured, plan)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        receipt = make_receipt(
            folder, inspection, seed=plan["seed"], started=started,
            seconds=time.monotonic() - began,
        )  # fmt: skip
        report(folder, plan, inspection, measured, _pictures(runs, inspection, parts), receipt)
        write_json(folder / "receipt.json", receipt)
    finally:
        folder.release()


def fold_runs(run: Run) -> list[Run]:
    """The runs of a pooled run's folds.

    Raises:
        ReadError: one of them is gone.
    """
    count = len(run.plan["ensemble"])
    return [Run(run.path / f"fold_{number}", network=run.own) for number in range(count)]


def measure_fold(
    run: Run, inspection: Inspection, part: str, *, tta: bool = False, quiet: bool
) -> Measured:
    """A fold's own network on a part of its own split."""
    plan, split = run.plan, run.folder.json("split.json")
    network = mirrored(plan, run.network) if tta else run.network
    return measure(
        plan, network, inspection, split[part],
        units=split["units"], unit=split["unit"], name=part, limit=cap_of_run(plan),
        folder=run.folder, quiet=quiet,
    )  # fmt: skip


def pooled_plan(runs: Sequence[Run]) -> dict[str, Any]:
    """The plan of the ensemble: what the folds share, and of each what it learnt of its data."""
    plans = [dict(run.plan) for run in runs]
    rows = [
        {
            "mean": plan["preparation"]["mean"],
            "std": plan["preparation"]["std"],
            "task_fields": plan["task_fields"],
        }
        for plan in plans
    ]
    shared = {key: value for key, value in plans[0].items() if key != "measured"}
    levels = [t for plan in plans if (t := plan["measured"].get("threshold")) is not None]
    if levels:
        shared["measured"] = {"threshold": median(levels)}
    why = f"{len(runs)} folds: the answer is the mean of {len(runs)} networks' answers"
    return shared | {"ensemble": rows, "reasons": [*shared["reasons"], why]}


def pooled(
    plan: Mapping[str, Any],
    inspection: Inspection,
    splits: Sequence[Split],
    parts: Sequence[Measured],
    name: str = "test",
) -> Measured:
    """What was found in each fold as one evaluation, units resampled over all of them."""
    task = build_task(plan)
    answers = [answer for part in parts for answer in part.evaluation.answers]
    metrics = task.measure(answers, seed=int(plan["seed"]))
    evaluation = Evaluation(answers=answers, metrics=metrics)
    units = {case: unit for split in splits for case, unit in split.units.items()}
    costs = {key: _largest([part.document[key] for part in parts]) for key in COSTS}
    document = document_of(
        task, inspection, evaluation, [a["id"] for a in answers],
        units=units, unit=splits[0].unit, name=name, costs=costs,
    )  # fmt: skip
    score = document["score_name"]
    document["folds"] = [
        {
            "fold": number,
            "cases": part.document["cases"],
            "units": part.document["units"],
            score: part.document["metrics"].get(score, {}).get("value"),
        }
        for number, part in enumerate(parts)
    ]
    aside = [f"{note[0].upper()}{note[1:]}." for note in splits[0].notes[1:]]
    document["notes"] = [POOLED.format(len(parts)), *aside, *_notes(parts)]
    return Measured(document=document, evaluation=evaluation, fit=parts[0].fit)


def _notes(parts: Sequence[Measured]) -> list[str]:
    """What all folds say, once; then what single ones say, by their numbers."""
    rows = [part.document["notes"] for part in parts]
    shared = [note for note in rows[0] if all(note in row for row in rows)]
    own = [f"Fold {n}: {note}" for n, row in enumerate(rows) for note in row if note not in shared]
    return [*shared, *own]


def _largest(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of several folds' memory that of the one which took most."""
    return max(rows, key=lambda row: row.get("tensors_peak") or 0)


def _split_document(splits: Sequence[Split]) -> dict[str, Any]:
    """Every case held out once; who trained and chose is in the folders of the folds."""
    whole = Split(
        train=(), val=(), test=tuple(chain.from_iterable(split.test for split in splits)),
        unit=splits[0].unit,
        units={name: split.units[name] for split in splits for name in split.test},
        notes=("out of fold: see split.json of each fold", *splits[0].notes[1:]),
    )  # fmt: skip
    return whole.document() | {"folds": [list(split.test) for split in splits]}


def _save_together(path: Path, plan: Mapping[str, Any], runs: Sequence[Run]) -> None:
    """The weights of the ensemble."""
    network: Any = build_network(plan, deepcopy(runs[0].network))
    for member, run in zip(network.members, runs, strict=True):
        member.load_state_dict(run.network.state_dict())
    save_weights(path, network)


def _pictures(
    runs: Sequence[Run], inspection: Inspection, parts: Sequence[Measured]
) -> tuple[list[CasePicture], list[CasePicture]]:
    """The folds' best and worst in turn, each answered by its own network."""
    rows = [
        best_and_worst(run.plan, inspection, part) for run, part in zip(runs, parts, strict=True)
    ]

    def turns(place: int) -> list[CasePicture]:
        taken = chain.from_iterable(zip_longest(*(row[place] for row in rows)))
        return [picture for picture in taken if picture is not None][:SHOWN]

    return turns(0), turns(1)
