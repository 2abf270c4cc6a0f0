"""Results of the commonest operations from their known shapes.

Torch derives those of fake tensors by decomposing each operation in Python, which for a deep
network takes seconds, and imports its compiler for it. Whatever is not as expected here is left to
torch.
"""

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from convivo.planning.makers import Maker, Rule, dense, in_order, in_order_or_repeated
from convivo.planning.window_shapes import WINDOWS

# views, whose shapes torch derives in no time
VIEWS = """_unsafe_view alias detach expand permute select slice squeeze t transpose unsqueeze
view""".split()  # noqa: SIM905 - one a word
PLAIN = {f"aten::{name}" for name in VIEWS}
CPU = torch.device("cpu")
NUMBERS = (int, float, bool)


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
    if not same or second.dtype != first.dtype or not (in_order(first) and in_order(second)):
        return NotImplemented
    return make.blank(first.shape, first.dtype)


def _each(make: Maker, x: Tensor, *numbers: Any) -> Any:
    """Sample by sample, of one tensor of real numbers."""
    plain = all(n is None or isinstance(n, NUMBERS) for n in numbers)
    fits = plain and x.dtype.is_floating_point and in_order_or_repeated(x)
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def _both(make: Maker, first: Any, second: Any, *rest: Any) -> Any:
    """Of two tensors of one number format, or of one and a number; samples may be repeated."""
    if isinstance(second, NUMBERS):
        return _each(make, first, second)
    both = isinstance(first, Tensor) and isinstance(second, Tensor)
    if not both or first.dtype != second.dtype or not first.dtype.is_floating_point:
        return NotImplemented
    if not (in_order_or_repeated(first) and in_order_or_repeated(second)):
        return NotImplemented
    shape = first.shape if first.shape == second.shape else _joined(first.shape, second.shape)
    return NotImplemented if shape is None else make.blank(shape, first.dtype)


def _joined(first: torch.Size, second: torch.Size) -> torch.Size | None:
    """The shape of both together; None if they do not go together, as torch then explains."""
    try:
        return torch.broadcast_shapes(first, second)
    except RuntimeError:
        return None


def _along(make: Maker, x: Tensor, *rest: Any) -> Any:
    """Softmax; `rest` may ask for another number format than the first tensor's."""
    same = not any(isinstance(r, torch.dtype) and r != x.dtype for r in rest)
    same = same and True not in [r for r in rest if isinstance(r, bool)]
    others = [r for r in rest if isinstance(r, Tensor)]
    fits = same and dense(x, *others) and all(r.dtype == x.dtype for r in others)
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def _reduced(
    make: Maker, x: Tensor, dims: Sequence[int] | None = None, keep: bool = False, *rest: Any
) -> Any:
    """Sum or mean, of all samples without `dims`."""
    if rest or not x.dtype.is_floating_point or not x.is_contiguous():
        return NotImplemented
    gone = {d % x.dim() for d in dims or range(x.dim())}
    kept = [1 if d in gone else n for d, n in enumerate(x.shape) if keep or d not in gone]
    return make.blank(tuple(kept), x.dtype)


def _length(make: Maker, x: Tensor, order: Any = 2, dims: Any = None, *rest: Any) -> Any:
    whole = dims is None and not any(rest) and x.dtype.is_floating_point
    return make.blank((), x.dtype) if whole else NotImplemented


def _mean_loss(make: Maker, x: Tensor, target: Tensor, *rest: Any) -> Any:
    """One number, and the sum of weights behind it."""
    reduction = rest[1]
    both = make.blank((), x.dtype), make.blank((), x.dtype)
    return both if reduction else NotImplemented


def _squared(make: Maker, x: Tensor, y: Tensor, reduction: int = 1) -> Any:
    same = x.dtype == y.dtype and x.shape == y.shape
    return make.blank((), x.dtype) if reduction and same else NotImplemented


def _like_second(make: Maker, gradient: Tensor, x: Tensor, target: Tensor, *rest: Any) -> Any:
    """The gradient of a loss."""
    fits = dense(x) and (dense(target) or not target.dtype.is_floating_point)
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def _product(make: Maker, a: Tensor, b: Tensor) -> Any:
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0] or a.dtype != b.dtype:
        return NotImplemented
    return make.blank((a.shape[0], b.shape[1]), a.dtype)


def _sum_and_product(make: Maker, first: Tensor, a: Tensor, b: Tensor) -> Any:
    fits = first.dtype == a.dtype and first.shape == b.shape[1:]
    return _product(make, a, b) if fits else NotImplemented


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
        if not in_order(part):
            return NotImplemented
    return make.blank((*before, sum(part.shape[axis] for part in parts), *after), first.dtype)


def _stack(make: Maker, parts: list[Tensor], dim: int = 0) -> Any:
    first = parts[0]
    alike = all(p.shape == first.shape and p.dtype == first.dtype for p in parts)
    if dim or not alike or not dense(*parts):
        return NotImplemented
    return make.blank((len(parts), *first.shape), first.dtype)


def _sized(make: Maker, gradient: Tensor, sizes: Sequence[int], *rest: Any) -> Any:
    """The gradient of what a slice was cut from."""
    return make.blank(tuple(sizes), gradient.dtype)


def _selected(make: Maker, x: Tensor, dim: int, places: Tensor) -> Any:
    if not dense(x, places) or places.dim() != 1 or not x.dim():
        return NotImplemented
    shape = list(x.shape)
    shape[dim] = len(places)
    return make.blank(tuple(shape), x.dtype)


def _added_at(make: Maker, x: Tensor, dim: int, places: Tensor, added: Tensor) -> Any:
    fits = dense(x, added) and x.dtype == added.dtype
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def _repeated(make: Maker, x: Tensor, times: Sequence[int]) -> Any:
    if not dense(x) or len(times) < x.dim():
        return NotImplemented
    shape = (*(1 for _ in times[x.dim() :]), *x.shape)
    return make.blank(tuple(n * t for n, t in zip(shape, times, strict=True)), x.dtype)


def _itself(make: Maker, first: Any, *rest: Any) -> Any:
    """Written over at some places."""
    return first


def _wider(make: Maker, first: torch.dtype, second: torch.dtype) -> torch.dtype:
    return torch.promote_types(first, second)


def _gather(make: Maker, x: Tensor, dim: int, places: Tensor) -> Any:
    return make.blank(places.shape, x.dtype) if dense(x, places) else NotImplemented


def _into(make: Maker, first: Any, *rest: Any) -> Any:
    """Written over the first operand, which the second fits."""
    fits = not rest or not isinstance(rest[0], Tensor) or rest[0].dim() == 0
    return first if fits or rest[0].shape == first.shape else NotImplemented


def _nothing(make: Maker, *args: Any) -> None:
    """All results are written over what is given."""


def _named(*names: str) -> list[str]:
    return [f"aten::{name}" for name in " ".join(names).split()]


SHORTCUTS: dict[str, Rule] = {
    **WINDOWS,
    "aten::native_batch_norm": _norm,
    "aten::native_batch_norm_backward": _norm_backward,
    **dict.fromkeys(_named("threshold_backward leaky_relu_backward tanh_backward"), _like),
    "aten::sigmoid_backward": _like,
    **dict.fromkeys(_named("add sub mul div"), _both),
    **dict.fromkeys(_named("relu tanh sigmoid exp neg reciprocal clamp leaky_relu"), _each),
    **dict.fromkeys(_named("_softmax _softmax_backward_data _log_softmax"), _along),
    "aten::_log_softmax_backward_data": _along,
    **dict.fromkeys(_named("sum mean"), _reduced),
    "aten::linalg_vector_norm": _length,
    **dict.fromkeys(_named("nll_loss_forward nll_loss2d_forward"), _mean_loss),
    **dict.fromkeys(_named("nll_loss_backward nll_loss2d_backward"), _like_second),
    "aten::mse_loss": _squared,
    "aten::mse_loss_backward": _like_second,
    "aten::mm": _product,
    "aten::addmm": _sum_and_product,
    "aten::cat": _cat,
    "aten::stack": _stack,
    "aten::slice_backward": _sized,
    "aten::gather": _gather,
    "aten::index_select": _selected,
    "aten::index_add": _added_at,
    "aten::repeat": _repeated,
    "aten::scatter_": _itself,
    "aten::promote_types": _wider,
    **dict.fromkeys(_named("add_ sub_ mul_ div_ copy_ relu_ leaky_relu_ tanh_ sigmoid_"), _into),
    **dict.fromkeys(_named("zero_ bernoulli_ clamp_"), _into),
    **dict.fromkeys(_named("_foreach_mul_ _fused_sgd_ _fused_adam_ _fused_adamw_"), _nothing),
}

# of one tensor, whose form they keep but for what the keywords say
COPIES = set(_named("clone empty_like ones_like randn_like zeros_like _to_copy"))
FILLED = set(_named("empty ones zeros"))  # of a size
SIZED = set(_named("new_empty new_zeros new_empty_strided"))  # of a size, like a tensor
WORDED = COPIES | FILLED | SIZED
USUAL = {
    "layout": (None, torch.strided),
    "pin_memory": (None, False),
    "non_blocking": (None, False),
    "memory_format": (None, torch.preserve_format, torch.contiguous_format),
}


def _worded(make: Maker, op: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Operations that are told form and place by keywords."""
    if any(value not in USUAL.get(name, (value,)) for name, value in kwargs.items()):
        return NotImplemented
    if not kwargs.keys() <= {"dtype", "device", *USUAL} or not _plain(op, args):
        return NotImplemented
    filled = op in FILLED
    if (kwargs.get("device") or (CPU if filled else make.device)) != make.device:
        return NotImplemented
    dtype = kwargs.get("dtype")
    if filled:
        return make.blank(tuple(args[0]), dtype or torch.get_default_dtype())
    if op in SIZED:
        return make.blank(tuple(args[1]), dtype or args[0].dtype)
    return make.blank(args[0].shape, dtype or args[0].dtype) if dense(args[0]) else NotImplemented


def _plain(op: str, args: tuple) -> bool:
    """Whether there is nothing but a tensor, a size, or both; strides only as they would be."""
    if op == "aten::new_empty_strided":
        usual = [prod(args[1][place + 1 :]) for place in range(len(args[1]))]
        return list(args[2]) == usual and 0 not in args[1]
    return len(args) == 1 + (op in SIZED)


@cache
def is_composite(func: Any) -> bool:
    """Whether an operation is made of others, as torch.nn.functional's often are."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


def shortcut(
    make: Maker, op: str, func: Any, args: tuple, kwargs: dict[str, Any] | None = None
) -> Any:
    """The results of an operation, or NotImplemented where torch must say.

    Args:
        make: of the results.
        op: its name, such as "aten::relu_". func: itself.
        args: its positional arguments, fake tensors among them. kwargs: the others.
    """
    if op in WORDED:
        return _worded(make, op, args, kwargs or {})
    if kwargs:
        return NotImplemented
    if op in PLAIN:
        return make.call(func, args)
    rule = SHORTCUTS.get(op)
    return NotImplemented if rule is None else rule(make, *args)
