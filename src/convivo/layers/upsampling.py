"""Upsampling without parameters, in any dimension."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.errors import ShapeError
from convivo.geometry import Axes, per_axis
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
        ShapeError: a factor below one, or an input of the wrong rank.
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
        if min(self.factor) < 1:
            rule = "factor must be at least 1 on every axis"
            raise ShapeError("Upsample", rule, self.factor, "Give positive integers")

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, None, "Upsample")
        if self.kind == "nearest":
            return repeat_samples(x, self.factor)
        mode = LINEAR_MODE[self.spatial_dims]
        return F.interpolate(x, size=_times(x, self.factor), mode=mode, align_corners=False)

    def extra_repr(self) -> str:
        return f"{self.factor}, kind={self.kind}"


def repeat_samples(x: Tensor, factor: Axes) -> Tensor:
    """Each sample of the grid as often as the factor of its axis says.

    Torch's "nearest" rounds the first of them down by chance, for factors such as 41.
    """
    return F.interpolate(x, size=_times(x, factor), mode="nearest-exact")


def _times(x: Tensor, factor: Axes) -> list[int]:
    return [n * f for n, f in zip(x.shape[2:], factor, strict=True)]
