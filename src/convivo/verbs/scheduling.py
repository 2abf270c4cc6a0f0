"""The schedule of a run: from epochs or from the time into the plan, and out of it to the loop."""

from collections.abc import Mapping
from typing import Any

from convivo.training.loop import Schedule
from convivo.verbs.budget import Budget
from convivo.verbs.calibrate import Fixed, fix_by_epochs, fix_by_time, time_validation
from convivo.verbs.parts import Parts
from convivo.verbs.settings import Settings

TRIAL = {"steps": 1000, "validate_every": 1000, "warmup": 0, "patience": 0, "steps_per_epoch": 1}


def fix_schedule(
    parts: Parts, chosen: Settings, budget: Budget, reading: float, tests: int
) -> Fixed:
    """Steps and precision; the budget learns what the end of the run will take."""
    wish = chosen.train.precision or "auto"
    if budget.seconds is None or chosen.train.epochs is not None:
        fixed = fix_by_epochs(parts, chosen.train.epochs, wish)
    else:
        budget.reserve += reading + _answering(parts, tests)
        draft = loop_schedule({**parts.plan, **TRIAL})
        fixed = fix_by_time(parts, draft, wish, budget.left() - budget.reserve)
    return fixed


def _answering(parts: Parts, cases: int) -> float:
    """Seconds to answer `cases` test cases in float32, from validation's cost, and a margin."""
    per_case = time_validation(parts, "fp32", 2.0) / max(1, len(parts.validation))
    return 1.5 * per_case * cases + 4.0


def fixed_keys(parts: Parts, fixed: Fixed, chosen: Settings) -> dict[str, Any]:
    """The plan's keys for what was fixed; what the user set wins."""
    steps = chosen.train.steps or fixed.steps
    warmup, per_epoch = chosen.train.warmup, parts.batches.steps_per_epoch
    why = fixed.why
    if chosen.train.steps:
        why = f"{steps} steps as asked, {per_epoch} an epoch"
    return {
        "precision": fixed.precision,
        "steps": steps,
        "steps_per_epoch": per_epoch,
        "epochs": round(steps / per_epoch, 3),
        "validate_every": chosen.train.validate_every or min(fixed.validate_every, steps),
        "patience": chosen.train.patience if chosen.train.patience is not None else fixed.patience,
        "warmup": warmup if warmup is not None else min(500, max(1, steps // 20)),
        "patch": parts.plan["sampling"]["size"],
        "seconds_per_step": fixed.seconds_per_step,
        "reasons": [*parts.plan["reasons"], why, fixed.why_precision],
    }


def loop_schedule(plan: Mapping[str, Any]) -> Schedule:
    """The loop's schedule, as the plan has it."""
    return Schedule(
        steps=plan["steps"],
        validate_every=plan["validate_every"],
        steps_per_epoch=plan["steps_per_epoch"],
        lr=plan["train"]["lr"],
        warmup=plan["warmup"],
        clip=plan["train"]["clip"],
        patience=plan["patience"],
        seed=plan["seed"],
    )
