"""What a task must know of the data: the fields of a plan's `task_fields`, one function a task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from convivo.arrays.preparation import Preparation
from convivo.data.inspection import Inspection
from convivo.errors import ConfigError, nearest_name
from convivo.tasks.membranes import border_of
from convivo.verbs.fingerprint import Facts
from convivo.verbs.mean_weights import check_ema
from convivo.verbs.region_fields import must_be_no_regions, regions_of
from convivo.verbs.settings import Settings, TaskSettings

Fields = dict[str, Any]
OF_TASK: Mapping[str, frozenset[str]] = {
    "classify": frozenset(),
    "segment": frozenset({"instances", "regions", "regions_class_order"}),
    "regress": frozenset({"loss"}),
    "reconstruct": frozenset({"loss", "normal", "beta"}),
    "generate": frozenset({"loss", "penalty", "r1", "every", "ema", "feature_steps"}),
}
"""Task -> its keys of the section `task` of the configuration."""
RAREST, SIZE_SHARE = 0.01, 0.25  # objects smaller than a share of a small training object are none
LOSSES = {
    "regress": ("mse", "huber"),
    "reconstruct": ("mse", "l1"),
    "generate": ("nonsaturating", "hinge", "wgan-gp"),
}


def task_fields(
    inspection: Inspection,
    train: Sequence[str],
    facts: Facts,
    settings: Settings,
    preparation: Preparation,
) -> Fields:
    """The fields of the data's task; what is measured is measured on the training cases `train`.

    Raises:
        ConfigError: a setting that the task does not have, or a value it cannot take.
    """
    check_settings(facts.task, settings.task)
    check_ema(facts.task, settings.train)
    fields = MAKERS[facts.task](inspection, train, facts, settings)
    if facts.task == "reconstruct" and preparation.normalization == "fixed":
        fields |= {"scale": list(preparation.std), "data_range": 1.0}  # measured from 0 to 1
    return fields


def check_settings(task: str, wish: TaskSettings) -> None:
    """Refuse keys of other tasks, and losses that the task does not have.

    Raises:
        ConfigError: one of these.
    """
    for key in wish.model_dump(exclude_none=True):
        if key not in OF_TASK[task]:
            able = [name for name, keys in OF_TASK.items() if key in keys]
            rule, remedy = f"a setting to {' or '.join(able)}", "Leave it out"
            raise ConfigError(f"task.{key}", rule, f"the task {task}", remedy)
    known = LOSSES.get(task, ())
    if wish.loss is not None and wish.loss not in known:
        remedy = f"Use {', '.join(known)}"
        raise ConfigError("task.loss", f"a loss to {task} with", repr(wish.loss), remedy)


def _classify(
    inspection: Inspection, train: Sequence[str], facts: Facts, settings: Settings
) -> Fields:
    classes, positive = list(inspection.index.classes), inspection.positive_class
    return {
        "classes": classes,
        "positive": classes.index(positive) if positive in classes else 1,
        "aami": bool(inspection.index.extra.get("aami")),
        "label_smoothing": settings.train.label_smoothing,
        **({} if facts.exclusive else {"several": True}),
    }


def _segment(
    inspection: Inspection, train: Sequence[str], facts: Facts, settings: Settings
) -> Fields:
    spacing = facts.spacing or (1.0,) * facts.spatial_dims
    tolerance = sorted(spacing)[len(spacing) // 2]
    unit = facts.spacing_unit if facts.spacing else "px"
    classes = list(inspection.index.classes)
    fields = {"classes": classes, "tolerance": tolerance, "spacing_unit": unit}
    if facts.instances:
        must_be_no_regions(settings)
        return fields | _object_fields(inspection, train, settings)
    if regions := regions_of(inspection.index, settings):
        return fields | {"regions": regions}
    border = border_of(classes) if facts.spatial_dims == 2 else None
    parting = {} if border is None else {"membranes": True, "border": border}
    return fields | parting | _border_fields(settings)


def _object_fields(inspection: Inspection, train: Sequence[str], settings: Settings) -> Fields:
    """What telling objects apart needs: their least size, and how long samples are.

    Raises:
        ConfigError: a weight map is asked for.
    """
    if settings.train.border_weight:
        rule = "the weight map is of classes, not of numbered objects"
        remedy = "Leave it out, or set task.instances=false"
        raise ConfigError("train.border_weight", rule, settings.train.border_weight, remedy)
    sizes = [size for case_id in train for size in inspection.object_sizes.get(case_id, ())]
    least = np.quantile(sizes, RAREST) * SIZE_SHARE if sizes else 1
    return {
        "instances": True,
        "smallest": max(1, int(least)),
        "steps": _steps(settings.input.spacing),
    }


def _steps(spacing: Sequence[float] | None) -> list[float] | None:
    """Length of a sample along each axis, against the finest."""
    return [step / min(spacing) for step in spacing] if spacing else None


def _border_fields(settings: Settings) -> Fields:
    """The weight map's part of the task, where one is asked for."""
    train, spacing = settings.train, settings.input.spacing
    if not train.border_weight:
        return {}
    return {
        "border_weight": train.border_weight,
        "border_sigma": train.border_sigma,
        "border_spacing": _steps(spacing),
    }


def _regress(
    inspection: Inspection, train: Sequence[str], facts: Facts, settings: Settings
) -> Fields:
    wanted = frozenset(train)
    known = [c.target for c in inspection.cases if c.id in wanted and c.target is not None]
    targets = np.array(known, float)
    return {
        "classes": [],
        "mean": float(targets.mean()),
        "std": float(targets.std()) or 1.0,
        "loss": settings.task.loss or "mse",
    }


def _reconstruct(
    inspection: Inspection, train: Sequence[str], facts: Facts, settings: Settings
) -> Fields:
    classes, wish = list(inspection.index.classes), settings.task
    channels = len(settings.input.channels or ()) or facts.channels
    variational = settings.net.name == "vae"
    if wish.beta is not None and not variational:
        rule, remedy = "the weight of a variational code", "Leave it out, or add --net vae"
        raise ConfigError("task.beta", rule, f"the network {settings.net.name}", remedy)
    if wish.loss == "l1" and variational:
        rule, remedy = "a variational network has the loss of its bound", "Leave it out"
        raise ConfigError("task.loss", rule, repr(wish.loss), remedy)
    return {
        "classes": classes,
        "normal": _normal_class(classes, wish.normal, inspection.positive_class),
        "only_normal": wish.normal is not None,
        "channels": channels,
        "loss": wish.loss or "mse",
        "beta": 1.0 if wish.beta is None else wish.beta,
    }


def _normal_class(classes: list[str], wanted: str | None, positive: str | None) -> int | None:
    """Of two classes the one that is not positive, unless one is named; of others none.

    Raises:
        ConfigError: the named one is no class.
    """
    if wanted is not None and wanted not in classes:
        got, remedy = f"{wanted!r}, {len(classes)} classes", "Leave it out"
        if classes:
            remedy = nearest_name(wanted, classes)
        raise ConfigError("task.normal", "a class of the data", got, remedy)
    if wanted is not None:
        return classes.index(wanted)
    return 1 - classes.index(positive) if positive in classes else None


def _generate(
    inspection: Inspection, train: Sequence[str], facts: Facts, settings: Settings
) -> Fields:
    classes, wish = list(inspection.index.classes), settings.task
    conditional = bool(settings.net.options.get("conditional"))
    if conditional and len(classes) < 2:
        remedy = "Leave net.conditional out"
        raise ConfigError("net.conditional", "data of several classes", f"{len(classes)}", remedy)
    if wish.ema is not None and wish.ema >= 1:
        raise ConfigError("task.ema", "a share below 1", wish.ema, "Give a number such as 0.99")
    loss = wish.loss or "nonsaturating"
    if wish.penalty is not None and loss != "wgan-gp":
        remedy = "Leave it out, or set task.loss=wgan-gp"
        raise ConfigError("task.penalty", "the weight of wgan-gp's slopes", loss, remedy)
    if wish.r1 is not None and loss == "wgan-gp":
        remedy = "Leave it out, or set task.penalty"
        raise ConfigError("task.r1", "the weight of slopes at real images", loss, remedy)
    return {
        "classes": classes,
        "conditional": conditional,
        "channels": len(settings.input.channels or ()) or facts.channels,
        "loss": loss,
        "penalty": 10.0 if wish.penalty is None else wish.penalty,
        "r1": (0.0 if loss == "wgan-gp" else 1.0) if wish.r1 is None else wish.r1,
        "every": wish.every or (5 if loss == "wgan-gp" else 1),
        "ema": 0.99 if wish.ema is None else wish.ema,
    }


MAKERS: Mapping[str, Callable[[Inspection, Sequence[str], Facts, Settings], Fields]] = {
    "classify": _classify,
    "segment": _segment,
    "regress": _regress,
    "reconstruct": _reconstruct,
    "generate": _generate,
}
