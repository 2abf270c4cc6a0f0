"""Networks without numbers: their parameters have shapes and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

DRAWING = frozenset((torch.Tensor.normal_, torch.Tensor.uniform_))


class _WithoutDrawing(TorchFunctionMode):
    """Leaves out starting weights, which take time to draw even where nothing is stored."""

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAWING or getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


@contextmanager
def outlined() -> Iterator[None]:
    """What is built meanwhile is built on the meta device, and no number is drawn for it.

    Example:
        >>> with outlined():
        ...     torch.nn.Linear(1_000_000, 1_000_000).weight.device
        device(type='meta')
    """
    with torch.device("meta"), _WithoutDrawing():
        yield
