"""The rule that completes a configuration: network, input, batch, augmentation, learning rate.

Every choice comes from the data's fingerprint (`Facts`), never from a data set's name, and each
is told in one sentence of `reasons`. What the user set stays as it is.
"""

from typing import Any

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import options
from convivo.architectures.unet import unet_plan
from convivo.errors import ConfigError, UsageError
from convivo.verbs.fingerprint import Facts
from convivo.verbs.network_needs import encoder_settings
from convivo.verbs.seeing import PATCH_SAMPLES, SEEN_AS, by, filled, fitted, shown
from convivo.verbs.settings import (
    AugmentSettings,
    InputSettings,
    NetSettings,
    Settings,
    TrainSettings,
)
from convivo.verbs.valid_patch import without_padding

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
GENERATOR_WIDTH = {1: 0.5, 2: 0.25, 3: 0.25}
GENERATED_BATCH = {1: 64, 2: 64, 3: 16}
# task -> learning rate, weight decay, length that gradients are cut to
RATES = {
    "classify": (2e-3, 5e-2, 5.0),
    "regress": (2e-3, 5e-2, 5.0),
    "segment": (1e-3, 1e-2, 12.0),
    "reconstruct": (1e-3, 1e-4, 5.0),
    "generate": (1e-3, 0.0, 0.0),
}
CRITIC_RATE = 2e-4  # a gradient penalty asks for small steps
IMBALANCE = 3.0
BORDER_SIGMA = 5.0  # samples, as published


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
    seen, why = shown(facts, settings.input, reasons, own=own is not None)
    net = _net(facts, settings.net, seen, reasons if own is None else [])
    if settings.task.loss == "wgan-gp" and net.name == "dcgan":
        options = {"discriminator_norm": "layer"} | net.options
        net = NetSettings(name=net.name, width=net.width, **options)
        reasons.append("layer normalisation: a gradient penalty needs each item's own slope")
    if net.name == "unet_2015":
        most = PATCH_SAMPLES[facts.spatial_dims]
        net, seen = without_padding(net, seen, settings.input.size, most, reasons)
    seen, why = fitted(facts, seen, net, settings.input, why)
    reasons.append(f"{SEEN_AS[seen.sampling or 'whole']} {by(seen.size or ())}: {why}")
    asked = settings.train
    if settings.task.loss == "wgan-gp" and asked.lr is None:
        asked = asked.model_copy(update={"lr": CRITIC_RATE})
    train = _train(facts, asked, reasons)
    augment = _augment(facts, settings.augment, reasons)
    parts: dict[str, Any] = {"input": seen, "net": net, "train": train, "augment": augment}
    if facts.instances:
        reasons.append(f"objects are told apart: {facts.instances}")
        parts["task"] = settings.task.model_copy(update={"instances": True})
    return settings.model_copy(update=parts), reasons


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
        reasons.append(f"{width:g} of its published width: more steps in that time")
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
        where = " in each record" if facts.events else ""
        reasons.append(f"rare classes are drawn more often (by the square root of rarity{where})")
    lr, weight_decay, clip = RATES[facts.task]
    if facts.task == "generate" and section.precision is None:
        section = section.model_copy(update={"precision": "fp32"})
        reasons.append("fp32: networks against each other need its small differences")
    return filled(
        section,
        batch=batch,
        optimizer="adamw",
        lr=lr,
        weight_decay=weight_decay,
        clip=clip,
        balance=0.5 if uneven else 0.0,
        label_smoothing=0.0,
        ema=0.0,
        # the distance of generated images falls by fits and starts
        patience=0 if facts.task == "generate" else None,
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
    return filled(section, flips=list(facts.flips))
