"""The training loop: fit(state, batches, step). What it does is all here, in order.

Every random choice of a step is a function of (seed, step), so a run resumed from any saved state
goes on to the same bits.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import nn

from convivo.errors import DataError
from convivo.layers.precision import autocast
from convivo.training.journal import SAVE_SECONDS, Journal
from convivo.training.schedule import learning_rate
from convivo.training.signals import interrupt, noted_signals
from convivo.training.state import State

Tensors = tuple[torch.Tensor, torch.Tensor]
Step = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
Validate = Callable[[nn.Module], dict[str, Any]]
SKIPS_BEFORE_FP32, SKIPS_WINDOW, SKIPS_BEFORE_END = 3, 50, 25
FP16_SCALE = 1024.0  # lifts small gradients into fp16's range; constant, so that no state is kept
PAUSE_SECONDS = 0.2  # between looks at control.json while paused


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
    step: Step,
    *,
    schedule: Schedule,
    validate: Validate,
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
    with noted_signals() as received:
        while state.step < schedule.steps:
            reason = _stop_reason(state, schedule, journal, deadline, received)
            if reason:
                journal.save_last(state)
                return reason
            _next_step(state, batches, step, schedule, journal)
            if state.step % schedule.validate_every == 0 or state.step == schedule.steps:
                _validate(state, schedule, validate, journal)
            journal.save_last(state, after=0.0 if received else SAVE_SECONDS)
            if received:
                interrupt(received[0], state.step)
    return "schedule"


def _next_step(
    state: State,
    batches: Callable[[int], Tensors],
    step: Step,
    schedule: Schedule,
    journal: Journal,
) -> None:
    """Draw the batch, take the step, count it."""
    counters, began = state.counters, time.monotonic()
    images, targets = batches(counters.step)
    loss = train_step(state, step, images, targets, schedule)
    counters.step += 1
    counters.seconds += time.monotonic() - began
    if isfinite(loss):
        counters.loss_sum += loss
        counters.loss_count += 1
    _after_trouble(state, journal)
    journal.progress.update(counters.step, f", loss {loss:.3f}")


def train_step(
    state: State,
    step: Step,
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
    kept = [buffer.clone() for buffer in network.buffers()]
    with autocast(counters.precision, images.device.type):
        loss = step(network, images, targets)
    state.optimizer.zero_grad(set_to_none=True)
    scale = FP16_SCALE if counters.precision == "fp16" else 1.0
    (loss * scale).backward()
    limit = schedule.clip if schedule.clip > 0 else float("inf")
    if bool(torch.isfinite(_clip(network, limit, scale))):
        state.optimizer.step()
    else:
        # The forward pass has already put infinities into running statistics: take them back.
        with torch.no_grad():
            for buffer, before in zip(network.buffers(), kept, strict=True):
                buffer.copy_(before)
        counters.skipped += 1
        counters.recent = [s for s in counters.recent if s > counters.step - SKIPS_WINDOW]
        counters.recent.append(counters.step)
    return float(loss.detach())


def _clip(network: nn.Module, limit: float, scale: float) -> torch.Tensor:
    """Undo the loss's scale and shorten the gradient to `limit`; its length before."""
    if scale != 1.0:
        torch._foreach_mul_([p.grad for p in network.parameters() if p.grad is not None], 1 / scale)
    return nn.utils.clip_grad_norm_(network.parameters(), limit)


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
        got = f"{len(counters.recent)} bad steps of the last {SKIPS_WINDOW} in fp32"
        remedy = "Lower --set train.lr, or look for extreme values in the data"
        raise DataError("train", "gradients must be finite", got, remedy)


def _validate(state: State, schedule: Schedule, validate: Validate, journal: Journal) -> None:
    """Score the network on validation, keep it if it is the best, log the line, save the state."""
    counters = state.counters
    state.network.eval()
    began = time.monotonic()
    with torch.inference_mode(), autocast(counters.precision, _device(state.network)):
        values = validate(state.network)
    better = _judge(state, float(values["score"]), journal)
    took = time.monotonic() - began
    journal.log(_line(state, schedule, values, better=better, took=took))
    counters.loss_sum, counters.loss_count = 0.0, 0
    mark = " *" if better else ""
    journal.progress.say(f"step {counters.step}: validation score {values['score']:.4f}{mark}")
    journal.save_last(state, after=0.0 if counters.step == schedule.steps else journal.rest)


def _judge(state: State, score: float, journal: Journal) -> bool:
    """Whether the score is the best so far; then the weights are kept."""
    counters = state.counters
    score = score if isfinite(score) else -sys.float_info.max  # what is no number beats nothing
    better = counters.best_score is None or score > counters.best_score
    if better:
        counters.best_score, counters.best_step, counters.stale = score, counters.step, 0
        journal.save_best(state.network)
    else:
        counters.stale += 1
    return better


def _line(
    state: State, schedule: Schedule, values: dict[str, Any], *, better: bool, took: float
) -> dict[str, Any]:
    """The line of metrics.jsonl for the steps since the last validation."""
    counters = state.counters
    return {
        "epoch": round(counters.step / schedule.steps_per_epoch, 3),
        "step": counters.step,
        "loss": counters.loss_sum / counters.loss_count if counters.loss_count else None,
        "lr": state.optimizer.param_groups[0]["lr"],
        "val": values,
        "best": better,
        "seconds": round(counters.seconds, 3),
        "validation_seconds": round(took, 3),
        "skipped_steps": counters.skipped,
        "precision": counters.precision,
    }


def _stop_reason(
    state: State,
    schedule: Schedule,
    journal: Journal,
    deadline: float | None,
    received: list[int],
) -> str | None:
    """Why no further step should be taken, if so; a pause is waited out here."""
    if schedule.patience and state.counters.stale >= schedule.patience:
        return "early-stopping"
    while (action := journal.action()) == "pause" and not _is_over(deadline):
        if received:
            journal.save_last(state)
            interrupt(received[0], state.step)
        time.sleep(PAUSE_SECONDS)
    epoch_ends = state.step > 0 and state.step % schedule.steps_per_epoch == 0
    if action == "stop" or (action == "stop-after-epoch" and epoch_ends):
        return "control"
    return "clock" if _is_over(deadline) else None


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def _device(network: nn.Module) -> str:
    return next(network.parameters()).device.type
