"""Settings + data -> the plan: everything that is fixed before the first step, as plain numbers."""

from typing import Any

import torch
from torch import nn

from convivo.arrays.preparation import Preparation
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.errors import PlanError
from convivo.planning.document import plan_document
from convivo.verbs.choose import Facts
from convivo.verbs.facts import grey_statistics, spread
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
    """The plan before its schedule is fixed, and the network it was counted on.

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
    built = network if network is not None else build_network(plan)
    shape = (preparation.channels, *(seen.size or []))
    return _counted(plan, built, shape, train) | plan, built


def _counted(
    plan: dict[str, Any], network: nn.Module, shape: tuple[int, ...], train: TrainSettings
) -> dict[str, Any]:
    """What a step costs; of a network that cannot be traced all but its memory."""
    # our "sgd" has momentum; a weight map would be computed from labels, which a trace has not
    optimizer = {"sgd": "momentum"}.get(train.optimizer or "", "adamw")
    weighted = plan["task_fields"].get("border_weight")
    asked: dict[str, Any] = {
        "batch": train.batch or 1,
        "optimizer": optimizer,
        "loss": None if weighted else build_task(plan).step,
    }
    name = plan["network"]["name"]
    try:
        counted = plan_document(name, network, shape, **asked)
    except PlanError as error:
        plan["reasons"].append(f"memory is not planned: {error}")
        counted = plan_document(name, network, shape, **asked, memory=False)
    if train.epochs is not None:  # then nothing that was ever timed enters a plan
        counted["seconds_per_step"] = None
    return counted


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
    return Augmentation.from_dict(preset.to_dict() | settings.augment.fields).to_dict()


def set_threads(wish: int | None) -> int:
    """Threads of the kernels; fixed, since sums are cut by them."""
    if wish:
        torch.set_num_threads(wish)
    return torch.get_num_threads()
