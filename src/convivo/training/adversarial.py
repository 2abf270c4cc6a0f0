"""One step of two networks against each other: first the discriminator learns, then the generator.

Each has an optimizer of its own. Everything else is as in `update.train_step`: the same random
numbers for the same step, several passes where memory is short, no change where a gradient is not
finite.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from convivo.errors import UsageError
from convivo.training.averaging import follow
from convivo.training.schedule import Schedule, warmed
from convivo.training.state import State
from convivo.training.update import FP16_SCALE, Step, Update, clip, note_skip, passes, take_back


def adversarial_update(
    create: Step, *, every: int, ema: float, slopes: Step | None = None, slopes_every: int = 1
) -> Update:
    """The update of `fit` for a generator and a discriminator; its `step` is the latter's loss.

    Args:
        create: (network, images, targets) -> the generator's loss.
        every: the generator learns in every so many-th step.
        ema: share of the old weights in each update of `state.average`.
        slopes: what the discriminator's loss has beside `step`, in every so many-th step.
    """

    def update(
        state: State,
        step: Step,
        images: torch.Tensor,
        targets: torch.Tensor,
        schedule: Schedule,
    ) -> float:
        network: Any = state.network
        if state.rival is None:
            raise UsageError("train", "two networks need two optimizers", "one", "Report it")
        state.network.train()
        torch.manual_seed((schedule.seed * 1_000_003 + state.step) % 2**63)
        _set_rate(state, schedule)
        kept = [buffer.clone() for buffer in state.network.buffers()]
        scale = FP16_SCALE if state.counters.precision == "fp16" else 1.0

        def learn(loss: Step, still: nn.Module, optimizer: torch.optim.Optimizer) -> float | None:
            """The loss; None where the gradient is not finite."""
            state.zero_grad()
            with _fixed(still):
                value = passes(state, loss, images, targets, scale)
            if not bool(torch.isfinite(clip(state.network, schedule.clip, scale))):
                return None
            optimizer.step()
            return value

        judge = step
        if slopes is not None and state.step % slopes_every == 0:
            judge = _sum(step, slopes)
        try:
            judged = learn(judge, network.generator, state.rival)
            made: float | None = 0.0
            if judged is not None and state.step % every == 0:
                made = learn(create, network.discriminator, state.optimizer)
        except BaseException:
            take_back(state.network, kept)
            state.zero_grad()
            raise
        if judged is None or made is None:
            take_back(state.network, kept)
            note_skip(state.counters)
            return float("nan")
        follow(state, ema)
        return judged

    return update


def _sum(one: Step, other: Step) -> Step:
    def both(network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return one(network, images, targets) + other(network, images, targets)

    return both


def _set_rate(state: State, schedule: Schedule) -> None:
    """Neither comes to an end that the other would have to keep up with: the rate stays.

    What is shown and kept is the generator's running mean, which is quiet without a lower rate.
    """
    rate = warmed(state.step, peak=schedule.lr, warmup=schedule.warmup)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


@contextmanager
def _fixed(part: nn.Module) -> Iterator[None]:
    """Gradients pass through a part of the network, and none are kept for it."""
    parameters = [p for p in part.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
