"""Results of the commonest operations from their known shapes.

Torch derives those of fake tensors by decomposing each operation in Python, which for a deep
network takes seconds, and imports its compiler for it. Whatever is not as expected here is left to
torch.
"""

from functools import cache, partial
from math import prod
from typing import Any

import torch

from convivo.planning import last_shapes
from convivo.planning import result_shapes as shapes
from convivo.planning.makers import Maker, Rule, dense
from convivo.planning.window_shapes import WINDOWS

# views, whose shapes torch derives in no time
VIEWS = """_unsafe_view alias detach expand permute select slice squeeze t transpose unsqueeze
view""".split()  # noqa: SIM905 - one a word
PLAIN = {f"aten::{name}" for name in VIEWS}
CPU = torch.device("cpu")


def _named(*names: str) -> list[str]:
    return [f"aten::{name}" for name in " ".join(names).split()]


SHORTCUTS: dict[str, Rule] = {
    **WINDOWS,
    "aten::native_batch_norm": shapes.batch_norm,
    "aten::native_batch_norm_backward": shapes.batch_norm_backward,
    **dict.fromkeys(
        _named("threshold_backward leaky_relu_backward tanh_backward"), shapes.like_both
    ),
    "aten::sigmoid_backward": shapes.like_both,
    **dict.fromkeys(_named("add sub mul div"), shapes.both),
    **dict.fromkeys(_named("relu tanh sigmoid exp neg reciprocal clamp leaky_relu"), shapes.each),
    **dict.fromkeys(_named("_softmax _softmax_backward_data _log_softmax"), shapes.along),
    "aten::_log_softmax_backward_data": shapes.along,
    **dict.fromkeys(_named("sum mean"), shapes.reduced),
    "aten::linalg_vector_norm": shapes.length,
    **dict.fromkeys(_named("nll_loss_forward nll_loss2d_forward"), shapes.mean_loss),
    **dict.fromkeys(_named("nll_loss_backward nll_loss2d_backward"), shapes.like_second),
    "aten::mse_loss": shapes.squared,
    "aten::mse_loss_backward": shapes.like_second,
    "aten::mm": shapes.product,
    "aten::addmm": shapes.sum_and_product,
    "mkldnn::_linear_pointwise": shapes.product_by_onednn,
    "aten::cat": shapes.cat,
    "aten::stack": shapes.stack,
    "aten::slice_backward": shapes.sized,
    "aten::gather": shapes.gather,
    "aten::index_select": shapes.selected,
    "aten::index_add": shapes.added_at,
    "aten::repeat": shapes.repeated,
    "aten::scatter_": shapes.itself,
    "aten::promote_types": shapes.wider,
    **dict.fromkeys(
        _named("add_ sub_ mul_ div_ copy_ relu_ leaky_relu_ tanh_ sigmoid_"), shapes.into
    ),
    **dict.fromkeys(_named("zero_ bernoulli_ clamp_"), shapes.into),
    **dict.fromkeys(_named("_foreach_mul_ _fused_sgd_ _fused_adam_ _fused_adamw_"), shapes.nothing),
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
    if op in PLAIN and not kwargs:
        return make.call(func, args)
    last = op in last_shapes.KEEPING and last_shapes.are_last(args)
    if op in WORDED:
        if last and (kwargs or {}).get("memory_format") in (None, torch.preserve_format):
            return last_shapes.answered(make, partial(_kept, op, kwargs or {}), args)
        return _worded(make, op, args, kwargs or {})
    rule = SHORTCUTS.get(op)
    if kwargs or rule is None:
        return NotImplemented
    return last_shapes.answered(make, rule, args) if last else rule(make, *args)


def _kept(op: str, kwargs: dict[str, Any], make: Maker, *args: Any) -> Any:
    return _worded(make, op, args, kwargs)
