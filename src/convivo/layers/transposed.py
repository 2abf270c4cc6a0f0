"""Transposed convolution in any dimension: `Conv` backwards, from its output's grid to its input's.

`resize.ResizeConv` is the other learnt way to a finer grid.
"""

from collections.abc import Sequence

from torch import Tensor

from convivo.errors import ConfigError
from convivo.geometry import per_axis
from convivo.layers.convolution import Convolution, Padding, Size
from convivo.layers.kernels import CONV_TRANSPOSE
from convivo.layers.padding import fold_back


class UpConv(Convolution):
    """Transposed convolution: spread every sample over a kernel, add where the kernels overlap.

    It is the exact adjoint of the `Conv` with the same weight, stride, padding, padding_mode,
    dilation and groups, <conv(x), y> == <x, upconv(y)>; not its inverse. In every mode but "zeros"
    what falls onto the padding is folded back onto the samples that the padding was taken from.

    Shape: (N, C, *S) -> (N, D, *T) with T_i = (S_i - 1) s_i - p_i + d_i (k_i - 1) + o_i + 1, p_i
    being the padding of both sides together. A kernel of 3 makes 4x4 of 2x2, with stride 2 5x5.
    The weight has torch's shape (C, D / groups, *kernel_size).

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: kernel length in samples; like all sizes one int, or one per axis.
        spatial_dims: 1, 2 or 3.
        stride: distance between neighbouring kernels in the output. Default: kernel_size, so that
            they do not overlap.
        padding: samples cut off (or folded back from) the sides of the output, as in `Conv`: with
            "same" and output_padding = stride - 1 the output has S_i s_i samples.
        output_padding: samples added to the end of the output; below stride. They are those that
            the strided `Conv` does not reach.
        dilation: distance between the taps of a kernel.
        groups: as in `Conv`.
        bias: add a learnt number per output channel.
        padding_mode: as in `Conv`.
    Raises:
        ConfigError: an unknown padding, groups that do not divide the channels, sizes below 1,
            output_padding not below stride.
        ShapeError: an input of the wrong rank or channels, or so short that nothing would be left.
    Example:
        >>> from torch import ones
        >>> UpConv(8, 4, (1, 2, 2), spatial_dims=3)(ones(1, 8, 7, 9, 11)).shape
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
        padding: Padding = 0,
        output_padding: Size = 0,
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
            stride=kernel_size if stride is None else stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        self.output_padding = per_axis(output_padding, spatial_dims, "output_padding")
        steps = zip(self.output_padding, self.stride, strict=True)
        if not all(0 <= extra < step for extra, step in steps):
            rule = f"output_padding lies between 0 and below the stride {self.stride}"
            raise ConfigError("UpConv", rule, self.output_padding, "Give less, or a larger stride")
        # T_i = (S_i - 1) s_i + single_i, and at least one sample must be left
        rows = zip(self.reach, self.output_padding, self.padding, strict=True)
        single = [r + extra - before - after for r, extra, (before, after) in rows]
        self._least = tuple(
            max(1, 1 + -(-(1 - n) // s)) for n, s in zip(single, self.stride, strict=True)
        )
        self._make_parameters((in_channels, out_channels // groups, *self.kernel_size), bias)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x, self._least, "what the padding leaves of the output needs axes of at least")
        out = CONV_TRANSPOSE[self.spatial_dims](
            x,
            self.weight,
            None if self.has_outer else self.bias,
            self.stride,
            self._inner,
            self.output_padding,
            self.groups,
            self.dilation,
        )
        return self._without_margins(out) if self.has_outer else out

    def _without_margins(self, full: Tensor) -> Tensor:
        out = fold_back(full, self._outer, self.padding_mode)
        if self.bias is None:
            return out
        # after the folding, which would count it twice; under autocast the sum is in half precision
        return out + self.bias.to(out.dtype).view(-1, *(1,) * self.spatial_dims)

    def extra_repr(self) -> str:
        extra = f", output_padding={self.output_padding}" if any(self.output_padding) else ""
        return super().extra_repr() + extra
