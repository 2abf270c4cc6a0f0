"""How many levels a DCGAN has for an image, which axes each of them halves, and what it refuses."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from convivo.architectures.blocks import scaled
from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes

START, LEAST = 4, 16  # samples per axis of the coarsest grid, and of the smallest image
MAXIMUM = 1024  # channels of any level at most


def halvings(size: int) -> int:
    """How often an axis is halved on its way to `START` samples."""
    return size.bit_length() - START.bit_length()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What both halves have alike: the image, and the channels of the levels, finest first.

    classes: 0 of an unconditional network.
    """

    spatial_dims: int
    in_channels: int
    input_size: Axes
    latent: int
    classes: int
    width: float

    @cached_property
    def strides(self) -> list[Axes]:
        """Per level: 2 on the axes that still have more than `START` samples."""
        count = max(map(halvings, self.input_size))
        return [tuple(2 if halvings(n) > i else 1 for n in self.input_size) for i in range(count)]

    @cached_property
    def channels(self) -> list[int]:
        count = len(self.strides)
        return [scaled(min(64 * 2**i, MAXIMUM), self.width) for i in range(count)]


def kernel(stride: Axes) -> Axes:
    """4 where an axis is halved or doubled, else 3; both with padding 1."""
    return tuple(4 if s > 1 else 3 for s in stride)


def check_labels(labels: Tensor | None, classes: int, where: str) -> None:
    """Refuse labels that an unconditional network cannot use, and their lack in a conditional one.

    Raises:
        ConfigError: one of the two.
    """
    if (labels is None) == (classes == 0):
        return
    rule = "a conditional network takes labels (N,), and no other does"
    remedy = "Give labels" if classes else "Leave them out, or create it with conditional=True"
    raise ConfigError(where, rule, "no labels" if labels is None else "labels", remedy)


def check_powers_of_two(size: Axes) -> None:
    """Refuse axes that cannot be halved down to 4 samples.

    Raises:
        ShapeError: an axis is no power of two, or below 16; the message has the nearest size.
    """
    near = tuple(_nearest_power(n) for n in size)
    if near != size:
        rule = f"every axis must be a power of two, {LEAST} or more"
        raise ShapeError("dcgan", rule, size, f"Resample to {near}")


def _nearest_power(n: int) -> int:
    below = 1 << max(n, LEAST).bit_length() - 1
    return below if max(n, LEAST) - below < 2 * below - n else 2 * below
