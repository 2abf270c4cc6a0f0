"""train --folds: one network a fold, each unit held out by exactly one; then pooled as one run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from convivo.data.folds import make_folds
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.errors import UsageError
from convivo.files import read_json, write_json
from convivo.planning.machine import this_machine
from convivo.progress import Progress
from convivo.training.easing import release_memory
from convivo.training.process_memory import held_now
from convivo.verbs.assemble import Fold, given_plan
from convivo.verbs.budget import Budget
from convivo.verbs.facts import facts_of
from convivo.verbs.folder import Folder
from convivo.verbs.measure import Measured
from convivo.verbs.narrowing import TASKS
from convivo.verbs.pooling import pool
from convivo.verbs.road import inspect_for, train_in
from convivo.verbs.run import Run
from convivo.verbs.wishes import settings_of, with_plan

FILE = "folds.json"
FEWEST = 2
POOLING_SECONDS = 10.0


def has_folds(path: Path) -> bool:
    """Whether a folder is that of a training in folds, finished or not."""
    return (path / FILE).is_file()


def cross_validate(given: dict[str, Any], budget: Budget) -> Run:
    """Train the folds that are asked for and not there yet, and pool them once all are.

    Args:
        given: the arguments of `train`.
    Returns:
        The pooled run; with `fold`, or while others are missing, the run of a fold.
    Raises:
        UsageError: a fold that there is not, another number of folds than in the folder, or
            network against network. Otherwise as `train`.
    """
    path = Path(given["out"])
    asked = _asked(path, given)
    wish, own = settings_of(given), given["net"]
    if given["plan"] is not None:
        wish = with_plan(wish, given_plan(given["plan"]))
    inspection = inspect_for(given, wish, budget, again=has_folds(path))
    _must_predict(inspection)
    splits = make_folds(inspection, asked["folds"], seed=wish.train.seed)
    held = [name for split in splits for name in split.test]
    facts = facts_of(inspection, held)
    numbers = range(asked["folds"]) if given["fold"] is None else [given["fold"]]
    found: dict[int, Measured] = {}
    run, others = None, _held_by_others()
    for place, number in enumerate(numbers):
        given, held = as_wide(given, path), held_now() - others
        share = budget.share(len(numbers) - place, POOLING_SECONDS)
        run, measured = _train_fold(
            path, number, given, share, inspection,
            Fold(split=splits[number], facts=facts, held=held), asked,
        )  # fmt: skip
        if measured is not None:
            found[number] = measured
    runs = [path / f"fold_{number}" for number in range(asked["folds"])]
    if not all(Folder(one).finished for one in runs):
        assert run is not None, "a fold was trained"
        return run
    network = own if isinstance(own, nn.Module) else None
    if not Folder(path).finished:
        pool(
            path, [Run(one, network=network) for one in runs], inspection, splits, found,
            began=budget.began, quiet=given["quiet"],
        )  # fmt: skip
    return Run(path, network=network) if given["fold"] is None else Run(runs[given["fold"]])


def _asked(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """What folds.json says, or will say: number of folds, seed, data.

    Raises:
        UsageError: numbers that do not fit, or a folder that is something else.
    """
    folds, fold = given["folds"], given["fold"]
    told = read_json(path / FILE) if has_folds(path) else None
    if told is not None and folds is None:
        folds = told["folds"]
    if folds is None or folds < FEWEST:
        rule, got = f"--folds is at least {FEWEST}", "nothing" if folds is None else folds
        raise UsageError("train", rule, got, "Give for example --folds 5")
    if fold is not None and not 0 <= fold < folds:
        rule, remedy = f"--fold is one of 0 to {folds - 1}", "Folds are counted from 0"
        raise UsageError("train", rule, fold, remedy)
    asked = {"schema": 1, "folds": folds, "seed": given["seed"]}
    if told is None:
        if path.is_dir() and any(path.iterdir()):
            remedy = "Name another folder"
            raise UsageError(path, "--out must be new or empty", "a folder in use", remedy)
        return asked
    if {key: told.get(key) for key in asked} != asked:
        rule = f"the folder holds {told['folds']} folds of seed {told['seed']}"
        got = f"--folds {folds} --seed {given['seed']}"
        raise UsageError(path, rule, got, "Repeat its options, or name another folder")
    if fold is None and not given["resume"]:
        remedy = "Name another folder, or add --resume to train the folds that are missing"
        raise UsageError(path, "--out must be new or empty", "a folder in use", remedy)
    return asked


def _must_predict(inspection: Inspection) -> None:
    """Refuse what answers no case, so that no answers could be pooled."""
    if inspection.index.task == "generate":
        rule = "folds are for tasks that answer each case"
        raise UsageError("--folds", rule, "the task generate", "Leave --folds out")


def _train_fold(
    path: Path,
    number: int,
    given: dict[str, Any],
    budget: Budget,
    inspection: Inspection,
    fold: Fold,
    asked: dict[str, Any],
) -> tuple[Run, Measured | None]:
    """One fold; folds.json appears with the first of them that has a plan."""
    say = Progress("", 1, quiet=given["quiet"]).say
    say(f"fold {number} of 0 to {asked['folds'] - 1}: {_parts(fold.split)}")
    try:
        return train_in(path / f"fold_{number}", given, budget, inspection=inspection, fold=fold)
    finally:
        release_memory()
        if (path / f"fold_{number}" / "plan.json").exists() and not has_folds(path):
            write_json(path / FILE, asked)


def as_wide(given: dict[str, Any], path: Path) -> dict[str, Any]:
    """The arguments of a fold that takes the network which the first of the folds came to.

    Where the time settles its cost it is one for all: they predict as one network.
    """
    plans = sorted(path.glob("fold_*/plan.json"))
    wish = settings_of(given)
    if not plans or wish.net.name is not None or wish.net.width is not None:
        return given
    plan = read_json(plans[0])
    if plan["task"] not in TASKS:
        return given
    network = plan["network"]
    words, options = [f"net.width={network['width']}"], network["options"]
    words += ["net.coarse=true"] if options.get("coarse") else []
    words += [f"net.stem={options['stem']}"] if "stem" in options else []
    return given | {"settings": (*given["settings"], *words)}


def _held_by_others() -> int:
    """Bytes of the process that are neither the libraries nor a training's."""
    memory = this_machine().memory
    return max(0, held_now() - memory.library - memory.training)


def _parts(split: Split) -> str:
    return f"{len(split.train)} train, {len(split.val)} choose, {len(split.test)} are held out"
