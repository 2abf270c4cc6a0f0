"""How costly a network of our choice may be, where the time would hold too few steps.

The layers at the finest grids take most of a network's time. One that begins a level coarser takes
several times the steps in the same time with as many parameters, and a network that has hardly
begun to learn is worse than a cheaper one that has learnt.
"""

import time as clock
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import torch
from torch import nn

from convivo.layers.precision import autocast
from convivo.training.allocator import return_memory
from convivo.training.easing import release_memory
from convivo.training.precision import has_fast_bf16
from convivo.training.process_memory import held_now
from convivo.verbs.affording import Afforded, tell_what_stays
from convivo.verbs.budget import Budget
from convivo.verbs.settings import NetSettings, Settings

TASKS = ("segment", "classify", "regress")
ENOUGH_STEPS, ENOUGH_CLASSIFIED = 1000, 100  # of a segmenter, of a network that answers once a case
COARSER = {"small": "medium", "medium": "published"}  # first layers, each of which halves once more
SETTLED = frozenset({"channels", "coarse", "encoder", "stem"})  # options that settle the cost
TRAINING_SHARE = 0.75  # of the time that is left; the rest reads, validates and measures
PASSES, LONG = 5, 3.0  # that are timed, at most so many and so many seconds of them
WORTH = 0.75  # of its seconds, that a step of the cheaper network may take at most


def is_open(wish: Settings, chosen: Settings, task: str, budget: Budget) -> bool:
    """Whether the network is ours to choose, and a time is given that it must suit."""
    net, train = wish.net, chosen.train
    named = net.name is not None or net.width is not None or net.pretrained is not None
    asked = named or not SETTLED.isdisjoint(net.options)
    timed = budget.seconds is not None and train.epochs is None and train.steps is None
    return task in TASKS and timed and not asked


def narrowed(
    found: Afforded, again: Callable[..., Afforded], left: Callable[[], float]
) -> Afforded:
    """A coarser grid, then half the width on it, where the time would hold too few steps.

    Args:
        found: the plan as it is. again: settings, reasons -> the plan of them.
        left: seconds there are.
    """
    before, best, asked = held_now(), found, (found.chosen,)
    enough = ENOUGH_CLASSIFIED if "stem" in found.chosen.net.options else ENOUGH_STEPS
    seconds = step_seconds(found.draft, found.network)
    steps = TRAINING_SHARE * left() / seconds
    for words, change in _cheaper(found.chosen.net):
        if TRAINING_SHARE * left() / seconds >= enough:
            break
        net = found.chosen.net.model_copy(update=change)
        why = (
            f"{words}: of the whole network the time would hold about {steps:.0f} steps, "
            f"{enough:,} are wanted"
        )
        tried = found.chosen.model_copy(update={"net": net}), why
        other = again(*tried)
        taken = step_seconds(other.draft, other.network)
        if taken > WORTH * seconds:
            return again(*asked)
        best, asked, seconds = other, tried, taken
    if best is not found:
        tell_what_stays(best.draft, held_now() - before)
    return best


def _cheaper(net: NetSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    """What makes a step cheaper, the least harmful first, in words and as settings."""
    if "stem" in net.options:
        yield from _cheaper_classifier(net)
        return
    yield "coarser by one level", {"coarse": True}
    width = 0.5 * float(net.width or 1.0)
    yield f"coarser by one level, {width:g} of its width", {"coarse": True, "width": width}


def _cheaper_classifier(net: NetSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    change: dict[str, Any] = {}
    if net.options["stem"] in COARSER:
        change["stem"] = COARSER[net.options["stem"]]
        yield "a first layer that halves once more", dict(change)
    for width in (0.5 * float(net.width or 1.0), 0.25 * float(net.width or 1.0)):
        yield f"{width:g} of its published width", change | {"width": width}


def step_seconds(draft: dict[str, Any], network: nn.Module) -> float:
    """Seconds of a step's passes, from the quickest of an item's passes forward and back.

    Of two items where a case has one answer: their batch norm may be left with a single sample.
    """
    channels, size = draft["network"]["in_channels"], draft["sampling"]["size"]
    precision = "bf16" if has_fast_bf16() else "fp32"
    return_memory()  # of the wider network nothing is to stay
    items = 1 if draft.get("task", "segment") == "segment" else 2
    item = torch.randn(items, channels, *size, generator=torch.Generator().manual_seed(0))
    least, spent = inf, 0.0
    for number in range(PASSES):  # the first makes what the kernels keep
        began, worked = clock.monotonic(), clock.process_time()
        with autocast(precision, "cpu"):
            answers = network.train()(item)
        several = answers if isinstance(answers, list | tuple) else [answers]
        torch.stack([answer.float().mean() for answer in several]).sum().backward()
        # beside other work a pass takes long by the clock, and tells little of the network
        took = min(clock.monotonic() - began, clock.process_time() - worked)
        network.zero_grad(set_to_none=True)
        if number:
            least, spent = min(least, took), spent + took
        if spent > LONG:
            break
    release_memory()
    return least * int(draft["batch"]) / items
