"""How many levels a U-Net gets for a patch, and how each of them treats each axis."""

from collections.abc import Sequence

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes

BASE, MAXIMUM = 32, 320
LEAST = 4  # samples per halved axis that the bottom level keeps at least
FACTOR = 2.0  # spacings within this factor count as equal


def _strides(size: list[int], spacing: list[float]) -> Axes | None:
    """Which axes the next level halves; None where there is nothing left to halve."""
    long = [s for n, s in zip(size, spacing, strict=True) if n >= 2 * LEAST]
    if not long:
        return None
    finest = min(long)
    rows = zip(size, spacing, strict=True)
    return tuple(2 if n >= 2 * LEAST and s <= FACTOR * finest else 1 for n, s in rows)


def unet_plan(
    patch: Sequence[int],
    spacing: Sequence[float] | None = None,
    max_levels: int = 6,
    base: int = BASE,
    maximum: int = MAXIMUM,
) -> dict[str, list]:
    """Channels, kernels and strides by level, as options of `unet`.

    A level should see about the same distance along every axis. So the finely sampled axes are
    halved first, and an axis of thick slices joins in when the others have become as coarse as it
    is. The rule, level by level:

    - An axis is halved while it has 8 samples or more (4 or more are left) and its spacing is at
      most twice the finest among the axes that are still that long.
    - The kernel is 1 along an axis whose spacing is more than twice the finest one, since its
      neighbours are too far away to be of the same structure; else 3. Once 3, it stays 3.
    - Channels start at `base` and double, up to `maximum`.

    Halving rounds up, as a patch will be padded to a multiple of the total stride.

    Args:
        patch: size of the input in samples.
        spacing: distance between samples per axis, in any one unit. Default: equal.
        max_levels: stop at so many levels.
        base: channels of the first level.
        maximum: channels of any level at most.
    Raises:
        ShapeError: `patch` and `spacing` have different lengths.
        ConfigError: fewer than two levels, or a spacing that is not positive.
    Example:
        >>> plan = unet_plan((20, 256, 256), (5.0, 1.0, 1.0), max_levels=4)
        >>> plan["kernels"]
        [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)]
        >>> plan["strides"]
        [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2)]

    Source: the rule of Isensee et al. 2021, arXiv:1809.10486, supplement.
    """
    size = [int(n) for n in patch]
    gaps = [1.0] * len(size) if spacing is None else [float(s) for s in spacing]
    _check(size, gaps, max_levels)
    channels, kernels, strides = [], [], []
    stride: Axes | None = (1,) * len(size)
    kernel = (1,) * len(size)
    while stride is not None and len(strides) < max_levels:
        size = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        gaps = [g * s for g, s in zip(gaps, stride, strict=True)]
        near = [g <= FACTOR * min(gaps) for g in gaps]
        kernel = tuple(3 if k == 3 or n else 1 for k, n in zip(kernel, near, strict=True))
        channels.append(max(base, min(base * 2 ** len(strides), maximum)))
        kernels.append(kernel)
        strides.append(stride)
        stride = _strides(size, gaps)
    return {"channels": channels, "kernels": kernels, "strides": strides}


def level_channels(channels: Sequence[int], levels: int | None) -> list[int]:
    """Channels of so many levels: some of `channels`, or the last one goes on doubling up to 320.

    Raises:
        ConfigError: fewer than two levels, or a level without channels.
    Example:
        >>> level_channels((32, 64), 2), level_channels((32, 64), 5)
        ([32, 64], [32, 64, 128, 256, 320])
    """
    wanted = len(channels) if levels is None else levels
    if wanted < 2 or not channels or min(channels) < 1:
        rule = "at least two levels, each with at least one channel"
        got = f"channels={tuple(channels)}, levels={levels}"
        raise ConfigError("net.channels", rule, got, "Give one number per level, finest first")
    result = list(channels[:wanted])
    while len(result) < wanted:
        result.append(max(result[-1], min(2 * result[-1], MAXIMUM)))
    return result


def _check(size: list[int], spacing: list[float], max_levels: int) -> None:
    if len(size) != len(spacing):
        got = f"patch {tuple(size)}, spacing {tuple(spacing)}"
        raise ShapeError("unet_plan", "one spacing per axis of the patch", got, "Give both alike")
    if max_levels < 2 or min(spacing) <= 0:
        got = f"max_levels={max_levels}, spacing {tuple(spacing)}"
        rule = "two levels or more, and positive spacings"
        raise ConfigError("unet_plan", rule, got, "Correct them")
    if max(size) < 2 * LEAST:
        rule = f"a U-Net halves at least one axis of {2 * LEAST} samples or more"
        raise ShapeError("unet_plan", rule, f"patch {tuple(size)}", f"Use {2 * LEAST} or more")
