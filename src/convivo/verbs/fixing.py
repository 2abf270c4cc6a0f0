"""Settings + data -> the plan: everything that is fixed before the first step, as plain numbers."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from convivo.architectures.outline import outlined
from convivo.arrays.preparation import Preparation
from convivo.arrays.windows import Around
from convivo.data.channel_files import KEY, rule_of
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.errors import ConfigError, PlanError, UsageError
from convivo.planning.budget import Setting
from convivo.planning.document import bare_document, plan_document
from convivo.planning.limits import memory_limit
from convivo.planning.step import Loss
from convivo.training.memory_layout import laid_out, memory_layout
from convivo.verbs.facts import affordable, grey_statistics
from convivo.verbs.features import features_entry
from convivo.verbs.fingerprint import Facts
from convivo.verbs.keeping import Keeping
from convivo.verbs.mean_weights import tell_mean
from convivo.verbs.pretext import must_rebuild, pretext_outline, pretrain_entry
from convivo.verbs.region_fields import regions_reason
from convivo.verbs.settings import InputSettings, Settings, TrainSettings
from convivo.verbs.setup import build_network, build_task
from convivo.verbs.task_fields import task_fields
from convivo.verbs.told import countable

LOOKED_AT, GIB = 300, 2**30
SMALL = 40  # samples a side of an image, below which it is never blurred
# settings of the training that have a place of their own in the plan
# a number to predict may be a size or a rate
STEADY: dict[str, dict[str, float]] = {"regress": {"scale": 0.0, "time_warp": 0.0}}
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
    fields = task_fields(inspection, split.train, facts, settings, preparation)
    if fields.get("regions"):
        told = regions_reason(fields["regions"], fields["classes"])
        reasons += [told] if told not in reasons else []
    plan: dict[str, Any] = {
        "task": facts.task,
        "task_fields": fields,
        "label_values": list(inspection.index.label_values or ()) or None,
        "network": _network(facts, settings, seen.size or [], network, _outputs(facts, fields)),
        "preparation": preparation.to_dict(),
        "sampling": {
            "mode": seen.sampling,
            "size": seen.size,
            "before": seen.before,
            **({"reference": True} if seen.reference else {}),
            **({"rhythm": True} if seen.rhythm else {}),
            "foreground": seen.foreground,
            "batch": max(16, train.batch or 1) if facts.task != "segment" else train.batch,
        },
        "train": train.model_dump(exclude=ELSEWHERE),
        "augment": _augmentation(facts, settings),
        "seed": train.seed,
        "threads": threads,
        "memory_layout": "contiguous",
        "reasons": reasons,
        "batch": train.batch,
        **channel_files(inspection),
    }
    plan |= pretrain_entry(settings, facts.task)
    if plan.get("pretrain"):
        must_rebuild(plan, network)
    if facts.task == "generate":
        _must_be_two(network)
        held = {c.target for c in inspection.cases if c.target is not None}
        classes = facts.num_classes if facts.events else len(held)
        plan["features"] = features_entry(settings.task.feature_steps, classes)
    if network is None:
        _must_be_held(plan)
        network = build_network(plan)
        _lay_out(plan, network)
    tell_mean(plan, network)
    return plan, network


def _lay_out(plan: dict[str, Any], network: nn.Module) -> None:
    """Settle the order of axes in memory."""
    shape = (plan["network"]["in_channels"], *(plan["sampling"]["size"] or ()))
    plan["memory_layout"] = memory_layout(countable(plan, network), shape, int(plan["batch"]))
    if plan["memory_layout"] == "channels_last":
        laid_out(network, "channels_last")
        plan["reasons"].append("channels last in memory: such convolutions are faster so here")


def channel_files(inspection: Inspection) -> dict[str, Any]:
    """The plan's key for which files are channels of one case; none where a case is one file."""
    rule = rule_of(inspection.index.extra)
    return {} if rule is None else {KEY: rule.document()}


def _must_be_held(plan: Mapping[str, Any]) -> None:
    """Refuse a network whose weights alone are more than the memory, before they are drawn.

    Raises:
        PlanError: they are.
    """
    limit = memory_limit()
    if limit is None:
        return
    with outlined():
        size = sum(p.numel() * p.element_size() for p in build_network(plan).parameters())
    if size > limit:
        rule = f"memory must hold the weights of {plan['network']['name']}, {size / GIB:,.1f} GiB"
        remedy = "Use a smaller net.width, or another network"
        raise PlanError("train", rule, f"{limit / GIB:,.1f} GiB", remedy)


def traced_optimizer(train: TrainSettings | Mapping[str, Any]) -> str:
    """The optimizer's name as a trace knows it; our "sgd" has momentum."""
    name = train["optimizer"] if isinstance(train, Mapping) else train.optimizer
    return {"sgd": "momentum"}.get(name or "", "adamw")


def traced_loss(plan: Mapping[str, Any]) -> Loss | None:
    """The task's loss; what is computed from labels (weights, distances), a trace has not."""
    fields = plan["task_fields"]
    by_labels = fields.get("border_weight") or fields.get("instances")
    return None if by_labels else build_task(plan).step


def counted(
    draft: Mapping[str, Any],
    network: nn.Module,
    seen: Setting,
    keeping: Keeping,
    limit: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a step in this setting costs, and the process around it, as the contract's document.

    Args:
        limit: bytes past which the process is refused memory.
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

    def document(counted: nn.Module, **words: Any) -> dict[str, Any]:
        return plan_document(
            draft["network"]["name"],
            counted,
            (draft["network"]["in_channels"], *seen.patch),
            draft["batch"] if seen.accumulate > 1 else seen.batch,
            precision=seen.precision,
            passes=seen.accumulate,
            checkpointing=seen.checkpointing,
            keeps=seen.allocator == "keep" if training else None,
            lasting=keeping.lasting if training else 0,
            between=keeping.between(seen) if training else 0,
            limit=limit,
            over_time=training,
            **words,
        )

    found = document(countable(draft, network), **words)
    if training and (first := pretext_outline(draft, network)) is not None:
        own = {"optimizer": "adamw", "loss": first.loss, "layers": False}
        found = _heavier(found, document(first.network, **words | own))
    return found | _ways(seen)


def _heavier(training: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a training, with the memory of what comes before it where that is more."""
    if before["memory"]["process_bound"] <= training["memory"]["process_bound"]:
        return training
    return training | {key: before[key] for key in ("memory", "peak_at", "timeline")}


def uncounted(draft: Mapping[str, Any], network: nn.Module, seen: Setting) -> dict[str, Any]:
    """The same of a network that cannot be traced: all but its memory."""
    shape = (draft["network"]["in_channels"], *seen.patch)
    name, optimizer = draft["network"]["name"], traced_optimizer(draft["train"])
    counted = countable(draft, network)
    try:
        found = plan_document(name, counted, shape, seen.batch, optimizer=optimizer, memory=False)
    except PlanError:  # nor can its multiplications be counted
        found = bare_document(name, counted, shape, seen.batch, optimizer=optimizer)
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
        looked_at = affordable(cases, LOOKED_AT)
        start = Preparation(**(fields | {"normalization": "none"}))
        mean, std = grey_statistics(lambda: map(inspection.load, looked_at), start)
        fields |= {"mean": tuple(mean), "std": tuple(std)}
    return Preparation(**fields)


def _outputs(facts: Facts, fields: Mapping[str, Any]) -> int:
    """Outputs of the network: a class each, but for maps that hold more than classes."""
    if facts.task != "segment":
        return facts.num_classes
    return build_task({"task": facts.task, "task_fields": fields}).outputs


def _network(
    facts: Facts, settings: Settings, size: list[int], network: nn.Module | None, outputs: int
) -> dict[str, Any]:
    channels = len(settings.input.channels or ()) or facts.channels
    shared = {
        "spatial_dims": facts.spatial_dims,
        "in_channels": _shown_channels(channels, settings.input),
        "num_classes": outputs,
        "input_size": size,
    }
    if network is not None:
        return {"name": type(network).__name__, "custom": True, **shared, "width": 1.0}
    net = settings.net
    return {"name": net.name, **shared, "width": net.width, "options": net.options}


def _shown_channels(own: int, seen: InputSettings) -> int:
    """Of what the network sees, of cases of `own` channels."""
    way = Around(length=1, reference=bool(seen.reference), rhythm=bool(seen.rhythm))
    return way.channels(own)


def _must_be_two(network: nn.Module | None) -> None:
    """Refuse a module of the user's own that cannot learn against itself.

    Raises:
        UsageError: no generator, discriminator or size of its random vector.
    """
    missing = [n for n in ("generator", "discriminator", "latent") if not hasattr(network, n)]
    if network is not None and missing:
        rule = "a network that generates has generator, discriminator and latent"
        raise UsageError(type(network).__name__, rule, f"no {missing[0]}", "Use dcgan, or add it")


def _augmentation(facts: Facts, settings: Settings) -> dict[str, Any] | None:
    if not settings.augment.enabled:
        return None
    from convivo.data.augment import Augmentation, default

    flips = tuple(settings.augment.flips or ())
    if facts.task in ("reconstruct", "generate"):  # what is altered would be rebuilt, or imitated
        mirrored = Augmentation(flip_axes=flips).to_dict() | settings.augment.fields
        alters = any(value for key, value in mirrored.items() if key != "low_resolution")
        return Augmentation.from_dict(mirrored).to_dict() if alters else None
    small = facts.spatial_dims == 2 and min(settings.input.size or [SMALL]) < SMALL
    preset = default(facts.spatial_dims, facts.task, flips, small=small)
    kept = STEADY.get(facts.task, {})
    chosen = Augmentation.from_dict(preset.to_dict() | kept | settings.augment.fields)
    if chosen.mixup and chosen.p_mixup and (facts.task != "classify" or not facts.exclusive):
        rule, remedy = "mixup mixes the classes of whole items", "Leave out augment.p_mixup"
        raise ConfigError("augment.mixup", rule, f"the task {facts.task}", remedy)
    return chosen.to_dict()
