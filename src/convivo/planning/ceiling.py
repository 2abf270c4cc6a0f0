"""More than a pass can take, told at once: where that fits, no trace need be made."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convivo.planning.shadow import shadow, tensors, told_of_values
from convivo.planning.uncompiled import PlainMode, uncompiled

WORKSPACE = 2  # kernels rearrange what they are given: never more than another copy of everything


class _Sum(PlainMode):
    """Adds up the bytes of all results, as if nothing were ever let go."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.bytes += sum(t.nbytes for t in tensors(result))
        return result


def ceiling(net: nn.Module, run: Callable[[nn.Module], object]) -> int:
    """Bytes of tensors that a prediction stays below: weights and every result, twice.

    Args:
        net: any module, on any device; it is not touched.
        run: the pass, given a copy of the network on the meta device.
    Raises:
        Untraceable: it does not run without values.
    """
    held: list[Tensor] = [*net.parameters(), *net.buffers()]
    with told_of_values(type(net).__name__), torch.no_grad(), uncompiled():
        twin = shadow(net)
        with _Sum() as total:
            run(twin)
    return sum(t.nbytes for t in held) + WORKSPACE * total.bytes
