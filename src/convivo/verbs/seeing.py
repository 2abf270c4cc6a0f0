"""What a network is shown of a case, chosen by rule: grid, windows or patches, and their size."""

from math import prod

from convivo.errors import ConfigError
from convivo.geometry import to_multiple
from convivo.verbs.fingerprint import Facts
from convivo.verbs.network_needs import fitting_size, sized_by_input
from convivo.verbs.settings import InputSettings, NetSettings

SIGNAL_RATE_HZ = 120.0  # a QRS complex has little above 40 Hz
# around a moment: a beat alone; with its neighbours, which a premature one is known by, where it
# is to be told apart and its rhythm is not shown beside it
ALONE_SECONDS, ALONE_BEFORE = 1.2, 0.45
ALONE = "a beat and little else"
EVENT_SECONDS, EVENT_BEFORE = 3.0, 0.55
LONG_SIGNAL = 4096  # samples; longer series are cropped
# largest side of whole cases given to a classifier; of those that are rebuilt or imitated
WHOLE_SIDE = {1: LONG_SIGNAL, 2: 224, 3: 64}
REBUILT_SIDE = {1: 1024, 2: 64, 3: 32}
PATCH_SAMPLES = {
    1: 4096,
    2: 256 * 256,
    3: 112_000,
}  # per patch; a U-Net step then takes about a second on 2 cores
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


def filled(section, **chosen):
    """The section with what the user left open filled in."""
    open_fields = {k: v for k, v in chosen.items() if getattr(section, k) is None}
    return section.model_copy(update=open_fields)


def shown(
    facts: Facts, section: InputSettings, reasons: list[str], *, own: bool
) -> tuple[InputSettings, str]:
    """What the network (the user's own?) is given of a case, and why of that size."""
    spacing = _spacing(facts, section, reasons)
    normalization = _normalization(facts)
    beside = _beside(facts, section, reasons, own=own)
    alone = spacing is not None and (beside["rhythm"] or facts.task != "classify")
    common = {
        "spacing": list(spacing) if spacing else None,
        "orientation": "RAS" if facts.oriented else None,
        "normalization": normalization,
        "channels": list(facts.channel_names) or None,
        "before": ALONE_BEFORE if alone else EVENT_BEFORE,
        **beside,
        "foreground": 0.5,
    }
    if facts.task == "generate" and normalization == "fixed":  # to -1..1, what a tanh can give
        common |= {"mean": [0.5], "std": [0.5]}
    sampling, size, why = _seen(facts, spacing, alone=alone)
    if facts.task == "generate" and (made := [_power_of_two(n) for n in size]) != size:
        size, why = made, "a generator doubles its axes"
    if section.size is not None:
        why = "as asked"
    return filled(section, sampling=sampling, size=size, **common), why


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


def _seen(
    facts: Facts, spacing: tuple[float, ...] | None, *, alone: bool
) -> tuple[str, list[int], str]:
    """The sampling, its size, and why that. alone: a moment needs no neighbours beside it."""
    shape = _resampled(facts.shape, facts, spacing)
    if facts.task == "segment":
        return "patch", _patch(facts.spatial_dims, shape), f"the median case is {by(shape)}"
    if facts.events:
        why = "a beat is judged beside its neighbours"
        if not spacing:
            return "window", [256], why
        seconds, why = (ALONE_SECONDS, ALONE) if alone else (EVENT_SECONDS, f"since {why}")
        return "window", [round(seconds / spacing[0])], f"{seconds:g} s, {why}"
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
        # Of recordings artefacts are left out of the scale. Where beats are told apart they are the
        # scale: most of a recording is not beats, and how quiet it is says nothing of their height.
        told_apart = facts.events and facts.task == "classify"
        return "robust" if facts.spacing_unit == "s" and not told_apart else "zscore"
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


def _power_of_two(side: int) -> int:
    """The nearest one that a DCGAN makes, 16 at least.

    Example:
        >>> [_power_of_two(n) for n in (5, 28, 64, 90, 360)]
        [16, 32, 64, 64, 256]
    """
    below = 1 << max(16, side).bit_length() - 1
    return below if side - below <= 2 * below - side else 2 * below


def fitted(
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


def by(size: tuple[int, ...] | list[int]) -> str:
    """A size in words: 40 x 56 x 40."""
    return " x ".join(str(n) for n in size)
