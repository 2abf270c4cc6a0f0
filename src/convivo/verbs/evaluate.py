"""evaluate: a run's best weights measured on its test or validation part, or on other data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convivo.data.inspection import Inspection, inspect_data
from convivo.data.objects_found import must_tell_apart
from convivo.data.sample import Index
from convivo.data.split import Split
from convivo.errors import DataError, ReadError, UsageError
from convivo.files import write_json
from convivo.verbs.measure import headline, measure
from convivo.verbs.pooling import fold_runs, measure_fold, pooled
from convivo.verbs.prediction_memory import hold_little, memory_cap
from convivo.verbs.run import Run, as_run
from convivo.verbs.setup import mirrored, pick_device, set_threads

if TYPE_CHECKING:
    from torch import nn

SPLITS = ("test", "val")


def evaluate(
    run: Run | str | Path,
    *,
    data: object = None,
    split: str = "test",
    ram: str | int | None = None,
    tta: bool = False,
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
    **reading: Any,
) -> dict[str, Any]:
    """Measure a run.

    Args:
        run: a run or its folder.
        data: other data to measure on, all of its cases; default: the run's own.
        split: "test" or "val", of the run's own data. Each look at test is counted in the receipt.
        ram: memory to stay within ("2G", or bytes); default what the machine grants. Fewer items
            go through the network at once, and only if that is not enough narrower tiles.
        tta: the mean answer to each case and its mirror images (see `predict`).
        reading: how other data is to be read (`layout`, `subject`, `labels`, `positive`).
    Returns:
        The contract's evaluation document.
    Raises:
        ReadError: no data there. DataError: data of other classes. UsageError: an unknown split.
        PlanError: the memory does not hold the smallest pass of a case.
    """
    run = as_run(run)
    if split not in SPLITS:
        raise UsageError("--split", "test or val", repr(split), "Use --split test or --split val")
    if data is None and reading:
        rule = "how data is read can be said of --data only"
        raise UsageError("evaluate", rule, ", ".join(reading), "Add --data, or leave it out")
    plan = run.plan
    set_threads(threads or plan["threads"])
    if data is None and plan.get("ensemble"):
        return _out_of_fold(run, split, tta=tta, quiet=quiet)
    network = run.network.to(pick_device(device))
    network = mirrored(plan, network) if tta else network
    limit = memory_cap(ram)
    hold_little(limit)
    if data is not None:
        if plan["task"] == "generate":
            rule, remedy = "a generator is measured on its run's own data", "Leave --data out"
            raise UsageError("--data", rule, data, remedy)
        return _elsewhere(plan, network, data, reading, limit=limit, quiet=quiet)
    inspection = own_data(run)
    parts = run.folder.json("split.json")
    known = {case.id for case in inspection.cases}
    gone = [name for name in parts[split] if name not in known]
    if gone:
        got = f"{len(gone)} missing, first {gone[0]!r}"
        rule = "the cases of the run's split must be there"
        raise ReadError(inspection.index.root, rule, got, "Restore them, or give --data")
    found = measure(
        plan, network, inspection, parts[split],
        units=parts["units"], unit=parts["unit"], name=split, limit=limit, folder=run.folder,
        quiet=quiet,
    )  # fmt: skip
    if split == "test":
        _count_look(run)
    return found.document


def _out_of_fold(run: Run, split: str, *, tta: bool, quiet: bool) -> dict[str, Any]:
    """The pooled evaluation of a run of folds, each of its networks on its own part."""
    inspection = own_data(run)
    runs = fold_runs(run)
    splits = [Split.from_document(one.folder.json("split.json")) for one in runs]
    parts = [measure_fold(one, inspection, split, tta=tta, quiet=quiet) for one in runs]
    if split == "test":
        _count_look(run)
    return pooled(run.plan, inspection, splits, parts, split).document


def own_data(run: Run) -> Inspection:
    """The run's data set, read as it was for the training.

    Raises:
        ReadError: it is not there any more, or was given in Python.
    """
    wish = run.folder.config().get("data", {})
    if not wish.get("path"):
        rule = "the run must know where its data is"
        raise ReadError(run.path, rule, "a data set given in Python", "Give --data")
    return inspect_data(
        Path(wish["path"]), task=wish.get("task"), layout=wish.get("layout"),
        subject=wish.get("subject"), labels=wish.get("labels"), positive=wish.get("positive"),
        instances=_instances(run.plan), compared=0,
    )  # fmt: skip


def _elsewhere(
    plan: Mapping[str, Any],
    network: "nn.Module",
    data: object,
    reading: dict[str, Any],
    *,
    limit: int | None,
    quiet: bool,
) -> dict[str, Any]:
    if isinstance(data, Inspection):
        inspection = data
    elif isinstance(data, str | Path):
        told = {"task": plan["task"], "instances": _instances(plan)}
        inspection = inspect_data(Path(data), **told, **reading)
    else:
        from convivo.verbs.samples import inspection_of

        inspection = inspection_of(data, task=plan["task"], instances=_instances(plan))
    must_tell_apart(inspection.index, _instances(plan))
    classes = plan["task_fields"]["classes"]
    theirs = list(inspection.index.classes)
    apart = plan["task_fields"].get("several", False) and theirs != classes
    if apart or [c for c in theirs if c not in classes] or plan["task"] != inspection.index.task:
        rule = f"other data must have the run's classes ({', '.join(classes)})"
        raise DataError(inspection.index.root, rule, ", ".join(theirs), "Rename them with --labels")
    inspection = _with_classes(inspection, plan)
    found = measure(
        plan, network, inspection, [case.id for case in inspection.cases],
        units=inspection.units, unit=inspection.unit, name="all", limit=limit, quiet=quiet,
    )  # fmt: skip
    return found.document


def _instances(plan: Mapping[str, Any]) -> bool:
    """Whether a run tells objects apart."""
    return bool(plan["task_fields"].get("instances"))


def _with_classes(inspection: Inspection, plan: Mapping[str, Any]) -> Inspection:
    """Other data under the run's own class indices."""
    classes = tuple(plan["task_fields"]["classes"])
    index = inspection.index
    if index.classes == classes:
        return inspection
    place = {i: classes.index(name) for i, name in enumerate(index.classes)}
    cases = tuple(
        case if case.target is None else replace(case, target=place[int(case.target)])
        for case in inspection.cases
    )
    values = _stored_values(classes, index) if index.label_values else None
    index = replace(index, classes=classes, label_values=values)
    return replace(inspection, cases=cases, index=index)


def _stored_values(classes: Sequence[str], index: Index) -> tuple[int, ...]:
    """The value that stands for each of the run's classes in other data's own label maps.

    A class that is not there gets a value that no map holds.
    """
    theirs = dict(zip(index.classes, index.label_values or (), strict=True))
    unused = min(theirs.values()) - 1
    return tuple(theirs.get(name, unused - place) for place, name in enumerate(classes))


def _count_look(run: Run) -> None:
    """One more look at the test part: the receipt keeps count."""
    path = run.folder / "receipt.json"
    if path.exists():
        receipt = json.loads(path.read_text(encoding="utf-8"))
        receipt["test_evaluations"] = int(receipt.get("test_evaluations", 0)) + 1
        write_json(path, receipt)


def text(document: dict[str, Any]) -> str:
    """An evaluation in lines for people."""
    return headline(document)
