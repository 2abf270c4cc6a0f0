"""Normalisation of activations, in any dimension: one class, the kind is a word."""

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.errors import ConfigError, ShapeError
from convivo.layers.kernels import check_choice, check_dimensions, check_input

KINDS = ("batch", "instance", "group", "layer", "lrn", "none")
WITHOUT_WEIGHTS = ("lrn", "none")


class Norm(nn.Module):
    """Bring activations to mean 0 and variance 1, then scale and shift them per channel.

    "batch": over batch and grid, with running averages for evaluation. "instance": over the grid of
    each item and channel, in evaluation too. "group": over the grid and a group of channels.
    "layer": over the grid and all channels of an item. "lrn": local response normalisation, which
    learns nothing and divides by the neighbours instead (see `local_response`). "none": nothing.
    Names and shapes of the state are torch's (weight, bias, running_mean, ...).

    Shape: (N, C, *S) -> (N, C, *S).

    Args:
        channels: C.
        kind: "batch", "instance", "group", "layer", "lrn" or "none".
        spatial_dims: 1, 2 or 3.
        groups: for "group", the number of groups; it must divide C.
        eps: added to the variance.
        momentum: share of the new batch in the running averages.
        affine: learn a scale and a shift per channel.
        size, alpha, beta, k: of "lrn", as in the paper.
    Raises:
        ConfigError: an unknown kind, groups that do not divide the channels, or a size below one.
        ShapeError: a wrong rank or channels, or a single value to take the variance of.
    Example:
        >>> Norm(1, kind="instance", spatial_dims=1)(torch.tensor([[[1.0, 3.0]]])).round().tolist()
        [[[-1.0, 1.0]]]

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167; Ulyanov et al. 2016, arXiv:1607.08022; Wu & He
    2018, arXiv:1803.08494; Ba et al. 2016, arXiv:1607.06450; Krizhevsky et al. 2012 (lrn).
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
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "Norm")
        self.kind = check_choice(kind, KINDS, "Norm kind")
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.groups = 1 if kind == "layer" else groups
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        if size < 1:
            raise ConfigError("Norm", "size counts channels, from 1", size, "Give 5, say")
        if kind == "group" and (groups < 1 or channels % groups):
            got = f"channels={channels}, groups={groups}"
            raise ConfigError("Norm", "groups must divide channels", got, "Choose a divisor")
        learnt = affine and kind not in WITHOUT_WEIGHTS
        self.weight = nn.Parameter(torch.ones(channels)) if learnt else None
        self.bias = nn.Parameter(torch.zeros(channels)) if learnt else None
        if kind == "batch":
            self.register_buffer("running_mean", torch.zeros(channels))
            self.register_buffer("running_var", torch.ones(channels))
            self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, self.channels, f"Norm({self.kind!r})")
            self._check_values(x)
        if self.kind == "none":
            return x
        if self.kind == "lrn":
            return local_response(x, self.size, alpha=self.alpha, beta=self.beta, k=self.k)
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
        """Torch refuses these too, but for "group" and "layer", which it turns to zeros."""
        if self.kind in WITHOUT_WEIGHTS or (self.kind == "batch" and not self.training):
            return
        items = x.shape[0] if self.kind == "batch" else 1
        items *= x.shape[1] // self.groups if self.kind in ("group", "layer") else 1
        if items * prod(x.shape[2:]) > 1:
            return
        rule = "a variance needs more than one value"
        remedy = "Use a larger input" + (" or batch" if self.kind == "batch" else "")
        raise ShapeError(f"Norm({self.kind!r})", rule, f"shape {tuple(x.shape)}", remedy)

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.kind}"


def local_response(
    x: Tensor, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Tensor:
    """Divide by the activity of neighbouring channels: y_c = x_c / (k + alpha sum x_j^2)^beta.

    The sum runs over the `size` channels around c, j = c - size // 2 .. c + (size - 1) // 2, as far
    as they exist. At least in float32, whatever the input.

    Shape: (N, C, *S) -> (N, C, *S).

    Source: Krizhevsky et al. 2012, section 3.3. Differs from torch's and Caffe's, which divide
    alpha by size: their alpha is `size` times ours, that is 5e-4 for the paper's.
    Example:
        >>> local_response(torch.ones(1, 3, 1), 3, alpha=1.0, beta=1.0, k=1.0).flatten().tolist()
        [0.3333333432674408, 0.25, 0.3333333432674408]
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    flat = [0, 0] * (x.dim() - 2) + [size // 2, (size - 1) // 2]  # F.pad: last axis first
    squares = F.pad(wide.square(), flat)
    total = squares.narrow(1, 0, x.shape[1])
    for j in range(1, size):
        total = total + squares.narrow(1, j, x.shape[1])
    return x * (k + alpha * total).pow(-beta).to(x.dtype)
