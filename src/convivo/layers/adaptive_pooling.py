"""Pooling to a given number of samples, as before a layer that needs a fixed grid."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convivo.errors import ConfigError
from convivo.geometry import per_axis
from convivo.layers.kernels import (
    ADAPTIVE_AVG,
    ADAPTIVE_MAX,
    AVG_POOL,
    MAX_POOL,
    check_choice,
    check_dimensions,
    check_input,
)
from convivo.layers.pooling import KINDS
from convivo.layers.windows import Spans, adaptive_spans


class AdaptivePool(nn.Module):
    """Pool to a given size: window i covers the samples floor(i S / T) to ceil((i + 1) S / T).

    Shape: (N, C, *S) -> (N, C, *output_size). Where T does not divide S the windows overlap and
    differ in length; where S is shorter, samples are repeated.

    Args:
        output_size: samples per axis that are left; one int, or one per axis.
        kind: "avg" or "max".
        spatial_dims: 1, 2 or 3.
    Raises:
        ConfigError: an unknown kind, or a size below one.
        ShapeError: an input of the wrong rank.
    Example:
        >>> AdaptivePool(2, spatial_dims=1)(torch.tensor([[[1.0, 3.0, 2.0, 4.0]]])).tolist()
        [[[2.0, 3.0]]]
    """

    def __init__(
        self, output_size: int | Sequence[int], *, kind: str = "avg", spatial_dims: int = 2
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "AdaptivePool")
        self.kind = check_choice(kind, KINDS, "AdaptivePool kind")
        self.output_size = per_axis(output_size, spatial_dims, "output_size")
        if min(self.output_size) < 1:
            rule = "output_size must be at least 1 on every axis"
            raise ConfigError("AdaptivePool", rule, self.output_size, "Give positive integers")

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting() and all(type(n) is int for n in x.shape[2:]):
            return self._by_fixed_windows(x)
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, None, "AdaptivePool")
        pool = (ADAPTIVE_AVG if self.kind == "avg" else ADAPTIVE_MAX)[self.spatial_dims]
        # torch's 1D form takes a plain integer only
        return pool(x, self.output_size if self.spatial_dims > 1 else self.output_size[0])

    def _by_fixed_windows(self, x: Tensor) -> Tensor:
        """The same of operations that ONNX has, as it has no adaptive pooling."""
        size, left = tuple(x.shape[2:]), self.output_size
        if not any(n % t for n, t in zip(size, left, strict=True)):
            kernel = tuple(n // t for n, t in zip(size, left, strict=True))
            return (AVG_POOL if self.kind == "avg" else MAX_POOL)[self.spatial_dims](x, kernel)
        for axis, (n, t) in enumerate(zip(size, left, strict=True), start=2):
            x = _pool_axis(x, axis, adaptive_spans(n, t), self.kind)
        return x

    def extra_repr(self) -> str:
        return f"{self.output_size}, kind={self.kind}"


def _pool_axis(x: Tensor, axis: int, spans: Spans, kind: str) -> Tensor:
    """Pool one axis over windows given as (first, end); short ones are filled with their last."""
    longest = max(end - first for first, end in spans)
    places = [min(first + j, end - 1) for first, end in spans for j in range(longest)]
    seen = x.index_select(axis, torch.tensor(places, device=x.device))
    seen = seen.unflatten(axis, (len(spans), longest))
    if kind == "max":
        return seen.amax(axis + 1)
    shares = [[(j < b - a) / (b - a) for j in range(longest)] for a, b in spans]
    weights = torch.tensor(shares, dtype=x.dtype, device=x.device)
    return (seen * weights.view(*weights.shape, *(1,) * (x.dim() - axis - 1))).sum(axis + 1)
