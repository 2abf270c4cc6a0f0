"""Upsampling without parameters, in any dimension."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from convivo.geometry import per_axis
from convivo.layers.kernels import LINEAR_MODE, check_choice, check_dimensions, check_input


class Upsample(nn.Module):
    """Make the grid finer by whole factors: repeat samples, or interpolate between them.

    Shape: (N, C, *S) -> (N, C, *T) with T_i = S_i f_i. Grids are aligned by extent: the borders of
    the image stay where they are, not the centres of its corner samples.

    Args:
        factor: f, one int, or one per axis.
        kind: "nearest" (repeat) or "linear".
        spatial_dims: 1, 2 or 3.
    Raises:
        ConfigError: an unknown kind.
        ShapeError: an input of the wrong rank.
    Example:
        >>> from torch import tensor
        >>> Upsample(2, spatial_dims=1)(tensor([[[1.0, 3.0]]])).tolist()
        [[[1.0, 1.0, 3.0, 3.0]]]
    """

    def __init__(
        self, factor: int | Sequence[int], *, kind: str = "nearest", spatial_dims: int = 2
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "Upsample")
        self.factor = per_axis(factor, spatial_dims, "factor")
        self.kind = check_choice(kind, ("nearest", "linear"), "Upsample kind")

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, None, "Upsample")
        size = [n * f for n, f in zip(x.shape[2:], self.factor, strict=True)]
        if self.kind == "nearest":
            return F.interpolate(x, size=size, mode="nearest")
        return F.interpolate(x, size=size, mode=LINEAR_MODE[self.spatial_dims], align_corners=False)

    def extra_repr(self) -> str:
        return f"{self.factor}, kind={self.kind}"
