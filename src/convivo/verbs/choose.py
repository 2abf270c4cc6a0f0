"""The rule that completes a configuration: network, input, batch, augmentation, learning rate.

Every choice comes from the data's fingerprint (`Facts`), never from a data set's name, and each
is told in one sentence of `reasons`. What the user set stays as it is.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import options
from convivo.architectures.unet import unet_plan
from convivo.errors import ConfigError, UsageError
from convivo.geometry import to_multiple
from convivo.verbs.network_needs import encoder_settings, fitting_size, sized_by_input
from convivo.verbs.settings import (
    AugmentSettings,
    InputSettings,
    NetSettings,
    Settings,
    TrainSettings,
)
from convivo.verbs.valid_patch import without_padding

SIGNAL_RATE_HZ = 120.0  # a QRS complex has little above 40 Hz
EVENT_SECONDS, EVENT_BEFORE = (
    3.0,
    0.55,
)  # two or three beats: a premature one is known by its neighbours
LONG_SIGNAL = 4096  # samples; longer series are cropped
# largest side of whole cases given to a classifier; of those that are rebuilt or imitated
WHOLE_SIDE = {1: LONG_SIGNAL, 2: 224, 3: 64}
REBUILT_SIDE = {1: 1024, 2: 64, 3: 32}
PATCH_SAMPLES = {
    1: 4096,
    2: 256 * 256,
    3: 112_000,
}  # per patch; a U-Net step then takes about a second on 2 cores
UNET_BASE = {
    1: 32,
    2: 32,
    3: 32,
}  # bf16 kernels want multiples of 32: 24 channels take four times as long
PATCH_BATCH = {1: 16, 2: 4, 3: 2}
# net.width is a factor; from 4 on it is the number of channels of the first stage
FEWEST_CHANNELS = 4
# where the network is ours to choose; a named one keeps its published width
CLASSIFIER_WIDTH, BEATS_WIDTH = 0.5, 0.25
DEFAULT_NETS = {
    "classify": ("resnet18", "one answer a case"),
    "regress": ("resnet18", "one number a case"),
    "segment": ("unet", "a label for every position"),
    "generate": ("dcgan", "images of random vectors, by two networks against each other"),
    "reconstruct": ("autoencoder", "the input again, through a code of 64 numbers"),
}
GENERATOR_WIDTH = {1: 0.5, 2: 0.5, 3: 0.25}
GENERATED_BATCH = {1: 64, 2: 64, 3: 16}
# task -> learning rate, weight decay, length that gradients are cut to
RATES = {
    "classify": (2e-3, 5e-2, 5.0),
    "regress": (2e-3, 5e-2, 5.0),
    "segment": (1e-3, 1e-2, 12.0),
    "reconstruct": (1e-3, 1e-4, 5.0),
    "generate": (2e-4, 0.0, 0.0),
}
SEEN_AS = {
    "patch": "patches of",
    "window": "windows of",
    "crop": "crops of",
    "whole": "whole cases at",
}
BESIDE = {
    "reference": "beside each window what differs from its record's median one: subjects differ, "
    "and so does what is unusual",
    "rhythm": "and how early its moment comes, against the record's usual distance",
}
IMBALANCE = 3.0
BORDER_SIGMA = 5.0  # samples, as published


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The fingerprint of a training set, all that the rule may look at.

    shape: median spatial shape in the data's own orientation (canonical for volumes).
    spacing: median, None where unknown. items: labelled things to learn from. counts: per class.
    flips: axes whose mirroring looks natural. oriented: cases say how they lie in the body.
    exclusive: a case has one class, not several. instances: how label maps number objects, in
    words; empty where they name classes.
    """

    task: str
    spatial_dims: int
    channels: int
    num_classes: int
    events: bool
    counts: tuple[int, ...]
    shape_min: tuple[int, ...]
    shape: tuple[int, ...]
    shape_max: tuple[int, ...]
    spacing: tuple[float, ...] | None
    spacing_unit: str
    dtype: str
    items: int
    flips: tuple[int, ...]
    channel_names: tuple[str, ...]
    oriented: bool
    exclusive: bool = True
    instances: str = ""


def choose(facts: Facts, settings: Settings, own: str | None = None) -> tuple[Settings, list[str]]:
    """Complete `settings` for these facts.

    Args:
        own: name of the user's own module, which takes the place of the network chosen here.
    Returns:
        The settings, every field filled that the task uses (steps, threads, precision and
        mean/std are the plan's business), and the reasons in sentences: of what is done in the
        end, not of what the rule would have done.
    """
    reasons: list[str] = [] if own is None else [f"{own}: the network as given"]
    seen, why = _input(facts, settings.input, reasons, own=own is not None)
    net = _net(facts, settings.net, seen, reasons if own is None else [])
    if settings.task.loss == "wgan-gp" and net.name == "dcgan":
        options = {"discriminator_norm": "layer"} | net.options
        net = NetSettings(name=net.name, width=net.width, **options)
        reasons.append("layer normalisation: a gradient penalty needs each item's own slope")
    if net.name == "unet_2015":
        most = PATCH_SAMPLES[facts.spatial_dims]
        net, seen = without_padding(net, seen, settings.input.size, most, reasons)
    seen, why = _fit_size(facts, seen, net, settings.input, why)
    reasons.append(f"{SEEN_AS[seen.sampling or 'whole']} {_by(seen.size or ())}: {why}")
    train = _train(facts, settings.train, reasons)
    augment = _augment(facts, settings.augment, reasons)
    parts: dict[str, Any] = {"input": seen, "net": net, "train": train, "augment": augment}
    if facts.instances:
        reasons.append(f"objects are told apart: {facts.instances}")
        parts["task"] = settings.task.model_copy(update={"instances": True})
    return settings.model_copy(update=parts), reasons


def _power_of_two(side: int) -> int:
    """The nearest one that a DCGAN makes, 16 at least.

    Example:
        >>> [_power_of_two(n) for n in (5, 28, 64, 90, 360)]
        [16, 32, 64, 64, 256]
    """
    below = 1 << max(16, side).bit_length() - 1
    return below if side - below <= 2 * below - side else 2 * below


def _filled(section, **chosen):
    """The section with what the user left open filled in."""
    open_fields = {k: v for k, v in chosen.items() if getattr(section, k) is None}
    return section.model_copy(update=open_fields)


def _input(
    facts: Facts, section: InputSettings, reasons: list[str], *, own: bool
) -> tuple[InputSettings, str]:
    """What the network (the user's own?) is given of a case, and why of that size."""
    spacing = _spacing(facts, section, reasons)
    normalization = _normalization(facts)
    common = {
        "spacing": list(spacing) if spacing else None,
        "orientation": "RAS" if facts.oriented else None,
        "normalization": normalization,
        "channels": list(facts.channel_names) or None,
        "before": EVENT_BEFORE,
        **_beside(facts, section, reasons, own=own),
        "foreground": 0.5,
    }
    if facts.task == "generate" and normalization == "fixed":  # to -1..1, what a tanh can give
        common |= {"mean": [0.5], "std": [0.5]}
    sampling, size, why = _seen(facts, spacing)
    if facts.task == "generate" and (made := [_power_of_two(n) for n in size]) != size:
        size, why = made, "a generator doubles its axes"
    if section.size is not None:
        why = "as asked"
    return _filled(section, sampling=sampling, size=size, **common), why


def _beside(
    facts: Facts, section: InputSettings, reasons: list[str], *, own: bool
) -> dict[str, bool]:
    """What a moment is shown beside: the usual one of its record, its rhythm.

    Raises:
        ConfigError: asked for where there are no moments to tell apart.
    """
    able, chosen = facts.events and facts.task == "classify", dict[str, bool]()
    for name, why in BESIDE.items():
        asked = getattr(section, name)
        if asked and not able:
            rule, remedy = "moments of records, to tell apart", "Leave it out"
            raise ConfigError(f"input.{name}", rule, f"the task {facts.task}", remedy)
        chosen[name] = asked if asked is not None else able and not own
        if chosen[name]:
            reasons.append(why)
    return chosen


def _seen(facts: Facts, spacing: tuple[float, ...] | None) -> tuple[str, list[int], str]:
    """The sampling, its size, and why that."""
    shape = _resampled(facts.shape, facts, spacing)
    if facts.task == "segment":
        return "patch", _patch(facts.spatial_dims, shape), f"the median case is {_by(shape)}"
    if facts.events:
        why = "a beat is judged beside its neighbours"
        if not spacing:
            return "window", [256], why
        return "window", [round(EVENT_SECONDS / spacing[0])], f"{EVENT_SECONDS:g} s, since {why}"
    rebuilt = facts.task in ("reconstruct", "generate")
    alike = facts.shape_min == facts.shape_max
    if facts.spatial_dims == 1 and not alike and not rebuilt:
        return "crop", [min(shape[0], LONG_SIGNAL)], "the series differ in length"
    cap = (REBUILT_SIDE if rebuilt else WHOLE_SIDE)[facts.spatial_dims]
    scale = min(1.0, cap / max(shape))
    same = alike and scale == 1.0
    why = "the size that all have" if same else "their median size, the longest side capped"
    return "whole", [max(1, round(n * scale)) for n in shape], why


def _spacing(facts: Facts, section: InputSettings, reasons: list[str]) -> tuple[float, ...] | None:
    """The grid everything is resampled to: the median one; signals thinned to about 120 Hz."""
    if section.spacing is not None:
        return tuple(section.spacing)
    if facts.spacing is None:
        return None
    if facts.spacing_unit == "s":
        every = max(1, int(1 / facts.spacing[0] / SIGNAL_RATE_HZ))
        spacing = (facts.spacing[0] * every,)
        if every > 1:
            reasons.append(f"resampled to {1 / spacing[0]:g} Hz: beats have little above 40 Hz")
        return spacing
    return facts.spacing if facts.spatial_dims == 3 and facts.task == "segment" else None


def _resampled(shape: tuple[int, ...], facts: Facts, spacing: tuple[float, ...] | None):
    if spacing is None or facts.spacing is None:
        return shape
    rows = zip(shape, facts.spacing, spacing, strict=True)
    return tuple(max(1, round(n * have / want)) for n, have, want in rows)


def _normalization(facts: Facts) -> str:
    if facts.spatial_dims == 1:
        return "robust" if facts.spacing_unit == "s" else "zscore"
    if facts.task != "segment" and facts.dtype in ("uint8", "bool"):
        return "fixed"
    return "zscore"


def _patch(spatial_dims: int, shape: tuple[int, ...]) -> list[int]:
    """The median case where it fits, else its longest sides shortened until it does."""
    size = list(to_multiple(shape, (8,) * spatial_dims))
    while prod(size) > PATCH_SAMPLES[spatial_dims]:
        longest = size.index(max(size))
        size[longest] -= 8
    return size


def _net(
    facts: Facts, section: NetSettings, seen: InputSettings, reasons: list[str]
) -> NetSettings:
    name = section.name
    if name is None:
        name, why = DEFAULT_NETS[facts.task]
        reasons.append(f"{name}: {why}")
    _must_serve(name, facts.task)
    extra = dict(section.model_extra or {})
    if name == "unet" and extra.get("encoder"):
        stem, why = _stem(min(seen.size or [224]))
        if "encoder_options" not in extra and (own := encoder_settings(extra["encoder"], stem)):
            extra |= own
            reasons.append(why)
        extra.setdefault("deep_supervision", True)
    elif name == "unet" and not {"channels", "levels", "strides"} & set(extra):
        plan = unet_plan(
            tuple(seen.size or ()), tuple(seen.spacing or ()) or None,
            base=UNET_BASE[facts.spatial_dims], max_levels=5,
        )  # fmt: skip
        extra |= {k: [list(v) if isinstance(v, tuple) else v for v in plan[k]] for k in plan}
        extra.setdefault("deep_supervision", True)
    if name in ARCHITECTURES and "stem" in options(name) and "stem" not in extra:
        extra["stem"], why = _stem(min(seen.size or [224]))
        reasons.append(why)
    if name == "dcgan":
        extra.setdefault("output", "tanh" if seen.normalization == "fixed" else "linear")
    return NetSettings(name=name, width=_width(facts, section, name, reasons), **extra)


def _width(facts: Facts, section: NetSettings, name: str, reasons: list[str]) -> float:
    """The factor on the published width: what is asked for, else less where the choice is ours."""
    width = section.width
    if width is not None:
        published = ARCHITECTURES[name].first_channels if name in ARCHITECTURES else 1
        return width / published if width >= FEWEST_CHANNELS else width
    # records are few, however many beats they hold
    classifier = BEATS_WIDTH if facts.events else CLASSIFIER_WIDTH
    ours = {"resnet18": classifier, "dcgan": GENERATOR_WIDTH[facts.spatial_dims]}
    width = ours.get(name, 1.0) if section.name is None else 1.0
    if width < 1:
        times = round(1 / width**2)
        reasons.append(f"{width:g} of its published width: {times} times the steps in that time")
    return width


def _must_serve(name: str, task: str) -> None:
    """Refuse one of our networks for what it cannot do; unknown names are `create`'s to refuse."""
    if name in ARCHITECTURES and task not in ARCHITECTURES[name].tasks:
        able = [known for known, entry in ARCHITECTURES.items() if task in entry.tasks]
        raise UsageError(
            "--net", f"a network that can {task}", repr(name), f"Use {', '.join(able)}"
        )


def _stem(side: int) -> tuple[str, str]:
    if side < 40:
        return "small", f"a first layer without downsampling: {side} samples a side are few"
    if side < 80:
        return "medium", f"a first layer that halves once, not twice: {side} samples a side are few"
    return "published", "the published first layer: the inputs are large enough for it"


def _fit_size(
    facts: Facts, seen: InputSettings, net: NetSettings, asked: InputSettings, why: str
) -> tuple[InputSettings, str]:
    """The network's least size, and multiples of what its levels divide by; and why that size."""
    if asked.size is not None or (net.name and sized_by_input(net.name)):
        return seen, why
    size = fitting_size(
        net,
        list(seen.size or []),
        channels=len(facts.channel_names) or facts.channels,
        num_classes=facts.num_classes,
    )
    if size != list(seen.size or []):
        segment = facts.task == "segment"
        why = f"{why}; {net.name} divides it" if segment else f"{net.name} takes no less"
    return seen.model_copy(update={"size": size}), why


def _train(facts: Facts, section: TrainSettings, reasons: list[str]) -> TrainSettings:
    segment = facts.task == "segment"
    batch = PATCH_BATCH[facts.spatial_dims] if segment else _batch(facts)
    if facts.task == "generate":
        batch = max(2, min(GENERATED_BATCH[facts.spatial_dims], facts.items))
    seen = [n for n in facts.counts if n]
    uneven = (
        facts.task == "classify" and facts.exclusive and seen and max(seen) > IMBALANCE * min(seen)
    )
    if uneven and section.balance is None:
        reasons.append("rare classes are drawn more often (by the square root of their rarity)")
    lr, weight_decay, clip = RATES[facts.task]
    if facts.task == "generate" and section.precision is None:
        section = section.model_copy(update={"precision": "fp32"})
        reasons.append("fp32: networks against each other need its small differences")
    return _filled(
        section,
        batch=batch,
        optimizer="adamw",
        lr=lr,
        weight_decay=weight_decay,
        clip=clip,
        balance=0.5 if uneven else 0.0,
        label_smoothing=0.0,
        ema=0.0,
        border_sigma=_border_sigma(section, segment),
    )


def _border_sigma(section: TrainSettings, segment: bool) -> float | None:
    """How far the weight map's gaps count, where there is such a map.

    Raises:
        ConfigError: a setting of the weight map that would have no effect.
    """
    if section.border_weight and segment:
        return section.border_sigma or BORDER_SIGMA
    if section.border_weight or section.border_sigma is not None:
        rule = "the weight map needs label maps, and a border_weight above 0"
        got = f"border_weight={section.border_weight}, border_sigma={section.border_sigma}"
        remedy = "Leave both out, or set train.border_weight=10 for a segmentation"
        raise ConfigError("train.border_weight", rule, got, remedy)
    return None


def _batch(facts: Facts) -> int:
    """About forty steps an epoch, between 8 and 128 items."""
    limit = {1: 128, 2: 128, 3: 16}[facts.spatial_dims]
    for batch in (8, 16, 32, 64):
        if batch >= limit or facts.items <= batch * 40:
            return min(batch, limit)
    return limit


def _augment(facts: Facts, section: AugmentSettings, reasons: list[str]) -> AugmentSettings:
    if section.enabled and facts.spatial_dims > 1:
        flips, why = facts.flips, "where mirror images cannot be told from originals"
        if section.flips is not None:
            flips, why = tuple(section.flips), "as asked"
        axes = ", ".join(str(a) for a in flips) or "none"
        reasons.append(f"mirrored axes: {axes} ({why})")
    return _filled(section, flips=list(facts.flips))


def _by(size: tuple[int, ...] | list[int]) -> str:
    return " x ".join(str(n) for n in size)
