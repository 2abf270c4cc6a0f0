"""Results of the commonest operations from their known shapes.

Torch derives those of fake tensors by decomposing each operation in Python, which for a deep
network takes seconds. Whatever is not as expected here is left to torch.
"""

from collections.abc import Callable, Sequence
from functools import cache
from operator import ge
from typing import Any, Protocol

import torch
from torch import Tensor


class Maker(Protocol):
    """Makes tensors without bytes, past all that torch does when it is asked for one."""

    def blank(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A new tensor."""
        ...

    def call(self, func: Any, args: tuple) -> Any:
        """What an operation makes of its first argument; NotImplemented if that is a real one."""
        ...

    def run(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What any operation makes of its arguments, as torch has it."""
        ...


Rule = Callable[..., Any]
# views and copies, whose shapes torch derives in no time
PLAIN = {f"aten::{name}" for name in ("clone", "detach", "expand", "slice", "t", "view")}


def _norm(
    make: Maker,
    x: Tensor,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    *rest: Any,
) -> Any:
    if not x.is_contiguous():
        return NotImplemented
    if training:
        wide = torch.promote_types(x.dtype, torch.float32)
        statistics = (x.shape[1:2], wide)
    elif mean is not None and x.device.type in ("cpu", "meta"):
        statistics = ((0,), mean.dtype)
    else:
        return NotImplemented
    return make.blank(x.shape, x.dtype), make.blank(*statistics), make.blank(*statistics)


def _norm_backward(make: Maker, gradient: Tensor, x: Tensor, weight: Any, *rest: Any) -> Any:
    mask = rest[-1]
    if weight is None or not all(mask) or not gradient.is_contiguous() or not x.is_contiguous():
        return NotImplemented
    own = (make.blank(weight.shape, weight.dtype) for _ in range(2))
    return make.blank(x.shape, x.dtype), *own


def _like(make: Maker, first: Tensor, second: Any, *rest: Any) -> Any:
    """Of two tensors of one shape and number format, both in the usual order of axes, a third."""
    same = isinstance(second, Tensor) and second.shape == first.shape
    if not same or second.dtype != first.dtype or not (_in_order(first) and _in_order(second)):
        return NotImplemented
    return make.blank(first.shape, first.dtype)


def _in_order(tensor: Tensor) -> bool:
    """The last axis is the densest, the first the widest; slices may have gaps."""
    strides = tensor.stride()
    return 0 not in strides and all(map(ge, strides, strides[1:]))


def _cat(make: Maker, parts: list[Tensor], dim: int = 0) -> Any:
    """Of tensors in the usual order that differ along one axis only."""
    first = parts[0]
    axis = dim % max(first.dim(), 1)
    before, after = first.shape[:axis], first.shape[axis + 1 :]
    for part in parts:
        shape = part.shape
        alike = len(shape) == first.dim() > 0 and part.dtype == first.dtype
        if not alike or shape[:axis] != before or shape[axis + 1 :] != after:
            return NotImplemented
        if not part.is_contiguous():
            return NotImplemented
    return make.blank((*before, sum(part.shape[axis] for part in parts), *after), first.dtype)


def _into(make: Maker, first: Any, *rest: Any) -> Any:
    """Written over the first operand, which the second fits."""
    fits = not rest or not isinstance(rest[0], Tensor) or rest[0].dim() == 0
    return first if fits or rest[0].shape == first.shape else NotImplemented


def _nothing(make: Maker, *args: Any) -> None:
    """All results are written over what is given."""


SHORTCUTS: dict[str, Rule] = {
    "aten::native_batch_norm": _norm,
    "aten::native_batch_norm_backward": _norm_backward,
    "aten::threshold_backward": _like,
    "aten::add": _like,
    "aten::cat": _cat,
    "aten::add_": _into,
    "aten::mul_": _into,
    "aten::relu_": _into,
    "aten::_foreach_mul_": _nothing,
    "aten::_fused_sgd_": _nothing,
    "aten::_fused_adam_": _nothing,
    "aten::_fused_adamw_": _nothing,
}


@cache
def is_composite(func: Any) -> bool:
    """Whether an operation is made of others, as torch.nn.functional's often are."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


def shortcut(make: Maker, op: str, func: Any, args: tuple) -> Any:
    """The results of an operation, or NotImplemented where torch must say.

    Args:
        make: of the results.
        op: its name, such as "aten::relu_". func: itself.
        args: its positional arguments, fake tensors among them.
    """
    if op in PLAIN:
        return make.call(func, args)
    rule = SHORTCUTS.get(op)
    return NotImplemented if rule is None else rule(make, *args)
