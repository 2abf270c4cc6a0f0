"""Unpooling in any dimension: a finer grid from a pooled one, without parameters."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from convivo.errors import ConfigError, ShapeError, UsageError
from convivo.geometry import Axes, per_axis
from convivo.layers.kernels import MAX_UNPOOL, check_choice, check_dimensions, check_input
from convivo.layers.pooling import Pool
from convivo.layers.upsampling import repeat_samples
from convivo.layers.windows import Windows

KINDS = ("max", "nearest", "bed_of_nails")


class Unpool(nn.Module):
    """Give every pooled value a place in a finer grid.

    Of 1 2 / 3 4 with windows of 2 by 2:
    "nearest" fills the window, 1 1 2 2 / 1 1 2 2 / 3 3 4 4 / 3 3 4 4;
    "bed_of_nails" sets its first sample, 1 0 2 0 / 0 0 0 0 / 3 0 4 0 / 0 0 0 0;
    "max" puts the value back where the paired pooling layer found its maximum, zeros elsewhere; of
    overlapping windows that found the same maximum, the largest value counts (see `unpool`).

    Shape: x (N, C, *T), for "max" with indices (N, C, *T) -> (N, C, *output_size): any size that
    the pooling turns into T. Samples behind the last window repeat it ("nearest") or are zero.

    Args:
        kernel_size: window length, of windows that lie side by side; one int, or one per axis.
        kind: "max", "nearest" or "bed_of_nails".
        spatial_dims: 1, 2 or 3; of `pool` where that is given.
        pool: instead of kernel_size, the layer whose pooling is undone, with whatever stride,
            padding and dilation. Only its sizes are kept, not the layer.
    Raises:
        ConfigError: an unknown kind; neither or both of kernel_size and pool; windows that do not
            lie side by side, for another kind than "max".
        UsageError: "max" without indices and output_size, or another kind with indices.
        ShapeError: a wrong rank, indices of another shape, or an output_size that the pooling does
            not turn into T.
    Example:
        >>> Unpool(2, kind="bed_of_nails", spatial_dims=1)(torch.tensor([[[1.0, 2.0]]])).tolist()
        [[[1.0, 0.0, 2.0, 0.0]]]
        >>> pool = Pool(2, spatial_dims=1, return_indices=True)
        >>> values, indices = pool(torch.tensor([[[1.0, 3.0, 2.0, 0.0, 5.0]]]))
        >>> Unpool(pool=pool)(values, indices, (5,)).tolist()
        [[[0.0, 3.0, 2.0, 0.0, 0.0]]]

    Source: Zeiler et al. 2011, Adaptive deconvolutional networks for mid and high level feature
    learning (max); Dosovitskiy et al. 2015, arXiv:1411.5928 (bed of nails).
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int] | None = None,
        *,
        kind: str = "max",
        spatial_dims: int = 2,
        pool: Pool | None = None,
    ) -> None:
        super().__init__()
        self.kind = check_choice(kind, KINDS, "Unpool kind")
        self.windows, self.spatial_dims = _windows(kernel_size, spatial_dims, pool)
        padded = any(map(any, self.windows.padding))
        if kind != "max" and (padded or self.windows.stride != self.windows.reach):
            rule = f"kind {kind!r} needs windows that lie side by side, without padding"
            raise ConfigError("Unpool", rule, pool, "Use kind 'max', or give kernel_size")
        # kernel_size does not tell whether a last, shorter window was pooled
        either = () if pool else (replace(self.windows, ceil_mode=True),)
        self._poolings = (self.windows, *either)
        self._fitting: set[tuple[Axes, Axes]] = set()  # pairs of sizes that passed

    def forward(
        self, x: Tensor, indices: Tensor | None = None, output_size: Sequence[int] | None = None
    ) -> Tensor:
        factor = self.windows.stride
        if output_size is None:
            size = tuple(t * s for t, s in zip(x.shape[2:], factor, strict=False))
        else:
            size = tuple(output_size)
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, None, "Unpool")
            self._check_call(indices, output_size)
            self._check_size(tuple(x.shape[2:]), size)
        if indices is not None:
            return unpool(x, indices, size, self.windows)
        if self.kind == "nearest":
            return _fit(repeat_samples(x, factor), size, "replicate")
        return _fit(bed_of_nails(x, factor), size, "constant")

    def _check_call(self, indices: Tensor | None, output_size: Sequence[int] | None) -> None:
        is_max = self.kind == "max"
        if is_max == (indices is not None) and not (is_max and output_size is None):
            return
        if is_max:
            rule = "kind 'max' needs the indices of its paired pooling layer, and output_size"
            got = f"indices={'None' if indices is None else 'given'}, output_size={output_size}"
            remedy = "Pool with return_indices=True, and keep the size that was pooled"
        else:
            rule, got = f"kind {self.kind!r} has no use for indices", "indices"
            remedy = "Leave them out, or use kind 'max'"
        raise UsageError("Unpool", rule, got, remedy)

    def _check_size(self, pooled: Axes, size: Axes) -> None:
        if (pooled, size) in self._fitting:
            return
        fits = len(size) == len(pooled)
        if fits and any(windows.count(size) == pooled for windows in self._poolings):
            self._fitting.add((pooled, size))
            return
        rule = f"output_size must be one that its pooling turns into {pooled}"
        remedy = "Give the size that was pooled"
        raise ShapeError("Unpool", rule, f"output_size {size}", remedy)

    def extra_repr(self) -> str:
        return f"{self.windows.kernel}, kind={self.kind}, stride={self.windows.stride}"


def _windows(
    kernel_size: int | Sequence[int] | None, spatial_dims: int, pool: Pool | None
) -> tuple[Windows, int]:
    check_dimensions(spatial_dims, "Unpool")
    if pool is not None and kernel_size is None:
        return pool.windows, pool.spatial_dims
    if pool is not None or kernel_size is None:
        rule = "its windows are given by kernel_size or by the paired pooling layer"
        got = "both" if pool is not None else "neither"
        raise ConfigError("Unpool", rule, got, "Give kernel_size, or pool=the layer")
    kernel = per_axis(kernel_size, spatial_dims, "kernel_size")
    none, ones = ((0, 0),) * spatial_dims, (1,) * spatial_dims
    return Windows(kernel, kernel, none, ones).check("Unpool"), spatial_dims


def unpool(
    x: Tensor, indices: Tensor, output_size: Sequence[int], windows: Windows | None = None
) -> Tensor:
    """Set each value where pooling found its maximum, in a grid that is zero elsewhere.

    Overlapping windows may have found the same maximum, and by now hold different values. Then the
    largest is set: it is the same in whatever order they are written (which the last one written,
    or a rounded sum, is not), gives back the pooled maxima themselves, and pools to itself. Values
    that tie share the gradient equally; smaller ones get none.

    Shape: x and indices (N, C, *T) -> (N, C, *output_size).

    Args:
        x: the values.
        indices: positions in the flattened grid, int64, as `Pool(return_indices=True)` gives them.
        output_size: the size that was pooled.
        windows: of the pooling. None: they may overlap.
    Raises:
        ShapeError: indices of another shape, or an output_size of another rank.
    Example:
        >>> places = torch.tensor([[[1, 1, 3]]])
        >>> unpool(torch.tensor([[[5.0, 4.0, -6.0]]]), places, (5,)).tolist()
        [[[0.0, 5.0, 0.0, -6.0, 0.0]]]

    Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1. Differs: the rule for overlap.
    """
    if has_torch_function((x, indices)):  # seen as one call by whoever follows a network's calls
        return handle_torch_function(unpool, (x, indices), x, indices, output_size, windows)
    size = tuple(output_size)
    if not torch.compiler.is_compiling():
        _check_places(x, indices, size)
    overlapping = windows is None or windows.overlapping
    if not overlapping and not torch.are_deterministic_algorithms_enabled():
        return MAX_UNPOOL[len(size)](x, indices, size)
    flat = x.new_full((*x.shape[:2], prod(size)), -torch.inf)
    flat = flat.scatter_reduce(2, indices.flatten(2), x.flatten(2), "amax")
    return flat.masked_fill(flat == -torch.inf, 0.0).unflatten(2, size)


def _check_places(x: Tensor, indices: Tensor, size: Axes) -> None:
    if indices.shape != x.shape:
        rule = f"indices must have the shape of the values, {tuple(x.shape)}"
        remedy = "Give those of the paired pooling layer"
        raise ShapeError("unpool", rule, f"shape {tuple(indices.shape)}", remedy)
    if len(size) != x.dim() - 2:
        rule = f"output_size has one entry per spatial axis ({x.dim() - 2})"
        raise ShapeError("unpool", rule, size, "Give the size that was pooled")


def bed_of_nails(x: Tensor, factor: Axes) -> Tensor:
    """Put factor - 1 zeros behind every sample: (N, C, *S) -> (N, C, *T) with T_i = S_i f_i.

    Example:
        >>> bed_of_nails(torch.tensor([[[1, 2]]]), (3,)).tolist()
        [[[1, 0, 0, 2, 0, 0]]]
    """
    if has_torch_function((x,)):
        return handle_torch_function(bed_of_nails, (x,), x, factor)
    for axis, f in enumerate(factor, start=2):
        after = [0, 0] * (x.dim() - axis - 1) + [0, f - 1]  # F.pad: last axis first
        x = F.pad(x.unsqueeze(axis + 1), after).flatten(axis, axis + 1)
    return x


def _fit(x: Tensor, size: Axes, mode: str) -> Tensor:
    """Cut the ends, or add to them, until the grid has `size`."""
    missing = [n - have for n, have in zip(size, x.shape[2:], strict=True)]
    if not any(missing):
        return x
    return F.pad(x, [n for m in reversed(missing) for n in (0, m)], mode=mode)
