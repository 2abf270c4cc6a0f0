"""The training loop: fit(state, batches, step). What it does is all here, in order.

Every random choice of a step is a function of (seed, step), so a run resumed from any saved state
goes on to the same bits.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from math import isfinite
from statistics import median
from typing import Any

import torch
from torch import nn

from convivo.errors import DataError, PlanError
from convivo.layers.precision import autocast
from convivo.shortage import is_shortage
from convivo.training.easing import Cap, ease, nothing_left, peak_so_far, release_memory
from convivo.training.journal import SAVE_SECONDS, Journal
from convivo.training.schedule import Schedule
from convivo.training.signals import interrupt, noted_signals
from convivo.training.state import State
from convivo.training.update import SKIPS_WINDOW, Step, Update, train_step

Tensors = tuple[torch.Tensor, torch.Tensor]
Validate = Callable[[nn.Module], dict[str, Any]]
Around = Callable[[int], AbstractContextManager[object]]
SKIPS_BEFORE_FP32, SKIPS_BEFORE_END = 3, 25
UNCAPPED = Cap()
LATE = 2 / 3  # of the steps: by then the learning rate is a quarter of its peak
FEWEST_SCORES = 6
PAUSE_SECONDS = 0.2  # between looks at control.json while paused


def fit(
    state: State,
    batches: Callable[[int], Tensors],
    step: Step,
    *,
    schedule: Schedule,
    validate: Validate,
    journal: Journal,
    deadline: float | None = None,
    around: Around = nullcontext,
    cap: Cap = UNCAPPED,
    update: Update = train_step,
) -> str:
    """Train until the schedule, early stopping, the clock or control.json ends it.

    Args:
        state: trained in place.
        batches: step number -> (images, targets) on the network's device.
        step: (network, images, targets) -> loss.
        validate: network in eval mode -> {"score": higher is better, ...}.
        deadline: time.monotonic() after which the run ends early.
        cap: the memory there is; a step that is refused it is taken again in a milder way.
        around: step number -> what is entered for that step, from drawing its batch to its end.
        update: what is done with a batch and the step; of one network and one optimizer by default.
    Returns:
        Why it ended: "schedule", "early-stopping", "clock" or "control".
    Raises:
        Interrupted: SIGINT or SIGTERM; the state is saved.
        DataError: gradients stay non-finite even in float32.
        PlanError: the memory does not hold a step in its smallest form; the state is saved.
    """
    with noted_signals() as received:
        while state.step < schedule.steps:
            reason = _stop_reason(state, schedule, journal, deadline, received)
            if reason:
                journal.save_last(state)
                return reason
            try:
                with around(state.step):
                    _next_step(state, batches, step, schedule, journal, cap, update)
                if state.step % schedule.validate_every == 0 or state.step == schedule.steps:
                    _validate(state, schedule, validate, journal)
            except PlanError:  # no memory left: with more of it the run can go on from here
                journal.save_last(state)
                raise
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
    cap: Cap,
    update: Update,
) -> None:
    """Draw the batch, take the step, count it."""
    counters, began = state.counters, time.monotonic()
    loss = _afforded(state, batches, step, schedule, journal, cap, update)
    counters.step += 1
    counters.seconds += time.monotonic() - began
    if isfinite(loss):
        counters.loss_sum += loss
        counters.loss_count += 1
    _after_trouble(state, journal)
    journal.progress.update(counters.step, f", loss {loss:.3f}")


def _afforded(
    state: State,
    batches: Callable[[int], Tensors],
    step: Step,
    schedule: Schedule,
    journal: Journal,
    cap: Cap,
    update: Update,
) -> float:
    """The loss of the step, taken in ever milder ways until its memory is there.

    The same step is taken again with the same random numbers. One that went through but took more
    than it may makes the next ones milder, as far as there is a way.
    """
    before = peak_so_far()
    batch: tuple[int, bool] = (1, False)
    while True:
        try:
            images, targets = batches(state.step)
            batch = (len(images), targets.ndim > 1)
            loss = update(state, step, images, targets, schedule)
        except (MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
        else:
            # until the next step nobody needs them
            state.zero_grad()
            if cap.passed(before):
                _go_on_milder(state, batch, journal, "more memory than there is")
            return loss
        images = targets = None  # type: ignore[assignment]
        if not _go_on_milder(state, batch, journal, "out of memory"):
            raise nothing_left(state, cap)


def _go_on_milder(state: State, batch: tuple[int, bool], journal: Journal, why: str) -> bool:
    """Whether there is a milder way; then it is told and taken from here on."""
    way = ease(state, batch)
    release_memory()
    if way:
        journal.progress.say(f"step {state.step}: {why}; going on with {way}")
    return bool(way)


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
    shown = state.shown.eval()
    began = time.monotonic()
    with torch.inference_mode(), autocast(counters.precision, _device(shown)):
        values = validate(shown)
    better = _judge(state, float(values["score"]), schedule, journal)
    took = time.monotonic() - began
    journal.log(_line(state, schedule, values, better=better, took=took))
    counters.loss_sum, counters.loss_count = 0.0, 0
    mark = " *" if better else ""
    journal.progress.say(f"step {counters.step}: {journal.scored} {values['score']:.4f}{mark}")
    journal.save_last(state, after=0.0 if counters.step == schedule.steps else journal.rest)


def _judge(state: State, score: float, schedule: Schedule, journal: Journal) -> bool:
    """Whether the weights are kept: as the best so far, or as late ones that may be no worse."""
    counters = state.counters
    number = isfinite(score)
    score = score if number else -sys.float_info.max  # what is no number beats nothing
    better = counters.best_score is None or score > counters.best_score
    counters.stale = 0 if better else counters.stale + 1
    if better:
        counters.best_score = score
    counters.scores += [score] * number
    late = number and counters.step >= LATE * schedule.steps
    kept = better or is_as_good(counters.scores, late=late)
    if kept:
        counters.best_step = counters.step
        journal.save_best(state.shown)
    return kept


def is_as_good(scores: Sequence[float], *, late: bool) -> bool:
    """Whether the last of the validation scores cannot be told from the best one by its noise.

    While the learning rate goes to zero weights settle, and of many noisy scores the highest is
    mostly a lucky one: late in a training the latest weights are kept, unless their score is lower
    than the best by more than scores change from one validation to the next at the median.

    Example:
        >>> is_as_good([0.1, 0.6, 0.8, 0.7, 0.82, 0.75], late=True)
        True
        >>> is_as_good([0.1, 0.6, 0.8, 0.7, 0.72, 0.6], late=True)
        False
    """
    if not late or len(scores) < FEWEST_SCORES:
        return False
    noise = median(abs(b - a) for a, b in pairwise(scores[len(scores) // 3 :]))
    return 0 < noise < float("inf") and scores[-1] >= max(scores) - noise


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
