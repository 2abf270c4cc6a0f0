"""Shapes of the results of single operations; each rule leaves to torch what it does not know."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convivo.planning.makers import Maker, dense, in_order, in_order_or_repeated

NUMBERS = (int, float, bool)


def batch_norm(
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


def batch_norm_backward(make: Maker, gradient: Tensor, x: Tensor, weight: Any, *rest: Any) -> Any:
    mask = rest[-1]
    if weight is None or not all(mask) or not gradient.is_contiguous() or not x.is_contiguous():
        return NotImplemented
    own = (make.blank(weight.shape, weight.dtype) for _ in range(2))
    return make.blank(x.shape, x.dtype), *own


def like_both(make: Maker, first: Tensor, second: Any, *rest: Any) -> Any:
    """Of two tensors of one shape and number format, both in the usual order of axes, a third."""
    same = isinstance(second, Tensor) and second.shape == first.shape
    if not same or second.dtype != first.dtype or not (in_order(first) and in_order(second)):
        return NotImplemented
    return make.blank(first.shape, first.dtype)


def each(make: Maker, x: Tensor, *numbers: Any) -> Any:
    """Sample by sample, of one tensor of real numbers."""
    plain = all(n is None or isinstance(n, NUMBERS) for n in numbers)
    fits = plain and x.dtype.is_floating_point and in_order_or_repeated(x)
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def both(make: Maker, first: Any, second: Any, *rest: Any) -> Any:
    """Of two tensors of one number format, or of one and a number; samples may be repeated."""
    if isinstance(second, NUMBERS):
        return each(make, first, second)
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


def along(make: Maker, x: Tensor, *rest: Any) -> Any:
    """Softmax; `rest` may ask for another number format than the first tensor's."""
    same = not any(isinstance(r, torch.dtype) and r != x.dtype for r in rest)
    same = same and True not in [r for r in rest if isinstance(r, bool)]
    others = [r for r in rest if isinstance(r, Tensor)]
    fits = same and dense(x, *others) and all(r.dtype == x.dtype for r in others)
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def reduced(
    make: Maker, x: Tensor, dims: Sequence[int] | None = None, keep: bool = False, *rest: Any
) -> Any:
    """Sum or mean, of all samples without `dims`."""
    if rest or not x.dtype.is_floating_point or not x.is_contiguous():
        return NotImplemented
    gone = {d % x.dim() for d in dims or range(x.dim())}
    kept = [1 if d in gone else n for d, n in enumerate(x.shape) if keep or d not in gone]
    return make.blank(tuple(kept), x.dtype)


def length(make: Maker, x: Tensor, order: Any = 2, dims: Any = None, *rest: Any) -> Any:
    whole = dims is None and not any(rest) and x.dtype.is_floating_point
    return make.blank((), x.dtype) if whole else NotImplemented


def mean_loss(make: Maker, x: Tensor, target: Tensor, *rest: Any) -> Any:
    """One number, and the sum of weights behind it."""
    reduction = rest[1]
    both = make.blank((), x.dtype), make.blank((), x.dtype)
    return both if reduction else NotImplemented


def squared(make: Maker, x: Tensor, y: Tensor, reduction: int = 1) -> Any:
    same = x.dtype == y.dtype and x.shape == y.shape
    return make.blank((), x.dtype) if reduction and same else NotImplemented


def like_second(make: Maker, gradient: Tensor, x: Tensor, target: Tensor, *rest: Any) -> Any:
    """The gradient of a loss."""
    fits = dense(x) and (dense(target) or not target.dtype.is_floating_point)
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def product(make: Maker, a: Tensor, b: Tensor) -> Any:
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0] or a.dtype != b.dtype:
        return NotImplemented
    return make.blank((a.shape[0], b.shape[1]), a.dtype)


def product_by_onednn(
    make: Maker, a: Tensor, turned: Tensor, bias: Tensor | None, activation: str, *rest: object
) -> Any:
    plain = bias is None and activation == "none"
    return product(make, a, turned.t()) if plain else NotImplemented


def sum_and_product(make: Maker, first: Tensor, a: Tensor, b: Tensor) -> Any:
    fits = first.dtype == a.dtype and first.shape == b.shape[1:]
    return product(make, a, b) if fits else NotImplemented


def cat(make: Maker, parts: list[Tensor], dim: int = 0) -> Any:
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


def stack(make: Maker, parts: list[Tensor], dim: int = 0) -> Any:
    first = parts[0]
    alike = all(p.shape == first.shape and p.dtype == first.dtype for p in parts)
    if dim or not alike or not dense(*parts):
        return NotImplemented
    return make.blank((len(parts), *first.shape), first.dtype)


def sized(make: Maker, gradient: Tensor, sizes: Sequence[int], *rest: Any) -> Any:
    """The gradient of what a slice was cut from."""
    return make.blank(tuple(sizes), gradient.dtype)


def selected(make: Maker, x: Tensor, dim: int, places: Tensor) -> Any:
    if not dense(x, places) or places.dim() != 1 or not x.dim():
        return NotImplemented
    shape = list(x.shape)
    shape[dim] = len(places)
    return make.blank(tuple(shape), x.dtype)


def added_at(make: Maker, x: Tensor, dim: int, places: Tensor, added: Tensor) -> Any:
    fits = dense(x, added) and x.dtype == added.dtype
    return make.blank(x.shape, x.dtype) if fits else NotImplemented


def repeated(make: Maker, x: Tensor, times: Sequence[int]) -> Any:
    if not dense(x) or len(times) < x.dim():
        return NotImplemented
    shape = (*(1 for _ in times[x.dim() :]), *x.shape)
    return make.blank(tuple(n * t for n, t in zip(shape, times, strict=True)), x.dtype)


def itself(make: Maker, first: Any, *rest: Any) -> Any:
    """Written over at some places."""
    return first


def wider(make: Maker, first: torch.dtype, second: torch.dtype) -> torch.dtype:
    return torch.promote_types(first, second)


def gather(make: Maker, x: Tensor, dim: int, places: Tensor) -> Any:
    return make.blank(places.shape, x.dtype) if dense(x, places) else NotImplemented


def into(make: Maker, first: Any, *rest: Any) -> Any:
    """Written over the first operand, which the second fits."""
    fits = not rest or not isinstance(rest[0], Tensor) or rest[0].dim() == 0
    return first if fits or rest[0].shape == first.shape else NotImplemented


def nothing(make: Maker, *args: Any) -> None:
    """All results are written over what is given."""
