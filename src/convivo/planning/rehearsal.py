"""A network's step rehearsed from a few words: targets and loss follow from what it is for."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from convivo.errors import UsageError
from convivo.planning.events import Trace
from convivo.planning.shadow import run, shadow, tensors
from convivo.planning.step import (
    Loss,
    cross_entropy,
    make_optimizer,
    prediction_step,
    squared_error,
    training_step,
)
from convivo.planning.trace import Unlike, trace
from convivo.planning.work import Tally

TASKS = ("classify", "regress", "segment", "reconstruct", "generate")


def rehearse(
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    task: str | None = None,
    loss: Loss | None = None,
    device: str = "cpu",
    passes: int = 1,
    checkpointing: bool = False,
    tally: Tally | None = None,
) -> Trace:
    """Two training steps of a batch, or one prediction, on shapes alone.

    Args:
        net: any module, on any device.
        input: shape (C, *S) of one input.
        batch: items of a step.
        mode: "train" or "infer".
        precision: "fp32", "bf16" or "fp16".
        optimizer: "sgd", "momentum", "adam" or "adamw".
        task: what the output serves, which decides about targets and loss: "classify": a class an
            item, "segment": a class a sample, both by cross-entropy; "reconstruct": the input, by
            squared error; "generate": the judgement of images. Default: from the output's axes.
        loss: (network, images, targets) -> loss, instead.
        device: where the real step happens.
        passes, checkpointing: of a training step, see `step.training_step`.
        tally: what the last of the steps traced has to do is added to it (see `timing`).
    Raises:
        UsageError: an unknown task, mode or optimizer.
        ShapeError: the network does not take that input. PlanError: it needs values, not shapes.
    """
    shape = (batch, *input)
    given: list[tuple[Sequence[int], torch.dtype]] = [(shape, torch.float32)]
    watch = None if tally is None else partial(tally.add, learning=mode == "train")
    if mode == "infer":
        answer = prediction_step(precision, device=device)
        return trace(net, answer, given, steps=1, device=device, watch=watch)
    if mode != "train" or task not in (None, *TASKS):
        got = f"mode={mode!r}, task={task!r}"
        raise UsageError("plan", "mode is train or infer, task known", got, f"Tasks: {TASKS}")
    task = task or _task_of(net, shape)
    size = {"segment": (batch, *input[1:]), "reconstruct": (0,)}.get(task, (batch,))
    given.append((size, torch.int64))
    chosen = loss or (squared_error if task == "reconstruct" else cross_entropy)
    step = training_step(
        chosen, precision, device=device, passes=passes, checkpointing=checkpointing
    )
    maker = make_optimizer(optimizer)
    for alike in (True, False):
        seen = Tally()
        watch = None if tally is None else partial(seen.add, learning=True)
        try:
            found = trace(
                net, step, given, optimizer=maker, device=device, watch=watch, alike=alike
            )
        except Unlike:
            continue
        if tally is not None:
            tally.join(seen)
        return found
    raise AssertionError("steps that are run cannot be unlike")


def _task_of(net: nn.Module, shape: tuple[int, ...]) -> str:
    answer = next(tensors(run(shadow(net), shape)), None)
    return "segment" if answer is not None and answer.dim() == len(shape) else "classify"
