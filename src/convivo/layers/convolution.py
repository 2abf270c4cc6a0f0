"""Convolution in any dimension: (N, C, *S) -> (N, D, *T), with the kernel as it is or turned.

What networks call a convolution is a cross-correlation: `Conv`. `TrueConv` is the other one.
"""

import math
from collections.abc import Sequence
from operator import ge

import torch
from torch import Tensor, nn

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes, Sides, per_axis, per_side
from convivo.layers.conv_pool_kernel import ConvPool
from convivo.layers.kernels import CONV, check_choice, check_dimensions, check_input
from convivo.layers.padding import pad, padding_modes
from convivo.layers.pooling import Pool

Size = int | Sequence[int]
Padding = int | Sequence[int | Sequence[int]] | str
NAMED_PADDING = ("same", "none", "valid")


def same_padding(kernel_size: Axes, dilation: Axes) -> Sides:
    """Padding that leaves ceil(S / stride) samples; of an odd number the end gets one more.

    Example:
        >>> same_padding((3, 4), (1, 1))
        ((1, 1), (1, 2))
    """
    reach = [d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True)]
    return tuple((r // 2, r - r // 2) for r in reach)


def _positive(value: Size, spatial_dims: int, name: str, where: str) -> Axes:
    sizes = per_axis(value, spatial_dims, name)
    if min(sizes) < 1:
        rule = f"{name} must be at least 1 on every axis"
        raise ConfigError(where, rule, sizes, "Give positive integers")
    return sizes


def _check_groups(in_channels: int, out_channels: int, groups: int, where: str) -> None:
    if groups > 0 and in_channels % groups == 0 and out_channels % groups == 0:
        return
    got = f"in_channels={in_channels}, out_channels={out_channels}, groups={groups}"
    rule = "groups must divide in_channels and out_channels"
    raise ConfigError(where, rule, got, "Choose a common divisor of both")


class Convolution(nn.Module):
    """What `Conv`, `TrueConv` and `UpConv` share: weight, bias, sizes and padding; no direction.

    Attributes: kernel_size, stride, dilation: one integer per axis; padding: a pair (before, after)
    per axis; padding_mode: a word per axis.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size,
        spatial_dims: int,
        stride: Size,
        padding: Padding,
        dilation: Size,
        groups: int,
        padding_mode: str | Sequence[str],
    ) -> None:
        super().__init__()
        where = type(self).__name__
        dims = self.spatial_dims = check_dimensions(spatial_dims, where)
        _check_groups(in_channels, out_channels, groups, where)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = _positive(kernel_size, dims, "kernel_size", where)
        self.stride = _positive(stride, dims, "stride", where)
        self.dilation = _positive(dilation, dims, "dilation", where)
        self.reach = tuple(
            d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)
        )
        self.padding = self._sides(padding, where)
        self.set_padding_mode(padding_mode)
        self.weight: nn.Parameter
        self.bias: nn.Parameter | None

    def _sides(self, padding: Padding, where: str) -> Sides:
        if not isinstance(padding, str):
            return per_side(padding, self.spatial_dims)
        check_choice(padding, NAMED_PADDING, f"{where} padding")
        named = same_padding(self.kernel_size, self.dilation)
        return named if padding == "same" else per_side(0, self.spatial_dims)

    def set_padding_mode(self, mode: str | Sequence[str]) -> None:
        """Pad in another way from now on; one word, or one per axis.

        Raises:
            ConfigError: an unknown mode, with the nearest one.
        """
        self.padding_mode = padding_modes(mode, self.spatial_dims, type(self).__name__)
        # torch's kernels add equally many zeros to both sides themselves; the rest is done before
        axes = list(zip(self.padding, self.padding_mode, strict=True))
        native = [before == after and mode == "zeros" for (before, after), mode in axes]
        self._inner: Axes = tuple(
            p[0] if n else 0 for p, n in zip(self.padding, native, strict=True)
        )
        self._outer: Sides = tuple(
            (0, 0) if n else p for p, n in zip(self.padding, native, strict=True)
        )
        self.has_outer = any(map(any, self._outer))

    def _make_parameters(self, weight_shape: Sequence[int], bias: bool) -> None:
        self.weight = nn.Parameter(torch.empty(*weight_shape))
        if bias:
            self.bias = nn.Parameter(torch.empty(self.out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Torch's default: uniform within 1 / sqrt(fan in), from torch's global generator."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def _check(self, x: Tensor, least: Axes, reason: str) -> None:
        """Refuse what torch would take for something else, or complain of in its own words."""
        if torch.compiler.is_compiling():
            return  # a graph has no use for it, and would be tied to these sizes
        where = type(self).__name__
        check_input(x, self.spatial_dims, self.in_channels, where)
        size = x.shape[2:]
        if all(map(ge, size, least)):
            return
        need = tuple(map(max, size, least))
        raise ShapeError(
            where, f"{reason} {least}", f"size {tuple(size)}", f"Pad to {need} or more"
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(map(any, self.padding)) else ""
        text += f", dilation={self.dilation}" if max(self.dilation) > 1 else ""
        text += f", groups={self.groups}" if self.groups > 1 else ""
        text += ", bias=False" if self.bias is None else ""
        modes = dict.fromkeys(self.padding_mode)
        return text if list(modes) == ["zeros"] else f"{text}, padding_mode={self.padding_mode}"


class Conv(Convolution):
    """Cross-correlate the input with learnt kernels: z = sum of x(i + k) w(k), plus bias.

    The kernel slides over the image as it is drawn. Networks learn their kernels, so it makes no
    difference to them whether they are turned; `TrueConv` is the operation of signal processing.

    Shape: (N, C, *S) -> (N, D, *T) with T_i = floor((S_i + p_i - d_i (k_i - 1) - 1) / s_i) + 1,
    p_i being the padding of both sides together.
    The weight has torch's shape (D, C / groups, *kernel_size), so published weights load.

    Args:
        in_channels: C.
        out_channels: D, the number of kernels.
        kernel_size: window length in samples; like all sizes one int, or one per axis.
        spatial_dims: 1, 2 or 3.
        stride: step between windows, in samples.
        padding: samples added on both sides: one int, one per axis, or a pair (before, after) per
            axis; "same": T_i = ceil(S_i / s_i), where the window's reach is even the end gets one
            more; "none" (or "valid"): 0, the border is lost.
        dilation: distance between the taps of a kernel, in samples.
        groups: channels are split into so many groups that do not see each other.
        bias: add a learnt number per output channel.
        padding_mode: "zeros", "reflect" (mirrored, edge not repeated), "symmetric" (mirrored, edge
            repeated), "replicate" or "circular"; one word, or one per axis. Padding may exceed the
            axis: see `padding.pad`.
    Raises:
        ConfigError: an unknown padding, groups that do not divide the channels, sizes below 1.
        ShapeError: an input of the wrong rank, channels, or shorter than the window.
    Example:
        >>> Conv(2, 5, (1, 3, 4), padding="same", spatial_dims=3)(torch.ones(1, 2, 7, 9, 11)).shape
        torch.Size([1, 5, 7, 9, 11])

    Source: Dumoulin & Visin 2016, arXiv:1603.07285.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        spatial_dims: int = 2,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str | Sequence[str] = "zeros",
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            spatial_dims=spatial_dims,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        rows = zip(self.reach, self.padding, strict=True)
        self._least = tuple(max(1, r - before - after) for r, (before, after) in rows)
        self._make_parameters((out_channels, in_channels // groups, *self.kernel_size), bias)

    def forward(self, x: Tensor, then: tuple[nn.Module, Pool] | None = None) -> Tensor:
        self._check(x, self._least, "no axis may be shorter than the kernel's reach")
        if then is not None:  # what follows, done with it at once: only `conv_pool` asks for that
            activation, pool = type(then[0]), then[1].kind
            return ConvPool.apply(x, self._taps(), self.bias, self._inner, activation, pool)
        if self.has_outer:
            x = pad(x, self._outer, self.padding_mode)
        kernel = CONV[self.spatial_dims]
        sizes = (self.stride, self._inner, self.dilation, self.groups)
        return kernel(x, self._taps(), self.bias, *sizes)

    def _taps(self) -> Tensor:
        return self.weight


class TrueConv(Conv):
    """Convolve the input with learnt kernels: z = sum of x(i - k) w(k), plus bias.

    The convolution of mathematics and signal processing: the cross-correlation (`Conv`) with the
    kernel turned by 180 degrees, that is, flipped along every axis. Only so is it commutative, the
    kernel the response to a single impulse, and two in a row one with convolved kernels. Both agree
    for kernels that do not change when turned. Shape, arguments and errors are those of `Conv`; the
    window is where that of `Conv` is, also for even kernels.

    Example:
        >>> layer = TrueConv(1, 1, 3, padding="same", bias=False, spatial_dims=1)
        >>> layer.weight.data = torch.tensor([[[1.0, 2.0, 3.0]]])
        >>> layer(torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]])).tolist()
        [[[0.0, 1.0, 2.0, 3.0, 0.0]]]

    Source: Goodfellow et al. 2016, Deep Learning, section 9.1.
    """

    def _taps(self) -> Tensor:
        return self.weight.flip(tuple(range(2, self.weight.dim())))
