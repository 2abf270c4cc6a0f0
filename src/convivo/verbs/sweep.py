"""train --sweep: the same training under different settings, judged by validation alone.

Each trial is a run folder `RUN/trial_I` that never looks at the test part. The best one then
becomes RUN itself, and is measured on the test part: once.
"""

import shutil
import time as clock
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convivo.data.inspection import Inspection
from convivo.errors import PlanError, UsageError
from convivo.files import read_json, write_json
from convivo.progress import Progress
from convivo.verbs.budget import Budget
from convivo.verbs.road import inspect_for, train_in
from convivo.verbs.run import Run
from convivo.verbs.search_space import (
    Space,
    as_values,
    distributions,
    space_of,
    suggested,
    usual_space,
)
from convivo.verbs.wishes import settings_of

FILE = "sweep.json"
FINISHING_SECONDS = 15.0
AT_RANDOM = 5  # trials before earlier ones tell where to look
# what a trial leaves that is not the run's: it was measured on validation
ITS_OWN = ("evaluation.json", "predictions.csv", "report.html", "receipt.json", ".lock")

Trials = list[dict[str, Any]]


def has_sweep(path: Path) -> bool:
    """Whether a folder is that of a sweep, finished or not."""
    return (path / FILE).is_file()


def sweep(given: dict[str, Any], budget: Budget) -> Run:
    """Train the trials that are not there yet, then measure the best of them.

    Args:
        given: the arguments of `train`.
    Returns:
        The best trial as the run in `out`.
    Raises:
        UsageError: Optuna is not installed, no trial, or other trials than the folder holds.
        PlanError: no trial could be trained. Otherwise as `train`.
    """
    path = Path(given["out"])
    _must_have_optuna()
    trials = _told(path, given)
    wish = settings_of(given)
    inspection = inspect_for(given, wish, budget, again=bool(trials))
    space = space_of(given["search"]) if given["search"] else usual_space(inspection.index.task)
    say = Progress("", 1, quiet=given["quiet"]).say
    try:
        for number in range(len(trials), given["sweep"]):
            values = _next(space, trials, given["seed"])
            say(f"trial {number} of {given['sweep']}: {_words(values)}")
            share = budget.share(given["sweep"] - number, FINISHING_SECONDS)
            row = _trial(path, number, values, given, share, inspection)
            trials.append(row)
            write_json(path / FILE, _document(given, space, trials))
            say(f"trial {number}: " + (row["error"] or f"validation score {row['score']:.4f}"))
    finally:
        if any(path.glob("trial_*/plan.json")):  # what can be gone on with
            write_json(path / FILE, _document(given, space, trials))
    return _finished(path, given, budget, trials, inspection)


def _must_have_optuna() -> None:
    if find_spec("optuna") is None:
        remedy = "Install it: pip install 'convivo[sweep]'"
        raise UsageError("--sweep", "optuna must be installed", "no package optuna", remedy)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _told(path: Path, given: dict[str, Any]) -> Trials:
    """The trials of an earlier process; completes `given` by what it was asked.

    Raises:
        UsageError: none or less than none are asked for, or the folder holds something else.
    """
    if not has_sweep(path):
        if given["sweep"] is None or given["sweep"] < 1:
            got = "nothing" if given["sweep"] is None else given["sweep"]
            raise UsageError("--sweep", "at least one trial", got, "Give for example --sweep 10")
        if path.exists() and (path.is_file() or any(path.iterdir())):
            remedy = "Name another folder"
            raise UsageError(path, "--out must be new or empty", "a folder in use", remedy)
        return []
    told = read_json(path / FILE)
    if not given["resume"]:
        remedy = "Name another folder, or add --resume to go on with the trials that are missing"
        raise UsageError(path, "--out must be new or empty", "a folder in use", remedy)
    if (path / "receipt.json").exists() and (given["sweep"] or 0) > told["asked"]:
        rule = "a finished sweep stays as it is: its best was measured on the test part"
        raise UsageError(path, rule, f"--sweep {given['sweep']}", "Name another folder")
    given["sweep"] = max(given["sweep"] or 0, told["asked"])
    given["search"] = given["search"] or told["search"]
    if list(given["search"]) != told["search"] or given["seed"] != told["seed"]:
        rule = f"the folder's sweep searches {', '.join(told['search']) or 'the usual'}"
        got = f"{', '.join(given['search']) or 'the usual'}, seed {given['seed']}"
        raise UsageError(path, f"{rule}, seed {told['seed']}", got, "Repeat its options")
    return told["trials"]


def _next(space: Space, trials: Trials, seed: int) -> dict[str, str]:
    """What to try after these trials: it follows from them and the seed, in whatever process.

    By a tree of Parzen estimators (Bergstra et al. 2011), the first five at random.
    """
    import optuna

    sampler = optuna.samplers.TPESampler(seed=seed + len(trials), n_startup_trials=AT_RANDOM)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    states = optuna.trial.TrialState
    for row in trials:
        study.add_trial(
            optuna.trial.create_trial(
                params=as_values(space, row["settings"]), distributions=distributions(space),
                value=row["score"], state=states.FAIL if row["score"] is None else states.COMPLETE,
            )
        )  # fmt: skip
    return suggested(space, study.ask())


def _trial(
    path: Path,
    number: int,
    values: Mapping[str, str],
    given: dict[str, Any],
    budget: Budget,
    inspection: Inspection,
) -> dict[str, Any]:
    """One training, measured on validation; one that cannot be done is told, and others go on."""
    own = [f"{key}={value}" for key, value in values.items()]
    asked = given | {"settings": (*given["settings"], *own), "resume": True}
    row: dict[str, Any] = {"number": number, "settings": dict(values), "score": None, "error": None}
    try:
        run, _ = train_in(
            path / f"trial_{number}", asked, budget, inspection=inspection, part="val"
        )
    except PlanError as error:
        return row | {"error": str(error)}
    return row | {"score": run.plan["measured"]["best_score"]}


def _document(given: Mapping[str, Any], space: Space, trials: Trials) -> dict[str, Any]:
    scored = [row for row in trials if row["score"] is not None]
    best = max(scored, key=lambda row: row["score"])["number"] if scored else None
    return {
        "schema": 1, "asked": given["sweep"], "seed": given["seed"],
        "search": list(given["search"]), "keys": list(space), "best": best, "trials": trials,
    }  # fmt: skip


def _finished(
    path: Path, given: dict[str, Any], budget: Budget, trials: Trials, inspection: Inspection
) -> Run:
    """The best trial's files as those of the run, and its first look at the test part.

    Raises:
        PlanError: every trial failed.
    """
    best = read_json(path / FILE)["best"]
    if best is None:
        rule, remedy = "a trial that can be trained", "Search other values, or allow more"
        raise PlanError("--sweep", rule, trials[-1]["error"], remedy)
    trial = path / f"trial_{best}"
    if not (path / "plan.json").exists():
        left_out = shutil.ignore_patterns("plan.json", *ITS_OWN)
        shutil.copytree(trial, path, ignore=left_out, dirs_exist_ok=True)
        shutil.copy2(trial / "plan.json", path / "plan.json")  # last: it says the others are there
    given = given | {"resume": True}
    # it is trained
    none = None if budget.seconds is None else 0.0
    rest = Budget(clock.monotonic(), none, budget.ram, budget.vram)
    return train_in(path, given, rest, inspection=inspection)[0]


def _words(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in values.items())
