"""Settings + data -> the plan: everything that is fixed before the first step, as plain numbers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from convivo.arrays.preparation import Preparation
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.errors import ConfigError
from convivo.planning.budget import Setting
from convivo.planning.document import plan_document
from convivo.planning.step import Loss
from convivo.verbs.choose import Facts
from convivo.verbs.facts import grey_statistics, spread
from convivo.verbs.keeping import Keeping
from convivo.verbs.settings import Settings, TrainSettings
from convivo.verbs.setup import build_network, build_task

LOOKED_AT = 300
# settings of the training that have a place of their own in the plan
ELSEWHERE = {"epochs", "steps", "precision", "threads", "seed", "border_weight", "border_sigma"}


def draft_plan(
    inspection: Inspection,
    split: Split,
    facts: Facts,
    settings: Settings,
    *,
    reasons: list[str],
    network: nn.Module | None = None,
    threads: int,
) -> tuple[dict[str, Any], nn.Module]:
    """The plan before its schedule is fixed and its memory is counted, and its network.

    Args:
        network: the user's own module, instead of one of ours.
    """
    preparation = _preparation(inspection, split, facts, settings)
    seen, train = settings.input, settings.train
    plan: dict[str, Any] = {
        "task": facts.task,
        "task_fields": _task_fields(inspection, facts, settings),
        "label_values": list(inspection.index.label_values or ()) or None,
        "network": _network(facts, settings, seen.size or [], network),
        "preparation": preparation.to_dict(),
        "sampling": {
            "mode": seen.sampling,
            "size": seen.size,
            "before": seen.before,
            "foreground": seen.foreground,
            "batch": max(16, train.batch or 1) if facts.task == "classify" else train.batch,
        },
        "train": train.model_dump(exclude=ELSEWHERE),
        "augment": _augmentation(facts, settings),
        "seed": train.seed,
        "threads": threads,
        "memory_layout": "contiguous",
        "reasons": reasons,
        "batch": train.batch,
    }
    return plan, network if network is not None else build_network(plan)


def traced_optimizer(train: TrainSettings | Mapping[str, Any]) -> str:
    """The optimizer's name as a trace knows it; our "sgd" has momentum."""
    name = train["optimizer"] if isinstance(train, Mapping) else train.optimizer
    return {"sgd": "momentum"}.get(name or "", "adamw")


def traced_loss(plan: Mapping[str, Any]) -> Loss | None:
    """The task's loss; a weight map would be computed from labels, which a trace has not."""
    return None if plan["task_fields"].get("border_weight") else build_task(plan).step


def counted(
    draft: Mapping[str, Any],
    network: nn.Module,
    seen: Setting,
    keeping: Keeping,
    **more: Any,
) -> dict[str, Any]:
    """What a step in this setting costs, and the process around it, as the contract's document.

    Args:
        more: mode, optimizer, layers, ranks and strategy, where they are not those of the training.
    Raises:
        PlanError: a network that cannot be traced.
    """
    words: dict[str, Any] = {
        "optimizer": traced_optimizer(draft["train"]),
        "loss": traced_loss(draft),
        **more,
    }
    training = words.get("mode", "train") == "train"
    found = plan_document(
        draft["network"]["name"],
        network,
        (draft["network"]["in_channels"], *seen.patch),
        draft["batch"] if seen.accumulate > 1 else seen.batch,
        precision=seen.precision,
        passes=seen.accumulate,
        checkpointing=seen.checkpointing,
        keeps=seen.allocator == "keep" if training else None,
        lasting=keeping.lasting if training else 0,
        between=keeping.between(seen) if training else 0,
        over_time=training,
        **words,
    )
    return found | _ways(seen)


def uncounted(draft: Mapping[str, Any], network: nn.Module, seen: Setting) -> dict[str, Any]:
    """The same of a network that cannot be traced: all but its memory."""
    shape = (draft["network"]["in_channels"], *seen.patch)
    found = plan_document(
        draft["network"]["name"], network, shape, seen.batch,
        optimizer=traced_optimizer(draft["train"]), memory=False,
    )  # fmt: skip
    return found | _ways(seen)


def _ways(seen: Setting) -> dict[str, Any]:
    return {
        "accumulate": seen.accumulate,
        "checkpointing": seen.checkpointing,
        "allocator": seen.allocator,
    }


def _preparation(
    inspection: Inspection, split: Split, facts: Facts, settings: Settings
) -> Preparation:
    seen = settings.input
    names = tuple(seen.channels or ())
    whole = seen.sampling == "whole"
    fields: dict[str, Any] = {
        "spatial_dims": facts.spatial_dims,
        "channels": len(names) or facts.channels,
        "channel_names": names,
        "orientation": seen.orientation,
        "spacing": tuple(seen.spacing) if seen.spacing else None,
        "size": tuple(seen.size or ()) if whole else None,
        "fit": "crop" if facts.spatial_dims == 1 else "resize",
        "normalization": seen.normalization,
        "mean": tuple(seen.mean or ()),
        "std": tuple(seen.std or ()),
    }
    if seen.normalization == "fixed" and not (seen.mean and seen.std):
        wanted = frozenset(split.train)
        cases = [case for case in inspection.cases if case.id in wanted]
        samples = [inspection.load(case) for case in spread(cases, LOOKED_AT)]
        start = Preparation(**(fields | {"normalization": "none"}))
        mean, std = grey_statistics(samples, start)
        fields |= {"mean": tuple(mean), "std": tuple(std)}
    return Preparation(**fields)


def _task_fields(inspection: Inspection, facts: Facts, settings: Settings) -> dict[str, Any]:
    classes = list(inspection.index.classes)
    if facts.task == "segment":
        spacing = facts.spacing or (1.0,) * facts.spatial_dims
        tolerance = sorted(spacing)[len(spacing) // 2]
        unit = facts.spacing_unit if facts.spacing else "px"
        fields = {"classes": classes, "tolerance": tolerance, "spacing_unit": unit}
        return fields | _border_fields(settings)
    positive = inspection.positive_class
    return {
        "classes": classes,
        "positive": classes.index(positive) if positive in classes else 1,
        "aami": bool(inspection.index.extra.get("aami")),
        "label_smoothing": settings.train.label_smoothing,
    }


def _border_fields(settings: Settings) -> dict[str, Any]:
    """The weight map's part of the task, where one is asked for."""
    train, spacing = settings.train, settings.input.spacing
    if not train.border_weight:
        return {}
    steps = [step / min(spacing) for step in spacing] if spacing else None
    return {
        "border_weight": train.border_weight,
        "border_sigma": train.border_sigma,
        "border_spacing": steps,
    }


def _network(
    facts: Facts, settings: Settings, size: list[int], network: nn.Module | None
) -> dict[str, Any]:
    shared = {
        "spatial_dims": facts.spatial_dims,
        "in_channels": len(settings.input.channels or ()) or facts.channels,
        "num_classes": facts.num_classes,
        "input_size": size,
    }
    if network is not None:
        return {"name": type(network).__name__, "custom": True, **shared, "width": 1.0}
    net = settings.net
    return {"name": net.name, **shared, "width": net.width, "options": net.options}


def _augmentation(facts: Facts, settings: Settings) -> dict[str, Any] | None:
    if not settings.augment.enabled:
        return None
    from convivo.data.augment import Augmentation, default

    flips = tuple(settings.augment.flips or ())
    preset = default(facts.spatial_dims, facts.task, flips)
    chosen = Augmentation.from_dict(preset.to_dict() | settings.augment.fields)
    if chosen.mixup and chosen.p_mixup and facts.task != "classify":
        rule, remedy = "mixup mixes the classes of whole items", "Leave out augment.p_mixup"
        raise ConfigError("augment.mixup", rule, f"the task {facts.task}", remedy)
    return chosen.to_dict()


def set_threads(wish: int | None) -> int:
    """Threads of the kernels; fixed, since sums are cut by them."""
    if wish:
        torch.set_num_threads(wish)
    return torch.get_num_threads()
