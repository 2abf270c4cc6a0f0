"""The end of a training: the best weights measured once on the test part, and the report."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.files import write_json
from convivo.progress import Progress
from convivo.reporting.content import CasePicture, Report
from convivo.reporting.page import write_report
from convivo.training.checkpoint import save_weights
from convivo.verbs.folder import Folder
from convivo.verbs.made_pictures import made_examples
from convivo.verbs.measure import Measured, measure, write_predictions
from convivo.verbs.memory_words import costs_line
from convivo.verbs.parts import Parts
from convivo.verbs.pictures import best_and_worst
from convivo.verbs.prediction_memory import cap_of_run
from convivo.verbs.pretraining import pretrain_notes
from convivo.verbs.receipt import make_receipt
from convivo.verbs.settling import settled
from convivo.verbs.setup import load_weights

ENDED = {
    "clock": "The clock ended the training early: after step {step} of {steps}.",
    "control": "The training was stopped by its control file after step {step} of {steps}.",
    "early-stopping": "The training ended early, after step {step} of {steps}: "
    "validation had not improved for {patience} validations.",
}


def finish(
    folder: Folder,
    parts: Parts,
    inspection: Inspection,
    split: Split,
    *,
    ended: str,
    began: float,
    quiet: bool,
    part: Literal["test", "val"] = "test",
) -> Measured:
    """Evaluate a part, write evaluation.json, predictions.csv, report.html, last the receipt."""
    counters = parts.state.counters
    network = parts.state.network
    weights = folder / "weights.safetensors"
    if counters.best_score is None:  # ended before its first validation
        save_weights(weights, parts.state.shown)
    load_weights(network, weights)
    parts.state.average = None  # what is kept of it lies in the network now
    parts.state.zero_grad()
    for optimizer in parts.state.optimizers:
        optimizer.state.clear()  # saved, and not needed to evaluate
    plan = dict(parts.plan) | {"measured": _measured(folder, parts, ended)}
    plan["measured"] |= settled(plan, network, inspection, split.val)
    write_json(folder / "plan.json", plan)
    say = Progress("", 1, quiet=quiet).say
    say(costs_line(plan))
    unit = split.unit
    measured = measure(
        plan,
        network,
        inspection,
        getattr(split, part),
        units=split.units,
        unit=unit,
        name=part,
        limit=cap_of_run(plan),
        training=True,
        lasting=parts.stored,
        folder=folder,
        quiet=quiet,
    )
    measured.document["notes"] += pretrain_notes(plan, len(split.train))
    measured.document["notes"] += _notes(plan, parts, ended)
    write_json(folder / "evaluation.json", measured.document)
    write_predictions(folder / "predictions.csv", measured, plan)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    seconds = time.monotonic() - began
    receipt = make_receipt(
        folder, inspection, seed=plan["seed"], started=started, seconds=seconds,
        looks=int(part == "test"),
    )  # fmt: skip
    report(
        folder, plan, inspection, measured, best_and_worst(plan, inspection, measured), receipt,
        made_examples(plan, network, inspection, measured),
    )  # fmt: skip
    receipt["seconds"] = round(time.monotonic() - began, 1)
    write_json(folder / "receipt.json", receipt)
    return measured


def _measured(folder: Folder, parts: Parts, ended: str) -> dict[str, Any]:
    """What the training took, and how it ended."""
    counters = parts.state.counters
    return dict(folder.json("plan.json").get("measured", {})) | {
        "steps": counters.step,
        "best_step": counters.best_step,
        "best_score": counters.best_score,
        "skipped_steps": counters.skipped,
        "precision": counters.precision,
        "eased": list(counters.eased),
        "ended": ended,
    }


def _notes(plan: dict[str, Any], parts: Parts, ended: str) -> list[str]:
    counters = parts.state.counters
    notes = []
    if ended in ENDED:
        facts = {"step": counters.step, "steps": plan["steps"], "patience": plan["patience"]}
        notes.append(ENDED[ended].format(**facts))
    if counters.skipped:
        notes.append(f"{counters.skipped} steps with non-finite gradients were skipped.")
    notes += [f"Memory ran short in the training: {way}." for way in counters.eased]
    if counters.precision != plan["precision"]:
        notes.append(f"{plan['precision']} kept failing; the training went on in fp32.")
    return notes


def report(
    folder: Folder,
    plan: dict[str, Any],
    inspection: Inspection,
    measured: Measured,
    pictures: tuple[list[CasePicture], list[CasePicture]],
    receipt: dict[str, Any],
    examples: Sequence[CasePicture] = (),
) -> None:
    """Write report.html; pictures: of the best and the worst cases."""
    best, worst = pictures
    accepted = folder.config().get("data", {}).get("accept", [])
    notes = [f"Trained in spite of the problem {code}, which was waived." for code in accepted]
    write_report(
        Report(
            title=inspection.index.root.name,
            inspection=inspection.document(),
            config=folder.config(),
            plan=plan,
            split=folder.json("split.json"),
            history=history(folder),
            evaluation=measured.document,
            best=best,
            worst=worst,
            examples=examples,
            receipt=receipt,
            notes=notes,
        ),
        folder / "report.html",
    )


def history(folder: Folder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    import json

    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]
