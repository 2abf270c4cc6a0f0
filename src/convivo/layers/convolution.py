"""Convolution and its transpose in any dimension: (N, C, *S) -> (N, D, *T).

What networks call a convolution is a cross-correlation: the kernel is not turned.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes, per_axis
from convivo.layers.kernels import (
    CONV,
    CONV_TRANSPOSE,
    check_choice,
    check_dimensions,
    check_input,
)

Size = int | Sequence[int]
# our word for a way of padding -> F.pad's
PADDING_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


def same_padding(kernel_size: Axes, dilation: Axes) -> Axes:
    """Padding per axis that leaves ceil(S / stride) samples: half of the window's reach.

    Raises:
        ConfigError: a window of even reach has no middle, so no equal padding on both sides.
    Example:
        >>> same_padding((3, 5), (1, 2))
        (1, 4)
    """
    reach = tuple(d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True))
    if any(r % 2 for r in reach):
        rule = "padding 'same' needs odd kernels"
        raise ConfigError("Conv", rule, f"kernel_size {kernel_size}", "Give padding as numbers")
    return tuple(r // 2 for r in reach)


def _check_groups(in_channels: int, out_channels: int, groups: int, where: str) -> None:
    if groups > 0 and in_channels % groups == 0 and out_channels % groups == 0:
        return
    got = f"in_channels={in_channels}, out_channels={out_channels}, groups={groups}"
    rule = "groups must divide in_channels and out_channels"
    raise ConfigError(where, rule, got, "Choose a common divisor of both")


class _Convolution(nn.Module):
    """Weight, bias and sizes shared by `Conv` and `UpConv`; says nothing of the direction."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size, *, spatial_dims: int, groups: int
    ) -> None:
        super().__init__()
        where = type(self).__name__
        self.spatial_dims = check_dimensions(spatial_dims, where)
        _check_groups(in_channels, out_channels, groups, where)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel, spatial_dims, "kernel_size")
        if min(self.kernel_size) < 1:
            rule = "kernel_size must be at least 1 on every axis"
            raise ConfigError(where, rule, self.kernel_size, "Give positive integers")
        self.weight: nn.Parameter
        self.bias: nn.Parameter | None

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


class Conv(_Convolution):
    """Cross-correlate the input with learnt kernels: z = sum of x(i + k) w(k), plus bias.

    Shape: (N, C, *S) -> (N, D, *T) with T_i = floor((S_i + 2 p_i - d_i (k_i - 1) - 1) / s_i) + 1.
    The weight has torch's shape (D, C / groups, *kernel_size), so published weights load.

    Args:
        in_channels: C.
        out_channels: D, the number of kernels.
        kernel_size: window length in samples; like all sizes one int, or one per axis.
        spatial_dims: 1, 2 or 3.
        stride: step between windows, in samples.
        padding: samples added on both sides, or "same": T_i = ceil(S_i / s_i), odd kernels only.
        dilation: distance between the taps of a kernel, in samples.
        groups: channels are split into so many groups that do not see each other.
        bias: add a learnt number per output channel.
        padding_mode: "zeros", "reflect" (edge not repeated), "replicate" or "circular".
    Raises:
        ConfigError: even kernels with "same", groups that do not divide the channels.
        ShapeError: an input of the wrong rank, channels, or shorter than the window.
    Example:
        >>> Conv(2, 5, (1, 3, 3), padding="same", spatial_dims=3)(torch.ones(1, 2, 7, 9, 11)).shape
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
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, spatial_dims=spatial_dims, groups=groups
        )
        self.stride = per_axis(stride, spatial_dims, "stride")
        self.dilation = per_axis(dilation, spatial_dims, "dilation")
        self.padding_mode = check_choice(padding_mode, tuple(PADDING_MODES), "Conv padding_mode")
        if isinstance(padding, str):
            check_choice(padding, ("same",), "Conv padding")
            self.padding = same_padding(self.kernel_size, self.dilation)
        else:
            self.padding = per_axis(padding, spatial_dims, "padding")
        self._make_parameters((out_channels, in_channels // groups, *self.kernel_size), bias)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, self.in_channels, "Conv")
        self._check_reach(x.shape[2:])
        padding = self.padding
        if self.padding_mode != "zeros" and any(padding):
            x, padding = self._pad(x), (0,) * self.spatial_dims
        kernel = CONV[self.spatial_dims]
        return kernel(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _check_reach(self, size: Sequence[int]) -> None:
        rows = zip(self.kernel_size, self.dilation, self.padding, strict=True)
        least = tuple(max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in rows)
        if all(n >= m for n, m in zip(size, least, strict=True)):
            return
        need = tuple(max(n, m) for n, m in zip(size, least, strict=True))
        rule = f"no axis may be shorter than the kernel's reach {least}"
        raise ShapeError("Conv", rule, f"size {tuple(size)}", f"Pad to {need} or more")

    def _pad(self, x: Tensor) -> Tensor:
        size, mode = tuple(x.shape[2:]), self.padding_mode
        extra = {"reflect": 1, "replicate": -max(self.padding), "circular": 0}[mode]
        if any(n < p + extra for n, p in zip(size, self.padding, strict=True)):
            rule = f"padding_mode {mode!r} needs axes of at least padding + {extra} samples"
            remedy = "Use padding_mode 'replicate' or less padding"
            raise ShapeError("Conv", rule, f"size {size}, padding {self.padding}", remedy)
        both_sides = [p for p in reversed(self.padding) for _ in range(2)]  # F.pad: last axis first
        return F.pad(x, both_sides, mode=PADDING_MODES[mode])

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if any(self.padding) else ""
        text += f", dilation={self.dilation}" if max(self.dilation) > 1 else ""
        text += f", groups={self.groups}" if self.groups > 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + ("" if self.padding_mode == "zeros" else f", {self.padding_mode}")


class UpConv(_Convolution):
    """Transposed convolution: spread every sample over a kernel, add where the kernels overlap.

    Shape: (N, C, *S) -> (N, D, *T) with T_i = (S_i - 1) s_i - 2 p_i + d_i (k_i - 1) + o_i + 1.
    The weight has torch's shape (C, D / groups, *kernel_size). It is the adjoint of the `Conv` with
    the same weight, not its inverse.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: kernel length in samples; like all sizes one int, or one per axis.
        spatial_dims: 1, 2 or 3.
        stride: distance between neighbouring kernels in the output. Default: kernel_size, so that
            they do not overlap.
        padding: samples cut off both sides of the output.
        output_padding: samples added to the end of the output; below stride.
        dilation: distance between the taps of a kernel.
        groups: as in `Conv`.
        bias: add a learnt number per output channel.
    Raises:
        ConfigError: groups that do not divide the channels.
        ShapeError: an input of the wrong rank or channels.
    Example:
        >>> UpConv(8, 4, (1, 2, 2), spatial_dims=3)(torch.ones(1, 8, 7, 9, 11)).shape
        torch.Size([1, 4, 7, 18, 22])

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, ch. 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        spatial_dims: int = 2,
        stride: Size | None = None,
        padding: Size = 0,
        output_padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, spatial_dims=spatial_dims, groups=groups
        )
        step = self.kernel_size if stride is None else stride
        self.stride = per_axis(step, spatial_dims, "stride")
        self.padding = per_axis(padding, spatial_dims, "padding")
        self.output_padding = per_axis(output_padding, spatial_dims, "output_padding")
        self.dilation = per_axis(dilation, spatial_dims, "dilation")
        self._make_parameters((in_channels, out_channels // groups, *self.kernel_size), bias)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, self.in_channels, "UpConv")
        return CONV_TRANSPOSE[self.spatial_dims](
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, stride={self.stride}"
        return text + ("" if self.bias is not None else ", bias=False")
