"""The live parts of a run with everything fixed: of a new one, or of one to go on with."""

import time as clock
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convivo.data.beside import unlabelled_again, with_unlabelled
from convivo.data.inspection import Inspection
from convivo.data.split import Split, make_split
from convivo.errors import PlanError, ShapeError, UsageError
from convivo.files import read_json
from convivo.planning.limits import memory_limit
from convivo.progress import Progress
from convivo.shortage import is_shortage
from convivo.training.allocator import return_memory
from convivo.training.easing import release_memory
from convivo.verbs.affording import counted_again, tell_what_stays
from convivo.verbs.budget import Budget
from convivo.verbs.choose import choose
from convivo.verbs.drafting import Draft, Ground, drafted, ground_of, repeated
from convivo.verbs.facts import facts_of
from convivo.verbs.features import FILE as FEATURES_FILE
from convivo.verbs.features import load_features
from convivo.verbs.fingerprint import Facts
from convivo.verbs.folder import Folder
from convivo.verbs.parts import Parts, build_parts
from convivo.verbs.pretraining import fix_pretraining, is_over, seconds_for, with_before
from convivo.verbs.scheduling import fix_schedule, fixed_keys
from convivo.verbs.settings import Settings
from convivo.verbs.setup import build_network, pick_device, set_threads
from convivo.verbs.starting import begin, start_entry, tell_start, with_start
from convivo.verbs.wishes import resolved_pretrain

FEATURES_SHARE = 0.1  # of the time that is left
CASE_SHARE = 1.5  # reading a test case costs what a training case does, and a margin


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One of several trainings on the same data: its split, and the facts that all of them share.

    What follows from the facts (network, grid, patch) is then the same for all.
    held: bytes that the process holds, with what the trainings before it have left.
    """

    split: Split
    facts: Facts
    held: int = 0


def fix_parts(
    inspection: Inspection,
    wish: Settings,
    budget: Budget,
    *,
    own: nn.Module | None = None,
    given: object = None,
    device: str = "auto",
    fold: Fold | None = None,
    quiet: bool = False,
) -> tuple[Parts, Split, Inspection, Settings]:
    """Split, choose, read the data, and fix the schedule.

    Args:
        own: the user's module instead of one of ours. given: a plan to repeat.
        fold: a split and facts that are settled.
    Returns:
        The parts with their complete plan, the split, the inspection with the unlabelled cases
        that are learnt from, and the settings as they were resolved.
    """
    split = make_split(inspection, seed=wish.train.seed) if fold is None else fold.split
    facts = facts_of(inspection, split.train) if fold is None else fold.facts
    name = None if own is None else type(own).__name__
    chosen, reasons = choose(facts, with_start(wish, facts), name)
    ground = ground_of(inspection, split, facts, wish, chosen, budget, own, pick_device(device))
    if given is None:
        draft, network, chosen = drafted(ground, chosen, reasons)
    else:
        draft, network = repeated(ground, given_plan(given), chosen)
    if fold is not None and (peak := (draft.get("memory") or {}).get("process_peak")):
        tell_what_stays(draft, fold.held - peak)  # less is used again
    return_memory()  # until training starts, with what lasts (`training.observation`)
    draft |= start_entry(draft, wish.net.pretrained)
    tell_start(draft, begin(network, draft))
    reading = clock.monotonic()
    with told_of_shortage(budget):
        parts = build_parts(
            draft, network, ground.every, split, device=ground.device, place=wish.data.store,
            progress=partial(_bar, quiet=quiet), more=ground.more,
            seconds=_for_features(budget, chosen, given),
        )  # fmt: skip
        parts = with_before(parts, own)
    per_case = (clock.monotonic() - reading) / max(1, len(split.train) + len(split.val))
    if own is not None and parts.judge is None:
        _must_answer(parts)
    if "steps" not in draft:
        _schedule(ground, draft, parts, chosen, per_case * CASE_SHARE * len(split.test))
    # Training starts from the plan's seed, whatever the trials before it drew.
    if own is None:
        fresh = build_network(draft).to(ground.device)
        begin(fresh, draft)
        parts.state.network.load_state_dict(fresh.state_dict())
        if parts.state.average is not None:
            parts.state.average.load_state_dict(fresh.state_dict())
    parts.state.counters.precision = draft["precision"]
    return parts, split, ground.every, resolved(chosen, draft)


def _schedule(
    ground: Ground, draft: Draft, parts: Parts, chosen: Settings, reading_tests: float
) -> None:
    """Fill in the plan's steps and number format, from epochs or from the time that is left."""
    budget = ground.budget
    timed = chosen.train.epochs is None
    before = seconds_for(parts, budget, timed=timed)
    budget.reserve += before
    fixed = fix_schedule(parts, chosen, budget, reading_tests, len(ground.split.test))
    budget.reserve -= before
    draft |= fixed_keys(parts, fixed, chosen)
    fix_pretraining(parts, draft, budget, timed=timed)
    if draft["precision"] != "fp32":  # what it was counted in until now
        network, limit = parts.state.network, ground.bounds.limits.ram
        keeping = ground.keeping_of(draft, network)
        draft |= counted_again(draft, network, keeping, limit, tried=fixed.tried)
    release_memory()  # of the trials: training starts with what lasts


def _for_features(budget: Budget, chosen: Settings, given: object) -> float | None:
    """Seconds that the network may take in whose features a generator is judged.

    None where nothing may depend on the clock.
    """
    timed = budget.seconds is not None and chosen.train.epochs is None and given is None
    return FEATURES_SHARE * budget.left() if timed else None


def resolved(chosen: Settings, plan: dict[str, Any]) -> Settings:
    """The settings with what the plan fixed filled in, for config.toml."""
    names = ("steps", "warmup", "patience", "validate_every", "precision", "threads", "batch")
    train = {name: plan[name] for name in names}
    seen = plan["preparation"]
    grey = {"mean": list(seen["mean"]), "std": list(seen["std"])} if seen["mean"] else {}
    start = {"pretrained": plan["init"]["path"]} if plan.get("init") else {}
    return chosen.model_copy(
        update={
            "net": chosen.net.model_copy(update=start),
            "train": chosen.train.model_copy(update=train),
            "input": chosen.input.model_copy(update=grey),
            "pretrain": resolved_pretrain(plan),
        }
    )


def _must_answer(parts: Parts) -> None:
    """Try the user's own module on one batch: its answer must have the task's shape.

    Raises:
        ShapeError: it has not.
    """
    images, _ = parts.tensors(0)
    with torch.inference_mode():
        answer = parts.state.network.eval()(images)
    got = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    positions = parts.batches.inner if parts.task.output in ("map", "image") else ()
    wanted = (len(images), parts.task.outputs, *positions)
    if got != wanted:
        name = type(parts.state.network).__name__
        rule = f"the network must answer {tuple(images.shape)} with logits {wanted}"
        raise ShapeError(name, rule, got, "Change its last layer")


def given_plan(given: object) -> dict[str, Any]:
    """An earlier plan, its measurements left behind.

    Raises:
        ReadError: not JSON. UsageError: not the plan of a training.
    """
    document = read_json(Path(given)) if isinstance(given, str | Path) else given
    if hasattr(document, "document"):
        document = document.document()
    if not isinstance(document, dict) or "task_fields" not in document:
        remedy = "Name the plan.json of an earlier training, or plan with the data"
        raise UsageError("--plan", "the plan of a training", "another document", remedy)
    plan = {key: value for key, value in document.items() if key != "measured"}
    if plan.get("fits") is False and plan.get("solution"):  # then what fits is meant
        found = plan["solution"]
        plan |= {key: found[key] for key in ("accumulate", "checkpointing", "allocator")}
        plan["sampling"] = plan["sampling"] | {"size": found["patch"], "batch": found["batch"]}
    return plan


@contextmanager
def told_of_shortage(budget: Budget) -> Iterator[None]:
    """Data that memory does not hold is told like any other plan that does not fit.

    Raises:
        PlanError: inside, memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_shortage(error):
            raise
        limit = budget.ram or memory_limit()
        got = "out of memory" if limit is None else f"{limit / 2**20:,.0f} MiB"
        remedy = "Give --ram more, or train on fewer or smaller cases"
        raise PlanError("train", "the memory must hold the prepared cases", got, remedy) from None


def parts_again(
    folder: Folder,
    inspection: Inspection,
    own: nn.Module | None,
    device: str,
    quiet: bool,
    place: str | None = None,
) -> tuple[Parts, Split, Inspection]:
    """The parts of an unfinished run, from its own plan and split; `place` as in `build_parts`.

    And the inspection with the unlabelled cases that it learns from.
    """
    plan = folder.json("plan.json")
    split = Split.from_document(folder.json("split.json"))
    set_threads(plan["threads"])
    return_memory()
    network = own if own is not None else build_network(plan)
    if not (folder / "last" / "state.safetensors").exists():  # it ended before its first saving
        begin(network, plan)
    judging = load_features(plan, folder / FEATURES_FILE) if plan["task"] == "generate" else None
    more = (plan.get("pretrain") or {}).get("unlabelled", [])
    every = with_unlabelled(inspection, unlabelled_again(inspection, more) if more else ())
    over = is_over(folder)
    parts = build_parts(
        plan, network, every, split,
        device=pick_device(device), place=place, progress=partial(_bar, quiet=quiet),
        features=judging, more=() if over else more,
    )  # fmt: skip
    parts = replace(parts, every=None) if over else with_before(parts, own)
    parts.state.counters.precision = plan["precision"]
    return parts, split, every


def _bar(label: str, total: int, *, quiet: bool) -> Progress:
    return Progress(label, total, unit="cases", quiet=quiet)
