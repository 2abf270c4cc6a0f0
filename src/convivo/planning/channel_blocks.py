"""Memory that oneDNN's convolutions need at once, results among it, for their own layouts.

It computes in blocks of channels (16 float32 values in a register of AVX-512, 8 of AVX2), so
input, weight and result are first copied into padded blocks, then the result back. Which of its
kernels does so, and in which order it lets go, was read from torch 2.13's allocator events on
an AVX-512 machine for thousands of shapes; scratch of a few ten KiB is left out.
"""

import math
from dataclasses import dataclass
from operator import gt

import torch

from convivo.geometry import Axes

SINGLE = 4  # bytes of a float32
IMAGE, VOLUME = 2, 3  # axes
NARROW, WIDE = 8, 16  # float32 values in a register of AVX2, of AVX-512
FLAT_BACKWARD = 3  # channels of an image; more are blocked for the gradient of the weight


def _lane() -> int:
    return WIDE if "AVX512" in torch.backends.cpu.get_cpu_capability() else NARROW


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution from `ins` channels to `outs`, on grids of `fine` and `coarse` samples.

    A transposed one is the same thing run backward, so that `ins` and `fine` are its output's.
    bytes: of one value. plain: its tensors are channels last, where no blocks are needed.
    """

    batch: int
    ins: int
    outs: int
    kernel: Axes
    stride: Axes
    padding: Axes
    groups: int
    fine: Axes
    coarse: Axes
    bytes: int
    plain: bool

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
    def by_matrix(self) -> bool:
        """Groups that fill no block are unrolled into a matrix product."""
        own = self.ins // self.groups, self.outs // self.groups
        lane = _lane()
        blocked = own[0] == own[1] and own[0] in (1, 4, 8)
        return self.groups > 1 and not blocked and (own[0] % lane > 0 or own[1] % lane > 0)

    @property
    def unrolled(self) -> bool:
        """Windows are unrolled into columns, also where some of them meet nothing but padding."""
        return self.by_matrix or any(map(gt, self.padding, self.fine))

    @property
    def in_small_groups(self) -> bool:
        """Groups whose gradient of the weight is a matrix product, though they fill a block."""
        own = self.ins // self.groups
        blocked = self.bytes == SINGLE and len(self.kernel) < VOLUME
        return self.groups > 1 and (own == 4 or (own == 8 and not blocked))

    @property
    def strides_inside(self) -> bool:
        """The gradient of x is computed channels last."""
        filled = self.groups == 1 or self.ins // self.groups >= 2 * _lane()
        return max(self.stride) > 1 and filled and not self.plain

    def _blocks(self, *, flat_below: int, lane: int) -> tuple[int, int, int]:
        """Bytes of the copies of x, w and y."""
        if self.groups > 1:
            return self.x, self.w, self.y
        ins, outs = _up(self.ins, lane), _up(self.outs, lane)
        x, y = self.batch * ins * math.prod(self.fine), self.batch * outs * math.prod(self.coarse)
        if self.ins < flat_below and self.taps > 1:
            x, ins = 0, self.ins
        return x * self.bytes, ins * outs * self.taps * self.bytes, y * self.bytes

    @property
    def by_slices(self) -> bool:
        """The gradient of a volume's kernel is a matrix product a slice, summed up in parts."""
        narrow = any(0 < p >= n - 1 for p, n in zip(self.padding, self.fine, strict=True))
        return len(self.kernel) == VOLUME and (narrow or self.has_few or _lane() < WIDE)

    @property
    def has_few(self) -> bool:
        """Too few channels for a block, and too many for an image: of no use to AVX-512."""
        few = FLAT_BACKWARD < self.ins < _lane()
        return few and self.groups == 1 and self.taps > 1

    def _sums(self, channels: int, grid: Axes) -> int:
        """The float32 sums of one image that bfloat16 kernels of one tap keep."""
        pointwise = self.bytes < SINGLE and self.taps == 1
        return _up(channels, _lane()) * math.prod(grid) * SINGLE if pointwise else 0

    def forward(self) -> int:
        """Most bytes at once for y, y itself among them."""
        if self.unrolled:
            return self.y + max(self.columns, self.y)
        if self.plain:
            return self.y + self.w
        x, w, y = self._blocks(flat_below=_lane(), lane=_lane())
        return max(x + w + y + self._sums(self.outs, self.coarse), y + self.y)

    def backward_data(self) -> int:
        """Likewise for the gradient of x."""
        if self.unrolled:
            return self.x + max(self.columns, self.x)
        if self.strides_inside:
            # channels last inside, a padded image for each thread, then back in two goes; of a
            # single channel both orders are one
            w = self.w // self.ins * _up(self.ins, _lane())
            over = [2 * (k > s) for k, s in zip(self.kernel, self.stride, strict=True)]
            grid = math.prod(n + more for n, more in zip(self.coarse, over, strict=True))
            scratch = torch.get_num_threads() * self.outs * grid * self.bytes
            return max(self.y + w + self.x + scratch, (3 if self.ins > 1 else 2) * self.x)
        if self.plain:
            return self.x + self.w
        x, w, y = self._blocks(flat_below=0, lane=_lane())
        return max(x + w + y + self._sums(self.ins, self.fine), x + self.x)

    def backward_weight(self) -> int:
        """Likewise for the gradient of w."""
        if self.bytes < SINGLE:
            return self._backward_weight_half()
        if self.by_matrix:
            return self.w + self.columns
        if self.by_slices:
            return 5 * self.w + self.columns // self.coarse[0]
        if self.in_small_groups or self.plain:
            return 2 * self.w
        lane = NARROW if self.has_few else _lane()
        x, w, y = self._blocks(flat_below=FLAT_BACKWARD + 1, lane=lane)
        return max(x + w + y, w + self.w)

    def _backward_weight_half(self) -> int:
        """In bfloat16: sums in float32, and transposed images but for points of images."""
        few = self.ins < _lane() and self.groups == 1 and self.taps > 1
        if self.by_matrix or (few and self.outs < _lane()):
            slices = self.coarse[0] if len(self.kernel) == VOLUME else 1
            return 3 * self.w + self.columns // slices
        if self.in_small_groups or self.plain:
            return 2 * self.w
        x, w, y = self._blocks(flat_below=_lane(), lane=_lane())
        sums = w * SINGLE // self.bytes
        if self.taps > 1 or len(self.kernel) != IMAGE:
            sums += torch.get_num_threads() * (x + y) // self.batch
        return max(x + w + y + sums, w + self.w)
