"""The patch of the U-Net without padding: what it sees, to answer about the usual patch."""

from collections.abc import Sequence
from math import prod

from convivo.architectures.unet_2015 import lattice
from convivo.verbs.settings import InputSettings, NetSettings

PUBLISHED_LEVELS = 5
SEEN = 4  # times the samples of the largest usual patch that may be seen: most of it is margin


def valid_levels(spatial_dims: int, most: int) -> int:
    """As many levels as leave an answer to a patch of `most` samples; two or more, at most five.

    Example:
        >>> valid_levels(2, 4 * 256 * 256), valid_levels(3, 4 * 112_000)
        (5, 3)
    """
    levels = PUBLISHED_LEVELS
    while levels > 2 and lattice(levels)[2] ** spatial_dims > most:
        levels -= 1
    return levels


def valid_patch(usual: Sequence[int], levels: int, most: int) -> list[int]:
    """The smallest patch that answers about all of the usual one, cut down to `most` samples.

    Example:
        >>> valid_patch((96, 112), 5, 4 * 256 * 256), valid_patch((256, 256), 5, 4 * 256 * 256)
        ([284, 300], [444, 444])
    """
    step, margin, least = lattice(levels)
    size = [least + step * max(0, -(-(n + 2 * margin - least) // step)) for n in usual]
    while prod(size) > most and max(size) > least:
        size[size.index(max(size))] -= step
    return size


def without_padding(
    net: NetSettings,
    seen: InputSettings,
    asked: Sequence[int] | None,
    most: int,
    reasons: list[str],
) -> tuple[NetSettings, InputSettings]:
    """Settings of `unet_2015`: its levels where they are open, and a patch that these can halve.

    Args:
        asked: the patch that the user set; it stays, and the levels are the published ones.
        most: samples of the largest usual patch.
        reasons: told what was chosen.
    """
    levels = net.options.get("levels")
    if asked is not None or (levels is not None and (not isinstance(levels, int) or levels < 2)):
        return net, seen  # the network itself refuses what it cannot be
    usual = tuple(seen.size or ())
    if levels is None:
        levels = valid_levels(len(usual), SEEN * most)
        net = net.model_copy(update={"levels": levels})
        if levels < PUBLISHED_LEVELS:
            reasons.append(f"{levels} levels: more would need patches of too many samples")
    size = valid_patch(usual, levels, SEEN * most)
    inner = [n - 2 * lattice(levels)[1] for n in size]
    reasons.append(
        f"sees {' x '.join(map(str, size))} to answer {' x '.join(map(str, inner))}: nothing is "
        "padded, the image is mirrored at its ends"
    )
    return net, seen.model_copy(update={"size": size})
