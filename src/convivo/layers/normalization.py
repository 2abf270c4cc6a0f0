"""Normalisation of activations, in any dimension: one class, the kind is a word."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.errors import ConfigError, ShapeError
from convivo.layers.kernels import check_choice, check_dimensions, check_input

KINDS = ("batch", "instance", "group", "none")


class Norm(nn.Module):
    """Bring activations to mean 0 and variance 1, then scale and shift them per channel.

    "batch": over batch and grid, with running averages for evaluation. "instance": over the grid of
    each item and channel, in evaluation too. "group": over the grid and a group of channels.
    "none": nothing. Names and shapes of the state are torch's (weight, bias, running_mean, ...).

    Shape: (N, C, *S) -> (N, C, *S).

    Args:
        channels: C.
        kind: "batch", "instance", "group" or "none".
        spatial_dims: 1, 2 or 3.
        groups: for "group", the number of groups; it must divide C.
        eps: added to the variance.
        momentum: share of the new batch in the running averages.
        affine: learn a scale and a shift per channel.
    Raises:
        ConfigError: an unknown kind, or groups that do not divide the channels.
        ShapeError: a wrong rank or channels, or a single value to take the variance of.
    Example:
        >>> Norm(1, kind="instance", spatial_dims=1)(torch.tensor([[[1.0, 3.0]]])).round().tolist()
        [[[-1.0, 1.0]]]

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167; Ulyanov et al. 2016, arXiv:1607.08022; Wu & He
    2018, arXiv:1803.08494.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        channels: int,
        kind: str = "batch",
        *,
        spatial_dims: int = 2,
        groups: int = 8,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "Norm")
        self.kind = check_choice(kind, KINDS, "Norm kind")
        self.channels, self.groups, self.eps, self.momentum = channels, groups, eps, momentum
        if kind == "group" and (groups < 1 or channels % groups):
            got = f"channels={channels}, groups={groups}"
            raise ConfigError("Norm", "groups must divide channels", got, "Choose a divisor")
        learnt = affine and kind != "none"
        self.weight = nn.Parameter(torch.ones(channels)) if learnt else None
        self.bias = nn.Parameter(torch.zeros(channels)) if learnt else None
        if kind == "batch":
            self.register_buffer("running_mean", torch.zeros(channels))
            self.register_buffer("running_var", torch.ones(channels))
            self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, self.channels, f"Norm({self.kind!r})")
        if self.kind == "none":
            return x
        self._check_values(x)
        if self.kind == "batch":
            return self._batch(x)
        if self.kind == "instance":
            return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return F.group_norm(x, self.groups, self.weight, self.bias, self.eps)

    def _batch(self, x: Tensor) -> Tensor:
        if self.training:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    def _check_values(self, x: Tensor) -> None:
        """Torch refuses these too, but for "group", which it silently turns to zeros."""
        if self.kind == "batch" and not self.training:
            return
        items = x.shape[0] if self.kind == "batch" else 1
        items *= x.shape[1] // self.groups if self.kind == "group" else 1
        if items * x[0, 0].numel() > 1:
            return
        rule = "a variance needs more than one value"
        remedy = "Use a larger input" + (" or batch" if self.kind == "batch" else "")
        raise ShapeError(f"Norm({self.kind!r})", rule, f"shape {tuple(x.shape)}", remedy)

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.kind}"
