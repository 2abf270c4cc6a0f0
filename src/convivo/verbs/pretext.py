"""--pretrain: what a plan says of it, and the network that learns from images alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from convivo.architectures.create import options
from convivo.architectures.matching import Match
from convivo.architectures.outline import outlined
from convivo.architectures.rebuilding import Rebuilding, check_body
from convivo.data.augment import Augmentation
from convivo.errors import ConfigError, UsageError
from convivo.planning.step import Loss
from convivo.tasks.masked import MaskedReconstruct
from convivo.tasks.task import Task
from convivo.verbs.choose import RATES
from convivo.verbs.settings import PretrainSettings, Settings
from convivo.verbs.setup import build_network

MASKED, SHARE = 0.6, 0.25
SEED = 4099  # apart from the training's own random numbers
SENTENCE = "first learns"
Plan = Mapping[str, Any]


def pretrain_entry(settings: Settings, task: str) -> dict[str, Any]:
    """What a plan says of its pretraining: {"pretrain": ...}, or nothing where there is none.

    method, masked, share, epochs: as in the configuration. unlabelled: ids of the cases without
    labels, beside those of the training part. steps, steps_per_epoch: once they are fixed.

    Raises:
        UsageError: the task learns from images alone anyway, or starts from other weights.
        ConfigError: a share that is none, or settings without a method.
    """
    wish = settings.pretrain
    _check(wish)
    if wish.method is None:
        return {}
    if task in ("reconstruct", "generate"):
        rule = "a start for tasks with labels"
        raise UsageError("--pretrain", rule, f"the task {task}", "Leave it out")
    if settings.net.pretrained is not None:
        rule, remedy = "a network starts from one set of weights", "Leave one of the two out"
        raise UsageError("--pretrain", rule, "--init as well", remedy)
    entry = {
        "method": wish.method,
        "masked": wish.masked or MASKED,
        "share": wish.share or SHARE,
        "epochs": wish.epochs,
        "unlabelled": [],
    }
    return {"pretrain": entry}


def _check(wish: PretrainSettings) -> None:
    for key in ("masked", "share"):
        if (value := getattr(wish, key) or 0) >= 1:
            raise ConfigError(f"pretrain.{key}", "a share below 1", value, "Give such as 0.5")
    alone = [k for k, v in wish.model_dump().items() if v is not None and k != "method"]
    if wish.method is None and alone:
        rule, remedy = "a setting of a pretraining", "Add --pretrain reconstruct, or leave it out"
        raise ConfigError(f"pretrain.{alone[0]}", rule, "none", remedy)


def pretext_task(plan: Plan) -> Task:
    """The task of the pretraining."""
    channels = int(plan["network"]["in_channels"])
    masked = MaskedReconstruct(channels=channels, masked=plan["pretrain"]["masked"])
    return cast(Task, masked)  # frozen, as all tasks


def pretext_plan(plan: Plan) -> dict[str, Any]:
    """The plan as the pretraining sees it: its own rates and random numbers, no mean of weights."""
    lr, weight_decay, clip = RATES["reconstruct"]
    train = {"optimizer": "adamw", "lr": lr, "weight_decay": weight_decay, "clip": clip, "ema": 0.0}
    flips = (plan["augment"] or {}).get("flip_axes")  # what else is altered would be rebuilt
    return {
        **plan,
        "train": {**plan["train"], **train, "balance": 0.0},
        "augment": Augmentation(flip_axes=tuple(flips)).to_dict() if flips else None,
        "seed": int(plan["seed"]) + SEED,
    }


def pretext_network(plan: Plan, own: nn.Module | None = None) -> nn.Module:
    """What is to rebuild the input, drawn from the plan's seed.

    To segment it is the network itself, with as many outputs as the input has channels, at full
    resolution only; else the network's body and a light decoder.

    Args:
        own: the user's module, which becomes a part of it.
    Raises:
        UsageError: the network does not tell where its body ends.
    """
    net = plan["network"]
    if plan["task"] == "segment" and own is None:
        more = {"deep_supervision": False} if "deep_supervision" in options(net["name"]) else {}
        changed = {"num_classes": net["in_channels"], "options": {**net.get("options", {}), **more}}
        return build_network({**plan, "network": {**net, **changed}})
    body = own if own is not None else build_network(plan)
    torch.manual_seed(int(plan["seed"]) + SEED)
    return Rebuilding(body, spatial_dims=net["spatial_dims"], in_channels=net["in_channels"])


@dataclass(frozen=True, kw_only=True)
class Pretext:
    """What a step of the pretraining is traced by: a network without numbers, and its loss."""

    network: nn.Module
    loss: Loss


def pretext_outline(plan: Plan, network: nn.Module) -> Pretext | None:
    """That of a plan; None where it has no pretraining.

    Args:
        network: the plan's, of which only the user's own is needed.
    """
    if not plan.get("pretrain"):
        return None
    if plan["network"].get("custom"):
        return Pretext(network=pretext_network(plan, network), loss=pretext_task(plan).step)
    with outlined():
        return Pretext(network=pretext_network(plan), loss=pretext_task(plan).step)


def must_rebuild(plan: Plan, own: nn.Module | None) -> None:
    """Refuse a network that cannot be pretrained, before anything is read.

    Raises:
        UsageError: it does not tell where its body ends.
    """
    if own is not None:
        check_body(own)
    elif plan["task"] != "segment":
        with outlined():
            check_body(build_network(plan))


def carry_over(pretext: nn.Module, network: nn.Module) -> None:
    """Put what was learnt into the network; its layers that answer stay as they are."""
    if isinstance(pretext, Rebuilding):
        network.load_state_dict(pretext.body.state_dict())
        return
    state = pretext.state_dict()
    match = Match(network, state, inflation="centre", keep_head=False)
    match.check("--pretrain")
    match.copy()


def unlabelled_entry(plan: Plan, ids: Sequence[str]) -> dict[str, Any]:
    """The plan's {"pretrain": ...} with the cases without labels; nothing where it has none."""
    entry = plan.get("pretrain")
    return {} if entry is None else {"pretrain": {**entry, "unlabelled": list(ids)}}


def pretrain_reason(plan: Plan, train: Sequence[str], left_out: Mapping[str, int]) -> list[str]:
    """A sentence for the plan's reasons; none where it has no pretraining."""
    entry = plan.get("pretrain")
    if entry is None:
        return []
    others = len(entry["unlabelled"])
    text = f"{SENTENCE} to rebuild its inputs, {entry['masked']:.0%} of their blocks hidden: "
    text += f"{len(train)} training cases and {others} without labels"
    if left_out:
        rest = "; ".join(f"{count} {why}" for why, count in left_out.items())
        text += f" (not used: {rest})"
    return [text]
