"""Pooling in any dimension: one number for each window, without parameters."""

from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.errors import ConfigError
from convivo.geometry import Axes, per_axis, per_side
from convivo.layers.kernels import (
    AVG_POOL,
    MAX_POOL,
    MAX_POOL_WITH_INDICES,
    check_choice,
    check_dimensions,
    check_input,
)
from convivo.layers.windows import Windows, check_windows

Size = int | Sequence[int]
KINDS = ("max", "avg")


class Pool(nn.Module):
    """Keep the largest value, or the average, of each window.

    Shape: (N, C, *S) -> (N, C, *T) with T_i = floor((S_i + p_i - d_i (k_i - 1) - 1) / s_i) + 1, p_i
    the padding of both sides; with `ceil_mode` rounded up, so that a last window may hang over the
    end, as long as it starts inside.

    Args:
        kernel_size: window length in samples; like all sizes one int, or one per axis.
        kind: "max" or "avg".
        spatial_dims: 1, 2 or 3.
        stride: step between windows. Default: kernel_size (windows do not overlap).
        padding: samples added on both sides (minus infinity for max, zeros for avg): one integer,
            one per axis, or a pair (before, after) per axis; each shorter than the window.
        dilation: distance between the samples of a window; "max" only.
        ceil_mode: round the number of windows up.
        count_padding: an average divides by the samples and the padding in its window, as torch's
            does; False: by the samples alone.
        return_indices: "max" only: return also where each maximum was, for `Unpool`, as int64
            (N, C, *T): positions in the flattened grid (*S). Of equal maxima, the first.
    Raises:
        ConfigError: an unknown kind, a size below one, padding not shorter than the window, or an
            option that the kind does not have.
        ShapeError: an input of the wrong rank, or an axis so short that a window does not fit or
            would see padding only.
    Example:
        >>> Pool(2, spatial_dims=1)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]])).tolist()
        [[[3.0, 2.0]]]

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, ch. 3; LeCun et al. 1998 (average).
    """

    def __init__(
        self,
        kernel_size: Size,
        *,
        kind: str = "max",
        spatial_dims: int = 2,
        stride: Size | None = None,
        padding: int | Sequence[int | Sequence[int]] = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
        count_padding: bool = True,
        return_indices: bool = False,
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "Pool")
        self.kind = check_choice(kind, KINDS, "Pool kind")
        self.kernel_size = per_axis(kernel_size, spatial_dims, "kernel_size")
        step = self.kernel_size if stride is None else stride
        self.stride = per_axis(step, spatial_dims, "stride")
        self.padding = per_side(padding, spatial_dims, "padding")
        self.dilation = per_axis(dilation, spatial_dims, "dilation")
        self.ceil_mode, self.count_padding = ceil_mode, count_padding
        self.return_indices = return_indices
        sizes = (self.kernel_size, self.stride, self.padding, self.dilation)
        self.windows = Windows(*sizes, ceil_mode=ceil_mode).check("Pool")
        self._check_options()
        self._fitting: set[Axes] = set()  # sizes that passed, since every forward pass asks
        # torch pads alike on both sides, and by half a window at most
        rows = zip(self.padding, self.kernel_size, strict=True)
        self._native = all(b == a and 2 * b <= k for (b, a), k in rows)

    def _check_options(self) -> None:
        wrong = {
            "dilation": self.kind == "avg" and max(self.dilation) > 1,
            "return_indices": self.kind == "avg" and self.return_indices,
            "count_padding": self.kind == "max" and not self.count_padding,
        }
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            rule = f"kind {self.kind!r} has no option {name}"
            raise ConfigError("Pool", rule, f"{name}={getattr(self, name)}", "Leave it out")

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, None, "Pool")
            if x.shape[2:] not in self._fitting:
                check_windows(self.windows, tuple(x.shape[2:]), "Pool")
                self._fitting.add(tuple(x.shape[2:]))
        if not self._native or self._is_unusual(x.shape[2:]):
            return self._pool_padded(x)
        sizes = (self.kernel_size, self.stride, tuple(b for b, _ in self.padding))
        if self.kind == "avg":
            pool = AVG_POOL[self.spatial_dims]
            return pool(x, *sizes, self.ceil_mode, count_include_pad=self.count_padding)
        table = MAX_POOL_WITH_INDICES if self.return_indices else MAX_POOL
        return table[self.spatial_dims](x, *sizes, self.dilation, self.ceil_mode)

    def _is_unusual(self, size: Sequence[int]) -> bool:
        """Where others count otherwise.

        ONNX and OpenVINO differ in which last windows `ceil_mode` keeps, and what they average.
        Torch averages no volume shorter than the window, padded or not.
        """
        if self.ceil_mode and torch.compiler.is_exporting():
            return True
        kernel = self.kernel_size
        return self.kind == "avg" and any(n < k for n, k in zip(size, kernel, strict=True))

    def _pool_padded(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """As torch's would be, with the padding spelt out."""
        size = tuple(x.shape[2:])
        amounts = self.windows.amounts(size)
        flat = [n for pair in reversed(amounts) for n in pair]  # F.pad: last axis first
        wide = F.pad(x, flat, value=-torch.inf if self.kind == "max" else 0.0)
        if self.kind == "avg":
            y = AVG_POOL[self.spatial_dims](wide, self.kernel_size, self.stride)
            return _scale(y, self.windows.scales(size, self.count_padding))
        table = MAX_POOL_WITH_INDICES if self.return_indices else MAX_POOL
        sizes = (self.kernel_size, self.stride, (0,) * self.spatial_dims, self.dilation)
        if not self.return_indices:
            return table[self.spatial_dims](wide, *sizes)
        values, indices = table[self.spatial_dims](wide, *sizes)
        before = tuple(b for b, _ in amounts)
        return values, _without_padding(indices, tuple(wide.shape[2:]), size, before)

    def extra_repr(self) -> str:
        text = f"{self.kernel_size}, kind={self.kind}, stride={self.stride}"
        text += f", padding={self.padding}" if any(map(any, self.padding)) else ""
        text += f", dilation={self.dilation}" if max(self.dilation) > 1 else ""
        text += ", ceil_mode" if self.ceil_mode else ""
        text += "" if self.count_padding else ", padding not counted"
        return text + (", return_indices" if self.return_indices else "")


def _scale(y: Tensor, scales: list[list[float]]) -> Tensor:
    for axis, row in enumerate(scales, start=2):
        if any(value != 1 for value in row):
            factors = torch.tensor(row, dtype=y.dtype, device=y.device)
            y = y * factors.view(-1, *(1,) * (y.dim() - axis - 1))
    return y


def _without_padding(indices: Tensor, wide: Axes, size: Axes, before: Axes) -> Tensor:
    """Flat positions in a padded grid as flat positions in the grid inside.

    Clamped, since among equals the first is taken: of minus infinities, that in the padding.
    """
    parts, rest, step = [], indices, 1
    for length, n, margin in zip(reversed(wide), reversed(size), reversed(before), strict=True):
        parts.append((rest % length - margin).clamp(0, n - 1) * step)
        rest, step = rest // length, step * n
    return reduce(torch.add, parts)


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
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, None, "GlobalPool")
        axes = tuple(range(2, x.dim()))
        reduce = torch.mean if self.kind == "avg" else torch.amax
        return reduce(x, dim=axes, keepdim=self.keep_axes)

    def extra_repr(self) -> str:
        return f"kind={self.kind}"
