"""The plan of a training before its data is read: chosen, in the memory, as wide as time allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from convivo.data.beside import Beside, unlabelled_beside, with_unlabelled
from convivo.data.channel_files import KEY
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.verbs.affording import Afforded, Bounds, afford, bounds_of
from convivo.verbs.budget import Budget
from convivo.verbs.fingerprint import Facts
from convivo.verbs.fixing import channel_files, draft_plan
from convivo.verbs.keeping import Keeping
from convivo.verbs.narrowing import is_open, narrowed
from convivo.verbs.pretext import pretrain_reason, unlabelled_entry
from convivo.verbs.settings import Settings
from convivo.verbs.setup import build_network, set_threads
from convivo.verbs.storing import reason as storing_reason
from convivo.verbs.storing import store_entry

Draft = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What every draft of one training's plan stands on.

    every: the inspection with the unlabelled cases that a pretraining learns from. beside: those.
    together: the split with them in its training part. own: the user's network.
    """

    inspection: Inspection
    every: Inspection
    beside: Beside
    split: Split
    together: Split
    facts: Facts
    wish: Settings
    budget: Budget
    own: nn.Module | None
    device: torch.device
    bounds: Bounds
    keeping_of: Callable[[Draft, nn.Module], Keeping]

    @property
    def more(self) -> list[str]:
        """Ids of the unlabelled cases."""
        return [case.id for case in self.beside.cases]

    def stored(self, draft: Draft) -> Draft:
        """The plan's keys for where the prepared cases are, and which unlabelled ones there are."""
        limit, wished = self.bounds.limits.ram, self.wish.data.store is not None
        entry = store_entry(draft, self.every, self.together, limit, wished=wished)
        return entry | unlabelled_entry(draft, self.more)


def ground_of(
    inspection: Inspection,
    split: Split,
    facts: Facts,
    wish: Settings,
    chosen: Settings,
    budget: Budget,
    own: nn.Module | None,
    device: torch.device,
) -> Ground:
    """Put together what does not change from draft to draft."""
    beside = _beside(inspection, split, chosen, budget)
    every = with_unlabelled(inspection, beside.cases)
    together = replace(split, train=(*split.train, *(case.id for case in beside.cases)))
    return Ground(
        inspection=inspection,
        every=every,
        beside=beside,
        split=split,
        together=together,
        facts=facts,
        wish=wish,
        budget=budget,
        own=own,
        device=device,
        bounds=bounds_of(budget, device),
        keeping_of=partial(Keeping, inspection=every, train=together.train, val=split.val),
    )


def _beside(inspection: Inspection, split: Split, wish: Settings, budget: Budget) -> Beside:
    """The unlabelled cases that a pretraining may learn from; none where there is none."""
    if wish.pretrain.method is None:
        return Beside()
    return unlabelled_beside(
        inspection, set(split.train), subject=wish.data.subject,
        names=wish.input.channels or (), compared=budget.compared,
    )  # fmt: skip


def repeated(ground: Ground, plan: Draft, chosen: Settings) -> tuple[Draft, nn.Module]:
    """An earlier plan as the draft of a new training, and its network."""
    draft = {key: value for key, value in plan.items() if key != KEY}
    draft |= ground.stored(draft) | channel_files(ground.inspection)
    draft["threads"] = set_threads(chosen.train.threads or draft["threads"])
    return draft, ground.own if ground.own is not None else build_network(draft)


def drafted(
    ground: Ground, chosen: Settings, reasons: Sequence[str]
) -> tuple[Draft, nn.Module, Settings]:
    """The draft that fits the memory, its network, and the settings as changed for it.

    Args:
        reasons: of what was chosen, in sentences.
    """
    wish, budget = ground.wish, ground.budget
    threads, told = set_threads(chosen.train.threads), list(reasons)

    def redraft(changed: Settings) -> tuple[Draft, nn.Module]:
        draft, network = draft_plan(
            ground.inspection, ground.split, ground.facts, changed,
            reasons=told, network=ground.own, threads=threads,
        )  # fmt: skip
        return draft | ground.stored(draft), network

    def afforded(wanted: Settings, *why: str) -> Afforded:
        told[:] = [*reasons, *why]
        draft, network = redraft(wanted)
        return afford(
            draft, network, ground.keeping_of, ground.facts, wanted, wish, ground.bounds, redraft
        )

    found = afforded(chosen)
    if ground.device.type == "cpu" and is_open(wish, chosen, ground.facts.task, budget):
        found = narrowed(found, afforded, lambda: budget.left() - budget.reserve)
    draft = found.draft
    # told beside what is measured: it is this machine's, and no part of a plan to repeat
    draft["measured"] = {"seconds_foretold": draft["seconds_per_step"]}
    draft["reasons"] += storing_reason(draft["store"])
    draft["reasons"] += pretrain_reason(draft, ground.split.train, ground.beside.left_out)
    if found.chosen.train.epochs is not None:  # then nothing that was ever timed enters a plan
        draft["seconds_per_step"] = None
    return draft, found.network, found.chosen
