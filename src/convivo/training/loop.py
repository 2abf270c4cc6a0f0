"""The training loop: fit(state, batches, step). What it does is all here, in order.

Every random choice of a step is a function of (seed, step), so a run resumed from any saved state
goes on to the same bits.
"""

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import nn

from convivo.errors import DataError, Interrupted
from convivo.training.journal import Journal
from convivo.layers.precision import autocast
from convivo.training.schedule import learning_rate
from convivo.training.state import State

Tensors = tuple[torch.Tensor, torch.Tensor]
SKIPS_BEFORE_FP32, SKIPS_WINDOW, SKIPS_BEFORE_END = 3, 50, 25


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Fixed before the first step.

    steps: in all. validate_every: steps between validations. warmup: steps. lr: peak rate.
    clip: largest gradient norm, 0 for none. patience: validations without a better score before
    the run ends early, 0 for never. steps_per_epoch: for the log and for `stop-after-epoch`.
    """

    steps: int
    validate_every: int
    steps_per_epoch: int
    lr: float
    warmup: int
    clip: float
    patience: int
    seed: int


def fit(
    state: State,
    batches: Callable[[int], Tensors],
    step: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    schedule: Schedule,
    validate: Callable[[nn.Module], dict[str, Any]],
    journal: Journal,
    deadline: float | None = None,
) -> str:
    """Train until the schedule, early stopping, the clock or control.json ends it.

    Args:
        state: trained in place.
        batches: step number -> (images, targets) on the network's device.
        step: (network, images, targets) -> loss.
        validate: network in eval mode -> {"score": higher is better, ...}.
        deadline: time.monotonic() after which the run ends early.
    Returns:
        Why it ended: "schedule", "early-stopping", "clock" or "control".
    Raises:
        Interrupted: SIGINT or SIGTERM; the state is saved.
        DataError: gradients stay non-finite even in float32.
    """
    counters, losses, began = state.counters, [], time.monotonic()
    with _signals() as received:
        while counters.step < schedule.steps:
            reason = _stop_reason(state, schedule, journal, deadline)
            if reason:
                journal.save_last(state)
                return reason
            images, targets = batches(counters.step)
            losses.append(train_step(state, step, images, targets, schedule))
            counters.step += 1
            _after_trouble(state, journal)
            now = time.monotonic()
            counters.seconds += now - began
            began = now
            journal.progress.update(counters.step, f", loss {losses[-1]:.3f}")
            if counters.step % schedule.validate_every == 0 or counters.step == schedule.steps:
                _validate(state, schedule, validate, journal, losses)
                losses, began = [], time.monotonic()
            journal.save_last(state, due=bool(received))
            if received:
                _interrupt(received[0], counters.step)
    return "schedule"


def train_step(
    state: State,
    step: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    targets: torch.Tensor,
    schedule: Schedule,
) -> float:
    """One forward, backward and update; a step with non-finite gradients changes nothing."""
    network, counters = state.network, state.counters
    network.train()
    # Dropout and the like draw from torch's own generator: tie it to the step as well.
    torch.manual_seed((schedule.seed * 1_000_003 + counters.step) % 2**63)
    rate = learning_rate(
        counters.step, steps=schedule.steps, peak=schedule.lr, warmup=schedule.warmup
    )
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    with autocast(counters.precision, images.device.type):
        loss = step(network, images, targets)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    limit = schedule.clip if schedule.clip > 0 else float("inf")
    norm = nn.utils.clip_grad_norm_(network.parameters(), limit)
    if bool(torch.isfinite(norm)):
        state.optimizer.step()
    else:
        counters.skipped += 1
        counters.recent = [s for s in counters.recent if s > counters.step - SKIPS_WINDOW]
        counters.recent.append(counters.step)
    return float(loss.detach())


def _after_trouble(state: State, journal: Journal) -> None:
    """Say what a skipped step means, fall back to float32, give up when even that fails."""
    counters = state.counters
    if not counters.recent or counters.recent[-1] != counters.step - 1:
        return
    journal.progress.say(f"step {counters.step}: gradients were not finite; the step was skipped")
    if counters.precision != "fp32" and len(counters.recent) >= SKIPS_BEFORE_FP32:
        journal.progress.say(f"{counters.precision} keeps failing here; going on in fp32")
        counters.precision, counters.recent = "fp32", []
    elif len(counters.recent) >= SKIPS_BEFORE_END:
        raise DataError(
            "train", "gradients must be finite", f"{len(counters.recent)} bad steps of the last "
            f"{SKIPS_WINDOW} in fp32", "Lower --set train.lr, or look for extreme values in the data"
        )  # fmt: skip


def _validate(
    state: State,
    schedule: Schedule,
    validate: Callable[[nn.Module], dict[str, Any]],
    journal: Journal,
    losses: list[float],
) -> None:
    """Score the network on validation, keep it if it is the best, log the line, save the state."""
    counters = state.counters
    state.network.eval()
    began = time.monotonic()
    with torch.inference_mode(), autocast(counters.precision, _device(state.network)):
        values = validate(state.network)
    score = float(values["score"])
    better = counters.best_score is None or score > counters.best_score
    if better:
        counters.best_score, counters.best_step, counters.stale = score, counters.step, 0
        journal.save_best(state.network)
    else:
        counters.stale += 1
    epoch = counters.step / schedule.steps_per_epoch
    finite = [x for x in losses if x == x and abs(x) != float("inf")]
    journal.log(
        {
            "epoch": round(epoch, 3),
            "step": counters.step,
            "loss": sum(finite) / len(finite) if finite else None,
            "lr": state.optimizer.param_groups[0]["lr"],
            "val": values,
            "best": better,
            "seconds": round(counters.seconds, 3),
            "validation_seconds": round(time.monotonic() - began, 3),
            "skipped_steps": counters.skipped,
            "precision": counters.precision,
        }
    )
    mark = " *" if better else ""
    journal.progress.say(f"step {counters.step}: validation score {score:.4f}{mark}")
    journal.save_last(state)


def _stop_reason(
    state: State, schedule: Schedule, journal: Journal, deadline: float | None
) -> str | None:
    if schedule.patience and state.counters.stale >= schedule.patience:
        return "early-stopping"
    action = journal.action()
    while action == "pause":
        time.sleep(0.5)
        action = journal.action()
    epoch_ends = state.step % schedule.steps_per_epoch == 0
    if action == "stop" or (action == "stop-after-epoch" and epoch_ends):
        return "control"
    return "clock" if deadline is not None and time.monotonic() > deadline else None


def _device(network: nn.Module) -> str:
    return next(network.parameters()).device.type


@contextmanager
def _signals():  # noqa: ANN202
    """SIGINT and SIGTERM are noted, not obeyed at once: the step in hand is finished first."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    try:
        before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: signals are its business
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, step: int) -> None:
    status = 130 if number == signal.SIGINT else 143
    name = signal.Signals(number).name
    remedy = "Run the same command with --resume to go on"
    raise Interrupted("train", "the run was stopped and its state saved", f"{name} after step {step}", remedy, status)
