"""The width of a segmenter that is ours to choose, where the time would hold too few steps.

A network of half the channels takes three to four times the steps in the same time, and a wide
one that has hardly begun to learn is worse than a narrow one that has learnt.
"""

import time as clock
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from convivo.layers.precision import autocast
from convivo.training.allocator import return_memory
from convivo.training.easing import release_memory
from convivo.training.precision import has_fast_bf16
from convivo.training.process_memory import held_now
from convivo.verbs.affording import Afforded
from convivo.verbs.budget import Budget
from convivo.verbs.settings import Settings

ENOUGH_STEPS = 1000
SPEED_UP = 3.3  # of half the channels, in float32
TRAINING_SHARE = 0.75  # of the time that is left; the rest reads, validates and measures
WORTH = 0.75  # of its seconds, that a step of the narrower network may take at most


def is_open(wish: Settings, chosen: Settings, task: str, budget: Budget) -> bool:
    """Whether the width is ours to choose, and a time is given that it must suit."""
    net, train = wish.net, chosen.train
    named = net.name is not None or net.width is not None or net.pretrained is not None
    asked = named or "channels" in net.options
    timed = budget.seconds is not None and train.epochs is None and train.steps is None
    return task == "segment" and timed and not asked


def narrowed(
    found: Afforded, again: Callable[..., Afforded], left: Callable[[], float]
) -> Afforded:
    """Halve the width, once or twice, where the time would hold too few steps.

    Args:
        found: the plan as it is. again: settings, reasons -> the plan of them.
        left: seconds there are.
    """
    before = held_now()
    seconds = step_seconds(found.draft, found.network)
    steps = TRAINING_SHARE * left() / seconds
    if steps >= ENOUGH_STEPS:
        return found
    factor = 0.5 if steps * SPEED_UP >= ENOUGH_STEPS else 0.25
    width = float(found.chosen.net.width or 1.0)
    net = found.chosen.net.model_copy(update={"width": factor * width})
    why = (
        f"{factor:g} of its width: of the full one the time would hold about {steps:.0f} steps, "
        f"{ENOUGH_STEPS:,} are wanted"
    )
    other = again(found.chosen.model_copy(update={"net": net}), why)
    faster = step_seconds(other.draft, other.network) <= WORTH * seconds
    if not faster:
        return again(found.chosen)
    _add_what_stays(other.draft, held_now() - before)
    return other


def _add_what_stays(draft: dict[str, Any], more: int) -> None:
    """Tell the memory that the trials have left behind: what the kernels of both networks keep."""
    memory = draft.get("memory")
    if memory and memory.get("tensors_peak") is not None and more > 0:
        keys = ("overhead", "process_peak", "process_bound")
        draft["memory"] = {**memory, **{key: memory[key] + more for key in keys}}


def step_seconds(draft: dict[str, Any], network: nn.Module) -> float:
    """Seconds of a step's passes, from one item's second pass forward and back."""
    channels, size = draft["network"]["in_channels"], draft["sampling"]["size"]
    precision = "bf16" if has_fast_bf16() else "fp32"
    return_memory()  # of the wider network nothing is to stay
    item = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    took = 0.0
    for _ in range(2):  # the first makes what the kernels keep
        began = clock.monotonic()
        with autocast(precision, "cpu"):
            answers = network.train()(item)
        several = answers if isinstance(answers, list | tuple) else [answers]
        torch.stack([answer.float().mean() for answer in several]).sum().backward()
        took = clock.monotonic() - began
        network.zero_grad(set_to_none=True)
    release_memory()
    return took * int(draft["batch"])
