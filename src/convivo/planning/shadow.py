"""Running a network on shapes alone: a copy on the meta device, of which no byte is allocated."""

import copy
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convivo.errors import ConvivoError, PlanError, ShapeError
from convivo.planning.uncompiled import uncompiled

UNCHANGED = {NoneType, bool, int, float, str}
NESTS = (tuple, list, dict)
# How torch says of an operation on a tensor without bytes that it needs them.
NEEDS_VALUES = re.compile(
    r"function for torch\.(\w+)\(\) raises|Tensor\.(\w+)\(\) cannot be called on meta"
    r"|(?:run|Creating) '?aten::(\w+)|Cannot (copy) out of meta"
)


class _CopyAs(TorchFunctionMode):
    """Copies tensors that are plain attributes of a module, neither parameters nor buffers."""

    def __init__(self, twin_of: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.twin_of = twin_of

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if getattr(func, "__name__", "") == "__deepcopy__":
            tensor, *_ = args
            return self.twin_of(tensor)
        return func(*args, **(kwargs or {}))


def copied(net: nn.Module, twin_of: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of the network that holds `twin_of` each tensor in its place; shared ones stay so."""
    memo: dict[int, object] = {}
    for tensor in chain(net.parameters(), net.buffers()):
        twin = twin_of(tensor)
        learnt = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(twin, tensor.requires_grad) if learnt else twin
    # a dozen of each module's, which deepcopy would take apart one by one
    every = chain.from_iterable(vars(module).values() for module in net.modules())
    empty = (value for value in every if type(value) in (dict, OrderedDict) and not value)
    memo |= {id(value): type(value)() for value in empty}
    with _CopyAs(twin_of):
        for module in reversed(list(net.modules())):  # those inside first
            if id(module) not in memo and _is_plain(type(module)):
                memo[id(module)] = _twin(module, memo)
        return copy.deepcopy(net, memo)


def _is_plain(kind: type[nn.Module]) -> bool:
    """Whether such a module is copied by copying its attributes."""
    own = ("__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__new__")
    slots = any(vars(base).get("__slots__") for base in kind.__mro__)
    return not slots and all(getattr(kind, n, None) is getattr(nn.Module, n, None) for n in own)


def _twin(module: nn.Module, memo: dict[int, object]) -> nn.Module:
    """As copy.deepcopy does, but for values that are their own copies anyway."""
    twin = type(module).__new__(type(module))
    memo[id(module)] = twin  # before its attributes, which may lead back to it
    twin.__setstate__(
        {
            name: value if type(value) in UNCHANGED else copy.deepcopy(value, memo)
            for name, value in vars(module).items()
        }
    )
    return twin


def shadow(net: nn.Module) -> nn.Module:
    """A copy of the network in evaluation mode whose tensors have shapes but no storage."""
    return copied(net, lambda tensor: tensor.detach().to("meta")).eval()


def run(twin: nn.Module, shape: Sequence[int]) -> object:
    """The output of a shadow for an input of `shape` (N, C, *S), float32.

    Raises:
        ShapeError: the network does not take that input; its own ShapeError where it has one.
        PlanError: an operation's result depends on the values; it is named.
    """
    try:
        name = type(twin).__name__
        with told_of_values(name), torch.no_grad(), uncompiled(), torch.device("meta"):
            return twin(torch.empty(*shape, device="meta"))
    except ConvivoError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        rule = "the network must take this input, and run on shapes alone"
        got = f"shape {tuple(shape)}: {reason[0].rstrip('.')}"
        remedy = "Correct the input's channels and size, or the network"
        raise ShapeError(type(twin).__name__, rule, got, remedy) from error


class Untraceable(PlanError):
    """The network does not run on shapes alone."""


def needs_values(where: str, operation: str) -> Untraceable:
    """The refusal of a network whose shapes depend on what it is shown."""
    rule = "memory is told of networks that run on shapes alone"
    got = f"{operation}, whose result depends on the values"
    return Untraceable(where, rule, got, "Write it with sizes that follow from the input's")


@contextmanager
def told_of_values(where: str) -> Iterator[None]:
    """Run a network on the meta device inside.

    Raises:
        Untraceable: an operation there asked for values.
    """
    try:
        yield
    except RuntimeError as error:  # a NotImplementedError is one
        needs = NEEDS_VALUES.search(str(error))
        if needs is None:
            raise
        raise needs_values(where, f"aten.{needs[needs.lastindex or 0]}") from error


def tensors(value: object) -> Iterator[Tensor]:
    """All tensors in a nest of tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
        return
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, NESTS) else ()
    ):
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, NESTS):
            yield from tensors(item)
