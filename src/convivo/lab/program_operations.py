"""The operations of an exported program that the lab knows: torch's own functions, by aten's name.

A program names what it calls; only what stands here is called, and only on shapes.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convivo.layers.kernels import MAX_POOL_WITH_INDICES, MAX_UNPOOL

Operation = Callable[..., Any]


def _slice(x: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    return x[(*[slice(None)] * (dim % x.dim()), slice(start, end, step))]


def _resized(mode: str) -> Operation:
    def resize(x: Tensor, size: Any, *rest: Any) -> Tensor:
        align = rest[0] if mode != "nearest" else None
        return F.interpolate(x, size, rest[-1] if size is None else None, mode, align)

    return resize


def _unpooled(x: Tensor, indices: Tensor, size: Any, *_: Any) -> Tensor:
    return MAX_UNPOOL[len(size)](x, indices, size)


DIMENSIONS = (1, 2, 3)
NORMS = ("batch_norm", "instance_norm", "group_norm", "layer_norm")
ACTIVATIONS = (
    *("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "hardswish", "hardtanh"),
    *("hardsigmoid", "softplus", "sigmoid", "tanh", "prelu", "dropout", "feature_dropout"),
)
VIEWS = (
    *("flatten", "view", "reshape", "permute", "transpose", "unsqueeze", "squeeze", "slice"),
    *(
        "unflatten",
        "constant_pad_nd",
        "select",
        "getitem",
        "contiguous",
        "clone",
        "detach",
        "expand",
        "pad",
        "sym_size",
        "to",
    ),
)
QUIET = frozenset((*NORMS, *ACTIVATIONS, *VIEWS))

OPERATIONS: dict[str, Operation] = {
    **{f"conv{d}d": getattr(torch, f"conv{d}d") for d in DIMENSIONS},
    **{f"conv_transpose{d}d": getattr(torch, f"conv_transpose{d}d") for d in DIMENSIONS},
    **{f"max_pool{d}d": getattr(torch, f"max_pool{d}d") for d in DIMENSIONS},
    **{f"max_pool{d}d_with_indices": MAX_POOL_WITH_INDICES[d] for d in DIMENSIONS},
    **{f"max_unpool{d}d": _unpooled for d in DIMENSIONS},
    **{f"avg_pool{d}d": getattr(F, f"avg_pool{d}d") for d in DIMENSIONS},
    **{f"adaptive_avg_pool{d}d": getattr(F, f"adaptive_avg_pool{d}d") for d in DIMENSIONS},
    **{f"adaptive_max_pool{d}d": getattr(F, f"adaptive_max_pool{d}d") for d in DIMENSIONS},
    **{f"upsample_nearest{d}d": _resized("nearest") for d in DIMENSIONS},
    "upsample_linear1d": _resized("linear"),
    "upsample_bilinear2d": _resized("bilinear"),
    "upsample_trilinear3d": _resized("trilinear"),
    **{name: getattr(torch, name) for name in NORMS},
    **{n: getattr(F, n) for n in ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish")},
    **{n: getattr(F, n) for n in ("hardswish", "hardtanh", "hardsigmoid", "softplus", "linear")},
    **{n: getattr(torch, n) for n in ("sigmoid", "tanh", "prelu", "dropout", "feature_dropout")},
    **{n: getattr(torch, n) for n in ("softmax", "log_softmax", "cat", "stack", "matmul", "bmm")},
    **{n: getattr(torch, n) for n in ("add", "sub", "mul", "div", "mean", "sum", "amax", "exp")},
    **{n: getattr(torch, n) for n in ("sqrt", "pow", "clamp", "abs", "flatten", "permute")},
    **{n: getattr(torch, n) for n in ("transpose", "unsqueeze", "squeeze", "select", "chunk")},
    **{n: getattr(torch, n) for n in ("split", "clone", "detach", "unflatten", "randn_like")},
    **{f"{n}_": getattr(torch, f"{n}_") for n in ("relu", "sigmoid", "tanh", "dropout")},
    **{f"{n}_": getattr(F, f"{n}_") for n in ("leaky_relu", "elu", "selu", "hardtanh")},
    **{f"{n}_": getattr(Tensor, f"{n}_") for n in ("add", "sub", "mul", "div")},
    **{n: getattr(Tensor, n) for n in ("view", "reshape", "contiguous", "expand", "to")},
    "pad": F.pad,
    "constant_pad_nd": lambda x, amounts, value=0.0: F.pad(x, amounts, value=value),
    "slice": _slice,
    "getitem": operator.getitem,
    "sym_size": lambda x, dim: x.shape[dim],
    "floordiv": operator.floordiv,
}

KINDS = {
    **{f"conv{d}d": "Conv" for d in DIMENSIONS},
    **{f"conv_transpose{d}d": "UpConv" for d in DIMENSIONS},
    **{f"max_pool{d}d": "MaxPool" for d in DIMENSIONS},
    **{f"max_pool{d}d_with_indices": "MaxPool" for d in DIMENSIONS},
    **{f"max_unpool{d}d": "Unpool" for d in DIMENSIONS},
    **{f"avg_pool{d}d": "AvgPool" for d in DIMENSIONS},
    **{f"adaptive_avg_pool{d}d": "AdaptivePool" for d in DIMENSIONS},
    **{f"adaptive_max_pool{d}d": "AdaptivePool" for d in DIMENSIONS},
    **{name: "Upsample" for name in OPERATIONS if name.startswith("upsample")},
    "linear": "Linear",
}
"""What a box is drawn as; others by the operation's own name."""


def operation_of(target: str) -> str | None:
    """The name under which a target of a program stands here; None of one that does not.

    Example:
        >>> operation_of("torch.ops.aten.conv2d.default"), operation_of("os.system")
        ('conv2d', None)
    """
    for start in ("torch.ops.aten.", "_operator."):
        if target.startswith(start):
            name = target.removeprefix(start).partition(".")[0]
            plain = name if name in OPERATIONS else name.rstrip("_")
            return plain if plain in OPERATIONS else None
    return None
