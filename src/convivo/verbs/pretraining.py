"""--pretrain reconstruct: the network learns from images alone; the training starts from there.

Of the training part, and of unlabelled cases beside it; what is held out is not looked at. It goes
through the same loop, in `RUN/pretrain`, and leaves `RUN/pretrained.safetensors`.
"""

import shutil
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from convivo.data.augment import Augmentation
from convivo.files import write_json
from convivo.progress import Progress
from convivo.training.allocator import return_memory, set_allocator
from convivo.training.checkpoint import save_weights
from convivo.training.easing import Cap, release_memory
from convivo.training.journal import Journal
from convivo.training.loop import fit
from convivo.training.schedule import Schedule
from convivo.training.update import train_step
from convivo.verbs.budget import Budget
from convivo.verbs.calibrate import DEFAULT_STEPS, MARGIN, MOST_EPOCHS, time_steps
from convivo.verbs.folder import Folder
from convivo.verbs.parts import Parts, batches_of, build_state
from convivo.verbs.pretext import (
    SEED,
    carry_over,
    pretext_network,
    pretext_plan,
    pretext_task,
)
from convivo.verbs.setup import load_weights, margin_of

FOLDER, FILE = "pretrain", "pretrained.safetensors"
LOOKS = 10  # lines of its metrics
SCORED = "minus the error in hidden blocks"
TRIAL_SECONDS, TRIAL_SHARE = 10.0, 0.1


def with_before(parts: Parts, own: nn.Module | None = None) -> Parts:
    """The parts with those of the pretraining, where the plan has one.

    Args:
        own: the user's module, of which a copy is taken.
    """
    if parts.every is None:
        return parts
    plan = pretext_plan(parts.plan)
    network = pretext_network(parts.plan, deepcopy(own)).to(parts.device)
    before = replace(
        parts,
        plan=plan,
        task=pretext_task(parts.plan),
        state=build_state(plan, network),
        batches=batches_of(plan, parts.every, margin_of(network), foreground=0.0),
        validation=parts.every,
        augmentation=Augmentation.from_dict(plan["augment"]) if plan["augment"] else None,
        update=train_step,
        every=None,
    )
    return replace(parts, every=None, before=before)


def seconds_for(parts: Parts, budget: Budget, *, timed: bool) -> float:
    """Seconds that the pretraining may take; 0 where there is none, or nothing is timed."""
    if parts.before is None or not timed or budget.seconds is None:
        return 0.0
    return max(0.0, parts.plan["pretrain"]["share"] * (budget.left() - budget.reserve))


def fix_pretraining(parts: Parts, plan: dict[str, Any], budget: Budget, *, timed: bool) -> None:
    """Add the number of steps to a plan whose training is fixed: by the time, or by its steps."""
    before, entry = parts.before, plan.get("pretrain")
    if before is None or entry is None:
        return
    per_epoch, most = before.batches.steps_per_epoch, entry["epochs"]
    if timed and budget.seconds is not None:
        trial = min(TRIAL_SECONDS, TRIAL_SHARE * seconds_for(parts, budget, timed=timed))
        draft = _schedule(before, {"steps": DEFAULT_STEPS, "steps_per_epoch": per_epoch})
        one = time_steps(before, draft, plan["precision"], trial)
        seconds = seconds_for(parts, budget, timed=timed)  # now that the trials are over
        steps = min(int(seconds / (one * MARGIN)), max(MOST_EPOCHS * per_epoch, DEFAULT_STEPS))
        steps = min(steps, most * per_epoch) if most else steps
    elif most:
        steps = most * per_epoch
    else:
        steps = round(plan["steps"] * entry["share"] / (1 - entry["share"]))
    entry |= {"steps": max(1, steps), "steps_per_epoch": per_epoch}
    plan["reasons"].append(f"pretraining: {entry['steps']} steps, {per_epoch} an epoch")


def _schedule(before: Parts, entry: Mapping[str, Any]) -> Schedule:
    steps, train = entry["steps"], before.plan["train"]
    return Schedule(
        steps=steps,
        validate_every=max(1, -(-steps // LOOKS)),
        steps_per_epoch=entry["steps_per_epoch"],
        lr=train["lr"],
        warmup=min(500, max(1, steps // 20)),
        clip=train["clip"],
        patience=0,
        seed=before.plan["seed"],
    )


def pretrained(folder: Folder, parts: Parts, budget: Budget, cap: Cap, *, quiet: bool) -> Parts:
    """The parts with what the pretraining has learnt, which is done unless it was done before.

    Raises:
        As `fit`.
    """
    if not parts.plan.get("pretrain"):
        return parts
    if parts.before is not None:
        _learn(folder, parts, parts.before, budget, cap, quiet)
    for left in ("last", "weights.safetensors"):  # only a pretraining to go on with needs them
        path = folder / FOLDER / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for network in {id(n): n for n in (parts.state.network, parts.state.shown)}.values():
        load_weights(network, folder / FILE)
    return_memory()
    release_memory()
    return replace(parts, before=None)


def is_over(folder: Folder) -> bool:
    """Whether a run's pretraining has come to its end."""
    return (folder / FILE).exists()


def _learn(
    folder: Folder, parts: Parts, before: Parts, budget: Budget, cap: Cap, quiet: bool
) -> None:
    """Fit, and write what was learnt; the file last, since it says that all is done."""
    entry, state = parts.plan["pretrain"], before.state
    progress = Progress("pretraining", entry["steps"], unit="steps", quiet=quiet)
    (folder / FOLDER).mkdir(exist_ok=True)
    journal = Journal(folder / FOLDER, progress, control=folder.path, scored=SCORED)
    state.counters.precision = parts.plan["precision"]
    if journal.resume(state):
        progress.first = state.step
    began, deadline = time.monotonic(), None
    if budget.seconds is not None:
        deadline = began + entry["share"] * (budget.left() - budget.reserve)
    set_allocator(parts.plan.get("allocator", "keep"))
    ended = fit(
        state, before.tensors, before.step, schedule=_schedule(before, entry),
        validate=lambda network: {"score": -_error(before, network)}, journal=journal,
        deadline=deadline, cap=cap,
    )  # fmt: skip
    progress.close()
    seen = {"steps": state.step, "ended": ended, "error": _error(before, state.network.eval())}
    plan = folder.json("plan.json")
    measured = (plan.get("measured") or {}) | {"pretrain": seen}
    write_json(folder / "plan.json", plan | {"measured": measured})
    carry_over(state.network, parts.state.network)
    save_weights(folder / FILE, parts.state.network)


@torch.inference_mode()
def _error(before: Parts, network: nn.Module) -> float:
    """Mean absolute error in hidden blocks of the same training images, whenever it is asked."""
    images, targets = before.tensors(0)
    torch.manual_seed(SEED)  # each step sets its own
    return float(before.task.step(network, images, targets))


def pretrain_notes(plan: Mapping[str, Any], train: int) -> list[str]:
    """What the report says of it.

    Args:
        train: cases of the training part.
    """
    entry, seen = plan.get("pretrain"), plan["measured"].get("pretrain")
    if not entry or not seen:
        return []
    text = (
        f"Before the training the network learnt to rebuild hidden blocks of {train} training "
        f"cases and {len(entry['unlabelled'])} cases without labels, in {seen['steps']} steps"
    )
    early = seen["steps"] < entry["steps"]
    return [f"{text} of {entry['steps']}: it ended early." if early else f"{text}."]
