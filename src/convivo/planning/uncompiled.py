"""Torch's compiler, kept out of what is only traced.

Optimizers and some of torch's own rules for shapes import it at their first call, for a second or
two, only to tell it to keep away from them. While a step is traced a stand-in is told so instead.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "torch._dynamo"
TOLD = "__dynamo_disable"  # where torch keeps the compiler's answer


class PlainMode(TorchDispatchMode):
    """A mode of which torch does not ask its compiler at every operation."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or it would import it


class _StandIn(ModuleType):
    """Answers what torch asks of its compiler outside compilation."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.kept: list[Callable] = []

    def disable(self, function: Callable, *rest: Any, **more: Any) -> Callable:
        self.kept.append(function)
        return function

    def graph_break(self, *rest: Any, **more: Any) -> None:
        """There is no graph."""

    def __getattr__(self, name: str) -> Any:
        """Whoever asks for more is given the compiler itself."""
        if name.startswith("__"):
            raise AttributeError(name)
        recall()
        return getattr(import_module(NAME), name)


@contextmanager
def uncompiled() -> Iterator[None]:
    """No import of torch's compiler meanwhile, unless it is there already or `recall` is called."""
    if NAME in sys.modules:
        yield
        return
    sys.modules[NAME] = stand_in = _StandIn()
    setattr(torch, NAME.rpartition(".")[2], stand_in)
    try:
        yield
    finally:
        recall()


def recall() -> None:
    """Take the stand-in away, for someone who needs the compiler itself."""
    found = sys.modules.get(NAME)
    if not isinstance(found, _StandIn):
        return
    for function in found.kept:
        vars(function).pop(TOLD, None)
    del sys.modules[NAME], torch._dynamo
