"""What torch's CPU kernels take from its allocator beside their results, and give back at once.

The trace cannot see it, since it happens below the dispatcher. One rule an operation, each found by
comparing allocator events of torch 2.13 with the results' sizes; all others take a few KiB at most.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from convivo.planning.conv_layer import WIDE, lane
from convivo.planning.conv_workspace import (
    convolution,
    convolution_backward,
    convolution_by_onednn,
    unwritten,
)
from convivo.planning.tile_kernels import has_tiles
from convivo.processor import processor_words

Rule = Callable[[tuple, Any], int]
PANELS = 2**17


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize


def _norm_backward(args: tuple, out: Any) -> int:
    """The gradient's product with the input, before it becomes the gradient of the input."""
    return _bytes(args[1]) if out[0] is not None else 0


def _promoted(args: tuple, out: Any) -> int:
    """Operands of another number format are copied into the result's."""
    others = [a for a in args[:2] if isinstance(a, Tensor) and a.dim() and a.dtype != out.dtype]
    return sum(a.numel() * out.itemsize for a in others)


def _reduced(args: tuple, out: Any) -> int:
    """Sums of half precision are taken of a float32 copy, those of truth values of an int64 one."""
    x = args[0]
    if x.dtype in (torch.bfloat16, torch.float16):
        return 4 * x.numel()
    return 8 * x.numel() if x.dtype == torch.bool else 0


def _squares(args: tuple, out: Any) -> int:
    """The squares, of which a sum is taken; see `kept_bytes` for what becomes of them."""
    return 0 if len(args) > 2 else _bytes(args[0]) + _reduced(args, out)


def _logits_loss(args: tuple, out: Any) -> int:
    """Losses before their mean."""
    return 2 * _bytes(args[0])


def _packed(args: tuple, out: Any) -> int:
    """Blocks of the factors as bfloat16 products want them: 0.08 to 0.15 MB, whatever the size.

    With matrix tiles they are twice as large.

    Processors without wide registers have no such product; theirs takes the factors as they are.
    """
    if out.dtype != torch.bfloat16 or lane() != WIDE:
        return 0
    return PANELS * (2 if has_tiles() else 1)


@functools.cache
def _draws_by_mkl() -> bool:
    """Torch takes MKL's generator on Intel's processors only."""
    return "GenuineIntel" in processor_words() and torch.backends.mkl.is_available()


def _bernoulli(args: tuple, out: Any) -> int:
    """MKL draws int32; known from torch's source, not measured."""
    return 4 * args[0].numel() if _draws_by_mkl() and args[0].dtype != torch.int32 else 0


WORKSPACE: dict[str, Rule] = {
    "aten::convolution": convolution,
    "aten::convolution_backward": convolution_backward,
    "aten::mkldnn_convolution": convolution_by_onednn,
    "aten::native_batch_norm_backward": _norm_backward,
    "aten::add": _promoted,
    "aten::sub": _promoted,
    "aten::mul": _promoted,
    "aten::div": _promoted,
    "aten::sum": _reduced,
    "aten::mean": _reduced,
    "aten::mm": _packed,
    "aten::addmm": _packed,
    "aten::mse_loss": _squares,
    "aten::binary_cross_entropy_with_logits": _logits_loss,
    "aten::bernoulli_": _bernoulli,
}


def hidden_bytes(op: str, args: tuple, out: Any) -> int:
    """Bytes that live beside the results while the operation runs.

    Args:
        op: its name, such as "aten::convolution".
        args: its arguments, also of fake tensors.
        out: its results.
    """
    rule = WORKSPACE.get(op)
    return 0 if rule is None else rule(args, out)


def unwritten_bytes(op: str, args: tuple, hidden: int) -> int:
    """What of the hidden bytes is only asked for: its pages never become resident."""
    return min(hidden, unwritten(args)) if hidden and op == "aten::convolution_backward" else 0


def kept_bytes(op: str, args: tuple) -> int:
    """Bytes that a result holds beyond its own size for as long as it lives.

    The mean squared error is summed up in place: the number keeps the storage of all squares.
    """
    return _bytes(args[0]) if op == "aten::mse_loss" and len(args) < 3 else 0
