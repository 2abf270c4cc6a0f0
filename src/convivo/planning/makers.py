"""What a rule for an operation's results is given, and when it may answer."""

from collections.abc import Callable, Sequence
from operator import ge
from typing import Any, Protocol

import torch
from torch import Tensor


class Maker(Protocol):
    """Makes tensors without bytes, past all that torch does when it is asked for one."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are said to be."""
        ...

    def blank(
        self, shape: Sequence[int], dtype: torch.dtype, stride: Sequence[int] | None = None
    ) -> Tensor:
        """A new tensor, in the usual order of axes without `stride`."""
        ...

    def call(self, func: Any, args: tuple) -> Any:
        """What an operation makes of its first argument; NotImplemented if that is a real one."""
        ...

    def run(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What any operation makes of its arguments, as torch has it."""
        ...


Rule = Callable[..., Any]
"""(maker, the operation's positional arguments) -> its results, or NotImplemented."""


def dense(*tensors: Tensor) -> bool:
    """Whether all are in the usual order of axes, without gaps."""
    return all(tensor.is_contiguous() for tensor in tensors)


def in_order(tensor: Tensor) -> bool:
    """The last axis is the densest, the first the widest; slices may have gaps."""
    return 0 not in tensor.stride() and in_order_or_repeated(tensor)


def in_order_or_repeated(tensor: Tensor) -> bool:
    """The same where one sample may stand for all along an axis: a sum's gradient, for example."""
    strides = [stride for stride in tensor.stride() if stride]
    return all(map(ge, strides, strides[1:]))
