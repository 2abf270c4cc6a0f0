"""train: a folder of data in, a trained and measured network out; or one a fold."""

import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from convivo.config import duration
from convivo.errors import UsageError
from convivo.verbs.budget import Budget
from convivo.verbs.cross_validate import cross_validate, has_folds
from convivo.verbs.road import train_in
from convivo.verbs.run import Run
from convivo.verbs.sweep import has_sweep
from convivo.verbs.sweep import sweep as run_sweep
from convivo.verbs.within import limits_of


def train(
    data: object,
    *,
    out: str | Path,
    net: str | nn.Module | None = None,
    task: str | None = None,
    ram: str | int | None = None,
    vram: str | int | None = None,
    time: str | float | None = None,
    epochs: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
    sweep: int | None = None,
    search: Sequence[str] = (),
    seed: int = 0,
    settings: Sequence[str] = (),
    config: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    accept: Sequence[str] = (),
    resume: bool = False,
    plan: object = None,
    init: str | Path | Run | None = None,
    pretrain: str | None = None,
    normal: str | None = None,
    layout: str | None = None,
    subject: str | None = None,
    labels: str | None = None,
    positive: str | None = None,
    store: str | Path | None = None,
    quiet: bool = False,
) -> Run:
    """Train on a folder of data and measure the result on held-out units.

    Args:
        data: a path, an inspection, or a sequence (torch Dataset) of `Sample`s.
        out: the run folder, new or empty; with `resume` an unfinished run.
        net: a name of `networks()`, or your own module (logits out, as our networks give them).
        ram, vram: memory that the process, and the accelerator, stay within ("8G"): a batch that
            does not fit goes through in several passes, and so on (see `convivo plan`).
        time: wall clock of the whole command ("20m"); it may end a run early, and says so.
        epochs: passes over the training data; nothing timed enters the plan then.
        folds: cross-validation: each unit is held out by exactly one of so many networks, in
            `out/fold_0`, `out/fold_1` ...; `out` then pools their answers, and predicts with all of
            them. fold: only this one of them, counted from 0; the last to end pools.
        sweep: so many trainings under different settings, in `out/trial_0` ..., judged by
            validation; the best becomes the run in `out`. search: what is tried, "key=low..high" or
            "key=a|b|c" each; default learning rate and weight decay.
        settings: "key=value" overrides of the configuration. config: a TOML file of many.
        plan: a plan.json (or the plan of an earlier run) to repeat exactly, with its solution.
        init: a run, its folder, or a file of weights to start from; without `net`, a run's network.
        pretrain: "reconstruct": before the training the network learns to rebuild hidden blocks of
            the training part's images, and of unlabelled ones of the same data.
        normal: to reconstruct, the class that alone is trained on; others are anomalies to find.
        accept: codes of `error` problems to train in spite of.
        store: folder for packed data, to be found again by later runs. Without it only what is too
            much for memory is packed, into the user's cache.
    Raises:
        DataError: the data has errors. PlanError: the budget holds no step; it says the least that
            would. UsageError: a bad option. ReadError: nothing to read. Interrupted: stopped by a
            signal, state saved.
    """
    given, began = locals(), clock.monotonic()
    seconds = duration(time) if isinstance(time, str) else time
    limits = limits_of(ram, vram)
    budget = Budget(began, seconds, limits.ram, limits.vram)
    if sweep is not None or search or has_sweep(Path(out)):
        _must_be_one(given)
        return run_sweep(given, budget)
    if folds is not None or fold is not None or has_folds(Path(out)):
        return cross_validate(given, budget)
    return train_in(Path(out), given, budget)[0]


def _must_be_one(given: dict[str, Any]) -> None:
    """Refuse a sweep together with what settles or repeats its trainings.

    Raises:
        UsageError: folds, or a plan to repeat.
    """
    for name in ("folds", "fold", "plan"):
        if given[name] is not None:
            rule, remedy = "a sweep decides on one split and plans anew", f"Leave --{name} out"
            raise UsageError("--sweep", rule, f"--{name}", remedy)
