"""What a network asks of its patches, and what a patch asks of a U-Net's encoder."""

from typing import Any

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create, options
from convivo.architectures.outline import outlined
from convivo.geometry import to_multiple
from convivo.verbs.settings import NetSettings


def fitting_size(
    net: NetSettings, size: list[int], *, channels: int, num_classes: int
) -> list[int]:
    """The smallest size, not below `size`, that the network takes: its multiples, its least size.

    Networks that classify have no multiples. The network is built without its weights and asked.
    One that is not ours says nothing.

    Raises:
        ConfigError: an option that the network does not have.
    """
    if net.name not in ARCHITECTURES:
        return size
    with outlined():
        built = create(
            net.name,
            spatial_dims=len(size),
            in_channels=channels,
            num_classes=num_classes,
            width=net.width or 1.0,
            **net.options,
        )
    ones = (1,) * len(size)
    least = getattr(built, "least_size", ones)
    enough = [max(n, m) for n, m in zip(size, least, strict=True)]
    if "segment" not in ARCHITECTURES[net.name].tasks:
        return enough  # what averages its last grid takes any size
    return list(to_multiple(enough, getattr(built, "total_stride", ones)))


def sized_by_input(name: str) -> bool:
    """Whether one of our networks is built for a size, and cannot say which it would like."""
    return name in ARCHITECTURES and ARCHITECTURES[name].needs_input_size


def encoder_settings(encoder: object, stem: str) -> dict[str, Any]:
    """Options of a U-Net's encoder for patches that call for this stem, where it has stems.

    Example:
        >>> encoder_settings("resnet18", "small"), encoder_settings("vgg16", "small")
        ({'encoder_options': {'stem': 'small'}}, {})
    """
    if encoder not in ARCHITECTURES or "stem" not in options(str(encoder)):
        return {}
    return {"encoder_options": {"stem": stem}}
