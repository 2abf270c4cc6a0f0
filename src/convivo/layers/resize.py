"""Upsampling followed by a convolution: a learnt way to a finer grid without a checkerboard."""

from collections.abc import Sequence

from torch import Tensor, nn

from convivo.layers.convolution import Conv, Size
from convivo.layers.kernels import check_dimensions, check_input
from convivo.layers.upsampling import Upsample


class ResizeConv(nn.Module):
    """Make the grid finer by repetition or interpolation, then convolve it with "same" padding.

    The sibling of `UpConv` with the same output size for the same factor. Where a transposed
    convolution's kernels overlap unevenly (kernel not a multiple of the stride), constant input
    makes a checkerboard; here every output sample sees equally many taps. It costs factor^dims
    times the multiply-accumulates of a convolution on the coarse grid.

    Shape: (N, C, *S) -> (N, D, *T) with T_i = S_i factor_i.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: kernel of the convolution on the fine grid; one int, or one per axis.
        factor: how many times finer the grid becomes; one int, or one per axis.
        spatial_dims: 1, 2 or 3.
        kind: "nearest" (repeat; the paper's choice) or "linear".
        groups: as in `Conv`.
        bias: as in `Conv`.
        padding_mode: as in `Conv`; "replicate" leaves a constant image constant up to its border.
    Raises:
        ConfigError: an unknown kind or padding_mode, groups that do not divide the channels.
        ShapeError: an input of the wrong rank or channels.
    Example:
        >>> from torch import ones
        >>> ResizeConv(8, 4, 3, (1, 2, 2), spatial_dims=3)(ones(1, 8, 7, 9, 11)).shape
        torch.Size([1, 4, 7, 18, 22])

    Source: Odena et al. 2016, Deconvolution and checkerboard artifacts, doi:10.23915/distill.00003.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        factor: Size,
        *,
        spatial_dims: int = 2,
        kind: str = "nearest",
        groups: int = 1,
        bias: bool = True,
        padding_mode: str | Sequence[str] = "zeros",
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "ResizeConv")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.resize = Upsample(factor, kind=kind, spatial_dims=spatial_dims)
        self.conv = Conv(
            in_channels,
            out_channels,
            kernel_size,
            spatial_dims=spatial_dims,
            padding="same",
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
        )

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, self.in_channels, "ResizeConv")
        return self.conv(self.resize(x))
