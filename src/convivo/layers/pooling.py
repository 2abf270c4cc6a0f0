"""Pooling in any dimension: one number for each window, without parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convivo.errors import ShapeError
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

Size = int | Sequence[int]
KINDS = ("max", "avg")


class Pool(nn.Module):
    """Keep the largest value, or the average, of each window.

    Shape: (N, C, *S) -> (N, C, *T) with T_i = floor((S_i + 2 p_i - k_i) / s_i) + 1; with
    `ceil_mode` rounded up, so that a last window may hang over the end.

    Args:
        kernel_size: window length in samples; like all sizes one int, or one per axis.
        kind: "max" or "avg". An average counts the zeros of the padding, as torch's does.
        spatial_dims: 1, 2 or 3.
        stride: step between windows. Default: kernel_size (windows do not overlap).
        padding: samples added on both sides (minus infinity for max, zeros for avg).
        ceil_mode: round the number of windows up.
    Raises:
        ConfigError: an unknown kind.
        ShapeError: an input of the wrong rank, or an axis shorter than its window.
    Example:
        >>> Pool(2, spatial_dims=1)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]])).tolist()
        [[[3.0, 2.0]]]

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, ch. 3.
    """

    def __init__(
        self,
        kernel_size: Size,
        *,
        kind: str = "max",
        spatial_dims: int = 2,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "Pool")
        self.kind = check_choice(kind, KINDS, "Pool kind")
        self.kernel_size = per_axis(kernel_size, spatial_dims, "kernel_size")
        step = self.kernel_size if stride is None else stride
        self.stride = per_axis(step, spatial_dims, "stride")
        self.padding = per_axis(padding, spatial_dims, "padding")
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, None, "Pool")
        least = [k - 2 * p for k, p in zip(self.kernel_size, self.padding, strict=True)]
        if any(n < m for n, m in zip(x.shape[2:], least, strict=True)):
            need = tuple(max(n, m) for n, m in zip(x.shape[2:], least, strict=True))
            rule = f"no axis may be shorter than the window {self.kernel_size}"
            raise ShapeError("Pool", rule, f"size {tuple(x.shape[2:])}", f"Pad to {need} or more")
        pool = (MAX_POOL if self.kind == "max" else AVG_POOL)[self.spatial_dims]
        return pool(
            x, self.kernel_size, self.stride, padding=self.padding, ceil_mode=self.ceil_mode
        )

    def extra_repr(self) -> str:
        text = f"{self.kernel_size}, kind={self.kind}, stride={self.stride}"
        return text + (f", padding={self.padding}" if any(self.padding) else "")


class AdaptivePool(nn.Module):
    """Pool to a given size: window i covers the samples floor(i S / T) to ceil((i + 1) S / T).

    Shape: (N, C, *S) -> (N, C, *output_size).

    Args:
        output_size: samples per axis that are left; one int, or one per axis.
        kind: "avg" or "max".
        spatial_dims: 1, 2 or 3.
    Raises:
        ConfigError: an unknown kind.
        ShapeError: an input of the wrong rank.
    Example:
        >>> AdaptivePool(2, spatial_dims=1)(torch.tensor([[[1.0, 3.0, 2.0, 4.0]]])).tolist()
        [[[2.0, 3.0]]]
    """

    def __init__(self, output_size: Size, *, kind: str = "avg", spatial_dims: int = 2) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "AdaptivePool")
        self.kind = check_choice(kind, KINDS, "AdaptivePool kind")
        self.output_size = per_axis(output_size, spatial_dims, "output_size")

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, None, "AdaptivePool")
        pool = (ADAPTIVE_AVG if self.kind == "avg" else ADAPTIVE_MAX)[self.spatial_dims]
        # torch's 1D form takes a plain integer only
        return pool(x, self.output_size if self.spatial_dims > 1 else self.output_size[0])

    def extra_repr(self) -> str:
        return f"{self.output_size}, kind={self.kind}"


class GlobalPool(nn.Module):
    """One number per channel: the average or the largest value of the whole grid.

    Shape: (N, C, *S) -> (N, C); with `keep_axes` (N, C, 1, ...).

    Args:
        kind: "avg" or "max".
        spatial_dims: 1, 2 or 3.
        keep_axes: leave the spatial axes in place, with one sample each.
    Raises:
        ConfigError: an unknown kind.
        ShapeError: an input of the wrong rank.
    Example:
        >>> GlobalPool(spatial_dims=1)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]])).tolist()
        [[1.5]]

    Source: Lin et al. 2014, arXiv:1312.4400.
    """

    def __init__(
        self, *, kind: str = "avg", spatial_dims: int = 2, keep_axes: bool = False
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "GlobalPool")
        self.kind = check_choice(kind, KINDS, "GlobalPool kind")
        self.keep_axes = keep_axes

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, None, "GlobalPool")
        axes = tuple(range(2, x.dim()))
        reduce = torch.mean if self.kind == "avg" else torch.amax
        return reduce(x, dim=axes, keepdim=self.keep_axes)

    def extra_repr(self) -> str:
        return f"kind={self.kind}"
