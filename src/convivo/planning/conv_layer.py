"""A convolution as its kernels see it: sizes, in numbers and in bytes."""

import math
from dataclasses import dataclass

import torch

from convivo.geometry import Axes

SINGLE = 4  # bytes of a float32
IMAGE, VOLUME = 2, 3  # axes
NARROW, WIDE = 8, 16  # float32 values in a register of AVX2, of AVX-512


def lane() -> int:
    """Float32 values in a register of this machine."""
    return WIDE if "AVX512" in torch.backends.cpu.get_cpu_capability() else NARROW


def up(value: int, step: int) -> int:
    """The next multiple."""
    return -(-value // step) * step


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution from `ins` channels to `outs`, on grids of `fine` and `coarse` samples.

    A transposed one is the same thing run backward, so that `ins` and `fine` are its output's.
    bytes: of one value. plain: its tensors are channels last, where no blocks are needed.
    transposed: run backward. biased: and its kernel adds the bias to a copy of the result.
    """

    batch: int
    ins: int
    outs: int
    kernel: Axes
    stride: Axes
    padding: Axes
    dilation: Axes
    groups: int
    fine: Axes
    coarse: Axes
    bytes: int
    plain: bool
    transposed: bool = False
    biased: bool = False

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)

    @property
    def x(self) -> int:
        return self.batch * self.ins * math.prod(self.fine) * self.bytes

    @property
    def y(self) -> int:
        return self.batch * self.outs * math.prod(self.coarse) * self.bytes

    @property
    def w(self) -> int:
        return self.ins * self.outs // self.groups * self.taps * self.bytes

    @property
    def columns(self) -> int:
        """The windows of one image and group, unrolled."""
        return self.ins // self.groups * self.taps * math.prod(self.coarse) * self.bytes

    @property
    def own(self) -> tuple[int, int]:
        """Channels of one group."""
        return self.ins // self.groups, self.outs // self.groups

    @property
    def reach(self) -> int:
        """From the first tap to the last, along the last axis."""
        return self.dilation[-1] * (self.kernel[-1] - 1)

    @property
    def is_volume(self) -> bool:
        return len(self.kernel) == VOLUME

    @property
    def is_half(self) -> bool:
        return self.bytes < SINGLE

    @property
    def is_strided(self) -> bool:
        return max(self.stride) > 1

    @property
    def is_dilated(self) -> bool:
        return max(self.dilation) > 1 and self.taps > 1

    @property
    def is_depthwise(self) -> bool:
        return self.groups > 1 and self.own == (1, 1)
