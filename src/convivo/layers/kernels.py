"""The only place that knows what one, two and three spatial dimensions are called in torch.

Everything else in `layers/` and `architectures/` takes `spatial_dims` and looks its kernel up here.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from convivo.errors import ConfigError, ShapeError, UsageError, nearest_name
from convivo.layers.few_channels import conv3d_by_onednn
from convivo.layers.precision import conv_transpose3d

Kernel = Callable[..., Tensor]
aten = torch.ops.aten

DIMENSIONS = (1, 2, 3)

CONV: dict[int, Kernel] = {1: F.conv1d, 2: F.conv2d, 3: conv3d_by_onednn}
CONV_TRANSPOSE: dict[int, Kernel] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: conv_transpose3d,
}
MAX_POOL: dict[int, Kernel] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MAX_POOL_WITH_INDICES: dict[int, Callable[..., tuple[Tensor, Tensor]]] = {
    1: F.max_pool1d_with_indices,
    2: F.max_pool2d_with_indices,
    3: F.max_pool3d_with_indices,
}


def _max_unpool1d(x: Tensor, indices: Tensor, size: Sequence[int]) -> Tensor:
    flat = aten.max_unpool2d(x.unsqueeze(-1), indices.unsqueeze(-1), (*size, 1))
    return flat.squeeze(-1)


def _max_unpool3d(x: Tensor, indices: Tensor, size: Sequence[int]) -> Tensor:
    return aten.max_unpool3d(x, indices, size, (1, 1, 1), (0, 0, 0))


# (x, indices, size): the kernels behind F.max_unpool, whose check of the size, which they leave to
# their callers, imports sympy: 0.7 s and 39 MiB
MAX_UNPOOL: dict[int, Kernel] = {1: _max_unpool1d, 2: aten.max_unpool2d, 3: _max_unpool3d}
AVG_POOL: dict[int, Kernel] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_MAX: dict[int, Kernel] = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}
ADAPTIVE_AVG: dict[int, Kernel] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
DROPOUT_CHANNELS: dict[int, Kernel] = {1: F.dropout1d, 2: F.dropout2d, 3: F.dropout3d}
LINEAR_MODE = {1: "linear", 2: "bilinear", 3: "trilinear"}


def check_dimensions(spatial_dims: int, where: str) -> int:
    """`spatial_dims` itself, if it is 1, 2 or 3.

    Raises:
        UsageError: any other value.
    """
    if spatial_dims in DIMENSIONS:
        return int(spatial_dims)
    rule = "spatial_dims is 1 (signals), 2 (images) or 3 (volumes)"
    raise UsageError(where, rule, spatial_dims, "Give 1, 2 or 3")


def check_choice(value: str, choices: Sequence[str], where: str) -> str:
    """`value` itself, if it is one of `choices`.

    Raises:
        ConfigError: it is not; the message names the nearest choice.
    """
    if value in choices:
        return value
    rule = f"one of {', '.join(choices)}"
    raise ConfigError(where, rule, repr(value), nearest_name(str(value), choices))


def check_input(x: Tensor, spatial_dims: int, channels: int | None, where: str) -> None:
    """Refuse an input of another rank or with other channels than (N, channels, *S).

    Torch would take a tensor without its batch axis for a batch of one, or speak of weights.

    Raises:
        ShapeError: the rank or the number of channels is wrong.
    """
    if x.dim() == spatial_dims + 2 and channels in (None, x.shape[1]):
        return
    axes = ", ".join(["N", str(channels or "C"), *(f"S{i + 1}" for i in range(spatial_dims))])
    rule = f"the input must have shape ({axes})"
    remedy = "Add the missing axes, or create it with other in_channels or spatial_dims"
    raise ShapeError(where, rule, f"shape {tuple(x.shape)}", remedy)
