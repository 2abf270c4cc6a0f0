"""Seconds of a network's step from a few words, as `rehearsal` tells its bytes."""

from collections.abc import Sequence

import torch
from torch import nn

from convivo.planning.machine import this_machine
from convivo.planning.shadow import run, shadow, tensors
from convivo.planning.step import (
    Loss,
    cross_entropy,
    make_optimizer,
    prediction_step,
    squared_error,
    training_step,
)
from convivo.planning.timing import seconds_per_step
from convivo.planning.trace import trace
from convivo.planning.work import Tally, watched


def step_seconds(
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    task: str | None = None,
    loss: Loss | None = None,
) -> float:
    """Seconds of one step on this machine's processor, by what `convivo doctor` measured.

    Reading and augmenting the data is not included; without a measurement default speeds serve.

    Args:
        net, input, batch, mode, precision, optimizer, task, loss: as for `rehearsal.rehearse`.
    Raises:
        UsageError, ShapeError, PlanError: as there.
    """
    tally = step_work(
        net, input, batch, mode=mode, precision=precision, optimizer=optimizer, task=task, loss=loss
    )
    return seconds_per_step(tally, this_machine().speeds)


def step_work(
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    task: str | None = None,
    loss: Loss | None = None,
) -> Tally:
    """What one step has to do; arguments as for `step_seconds`."""
    shape, tally = (batch, *input), Tally()
    given: list[tuple[Sequence[int], torch.dtype]] = [(shape, torch.float32)]
    if mode == "infer":
        trace(net, watched(prediction_step(precision), tally, number=1), given, steps=1)
        return tally
    if task is None:
        answer = next(tensors(run(shadow(net), shape)), None)
        maps = answer is not None and answer.dim() == len(shape)
        task = "segment" if maps else "classify"
    given.append((shape[:1] + shape[2:] if task == "segment" else shape[:1], torch.int64))
    chosen = loss or (squared_error if task == "reconstruct" else cross_entropy)
    step = watched(training_step(chosen, precision), tally, number=1)
    trace(net, step, given, optimizer=make_optimizer(optimizer), steps=1)
    return tally
