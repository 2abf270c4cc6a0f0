"""Which of its kernels torch takes for a convolution; it is asked once for each."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from convivo.planning.fakes import is_fake, view
from convivo.planning.uncompiled import PlainMode

_DEVICE = torch.ops.prim.device.default


class _Placed(PlainMode):
    """Says where a fake tensor is, before torch looks for the answer in its packages.

    Signals are looked at as images there, by a view.
    """

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is _DEVICE:
            return args[0].device
        if args and is_fake(args[0]) and not kwargs:
            return view(func, args)
        return func(*args, **(kwargs or {}))


def conv_backend(x: Tensor, weight: Tensor, bias: Tensor | None, settings: tuple) -> str:
    """The kernels' name in torch, such as "Slow2d", also of fake tensors.

    Args:
        settings: stride, padding, dilation, transposed, output padding, groups.
    """
    answers = _answers(x.device, *(tuple(s) if isinstance(s, list) else s for s in settings))
    learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    switches = bias is None, learns, torch._C._get_mkldnn_enabled()
    form = x.shape, x.stride(), x.dtype, weight.shape, weight.stride(), *switches
    if form not in answers:
        with _Placed():
            chosen = torch._C._select_conv_backend(x, weight, bias, *settings)  # no public name
        answers[form] = str(chosen).rpartition(".")[2]
    return answers[form]


@cache
def _answers(*asked: Any) -> dict[tuple, str]:
    """What was answered so far for such a kind of convolution."""
    return {}
