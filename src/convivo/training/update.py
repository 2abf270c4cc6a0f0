"""One update of the network: the batch in one or several passes, the gradient, the optimizer."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from convivo.layers.checkpointing import checkpointed
from convivo.layers.precision import autocast
from convivo.training.schedule import Schedule, learning_rate
from convivo.training.state import Counters, State

Step = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
Update = Callable[[State, Step, torch.Tensor, torch.Tensor, Schedule], float]
"""What `fit` does with a batch: state, the task's step, images, targets, schedule -> loss."""
FP16_SCALE = 1024.0  # lifts small gradients into fp16's range; constant, so that no state is kept
SKIPS_WINDOW = 50


def train_step(
    state: State,
    step: Step,
    images: torch.Tensor,
    targets: torch.Tensor,
    schedule: Schedule,
) -> float:
    """Forward, backward and update; a step with non-finite gradients changes nothing.

    With `counters.passes` above 1 the batch goes through in so many parts, whose gradients are
    added up, each by its share of the items. For a loss that is a mean over items (cross-entropy)
    that is the gradient of the whole batch. It is not quite that where something is taken over the
    items of a pass: batch normalization (which also updates its running statistics once a pass),
    Dice over the batch, a cross-entropy divided by the sum of its weights.

    Returns:
        The loss, the mean over the passes by their shares.
    Raises:
        Whatever the step raises; the network then is as it was, without gradients.
    """
    network, counters = state.network, state.counters
    network.train()
    # Dropout and the like draw from torch's own generator: tie it to the step as well.
    _seed((schedule.seed * 1_000_003 + counters.step) % 2**63, images.device)
    rate = learning_rate(
        counters.step, steps=schedule.steps, peak=schedule.lr, warmup=schedule.warmup
    )
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.zero_grad()  # before the forward pass: they need not wait
    kept = [buffer.clone() for buffer in network.buffers()]
    scale = FP16_SCALE if counters.precision == "fp16" else 1.0
    try:
        loss = passes(state, step, images, targets, scale)
        finite = bool(torch.isfinite(clip(network, schedule.clip, scale)))
    except BaseException:
        take_back(network, kept)
        state.zero_grad()
        raise
    if finite:
        _update(state.optimizer)
    else:
        # The forward pass has already put infinities into running statistics.
        take_back(network, kept)
        note_skip(counters)
    return loss


def _seed(number: int, device: torch.device) -> None:
    """On the CPU its generator alone: torch would make a note for each kind of accelerator too."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)


def note_skip(counters: Counters) -> None:
    """Count a step that changed nothing."""
    counters.skipped += 1
    counters.recent = [s for s in counters.recent if s > counters.step - SKIPS_WINDOW]
    counters.recent.append(counters.step)


def passes(
    state: State, step: Step, images: torch.Tensor, targets: torch.Tensor, scale: float
) -> float:
    """The gradients of all passes, added up; their loss."""
    network, counters = state.network, state.counters
    total, count = 0.0, min(counters.passes, len(images))
    for part, wanted in zip(images.tensor_split(count), targets.tensor_split(count), strict=True):
        share = len(part) / len(images)
        with (
            autocast(counters.precision, images.device.type),
            checkpointed(network, on=counters.checkpointing),
        ):
            loss = step(network, part, wanted)
        (loss * (scale * share)).backward()
        total += share * float(loss.detach())
    return total


def _update(optimizer: torch.optim.Optimizer) -> None:
    """A first update that fails for lack of memory leaves no half of the optimizer's state."""
    first = not optimizer.state
    try:
        optimizer.step()
    except BaseException:
        if first:
            optimizer.state.clear()
        raise


def clip(network: nn.Module, limit: float, scale: float) -> torch.Tensor:
    """Undo the loss's scale and shorten the gradient to `limit` (0: not); its length before."""
    limit = limit if limit > 0 else float("inf")
    if scale != 1.0:
        torch._foreach_mul_([p.grad for p in network.parameters() if p.grad is not None], 1 / scale)
    return nn.utils.clip_grad_norm_(network.parameters(), limit)


def take_back(network: nn.Module, kept: Sequence[torch.Tensor]) -> None:
    """Put the buffers back as they were before the forward pass."""
    with torch.no_grad():
        for buffer, before in zip(network.buffers(), kept, strict=True):
            buffer.copy_(before)
