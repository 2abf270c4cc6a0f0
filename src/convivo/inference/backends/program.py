"""A network and its decoding as an exported program, free in the sizes that it can follow.

Letters: n items, C channels, *S spatial axes.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

import torch
from torch import nn

from convivo.geometry import Axes
from convivo.inference.backends.engine import Unavailable, converting, unavailable

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Decode = Callable[[torch.Tensor], torch.Tensor]
EXAMPLES = 2  # items of the batch that is traced: of one, torch would fix the number


class Answering(nn.Module):
    """A network whose output is the task's answer: probabilities, values, images."""

    def __init__(self, network: nn.Module, decode: Decode) -> None:
        super().__init__()
        self.network, self.decode = network, decode

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, C, *S) -> (n, K, ...) float32."""
        return self.decode(self.network(images)).float()


@dataclass(frozen=True, eq=False)
class Program:
    """An exported network.

    exported: its program. bounds: least and greatest size of each axis of (n, C, *S).
    """

    exported: "ExportedProgram"
    bounds: tuple[tuple[float, float], ...]

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether it was exported for batches (n, C, *S) of this shape."""
        pairs = zip(shape, self.bounds, strict=True)
        return all(low <= size <= high for size, (low, high) in pairs)


@dataclass(kw_only=True)
class Programs:
    """The programs of one network, made as shapes ask for them.

    Args:
        network: in eval mode, on the CPU. decode: of its task.
        free: images of several sizes will come. Where the network follows them one program
            serves all; else each size gets its own.
    """

    network: nn.Module
    decode: Decode
    free: bool = False
    _made: list[Program] = field(default_factory=list)

    def of(self, shape: Sequence[int]) -> Program:
        """The program for batches (n, C, *S).

        Raises:
            Unavailable: torch cannot export the network.
        """
        for program in self._made:
            if program.takes(shape):
                return program
        item = tuple(shape[1:])
        ways = [(0, *range(2, len(shape)))] if self.free and not self._made else []
        found = self._first_of([*ways, (0,), ()], item, shape)
        self._made.append(found)
        return found

    def _first_of(
        self, ways: Sequence[tuple[int, ...]], item: Axes, shape: Sequence[int]
    ) -> Program:
        """The freest export that works and takes the shape."""
        told: object = "another shape"
        for axes in ways:
            count = EXAMPLES if axes else shape[0]
            try:
                program = exported(self.network, self.decode, (count, *item), axes)
            except Unavailable as error:
                told = error.got
                continue
            if program.takes(shape):
                return program
        raise unavailable("the exporter", told)


def exported(
    network: nn.Module, decode: Decode, shape: Sequence[int], free: Sequence[int]
) -> Program:
    """One export, by the trace of a batch (n, C, *S).

    Args:
        free: axes whose sizes may change; torch fixes those that the network does not follow.
    Raises:
        Unavailable: torch cannot export the network so.
    """
    from torch.export import Dim, export  # the exporter is large: only who converts has it

    example = torch.zeros(tuple(shape))
    sizes = (dict.fromkeys(free, Dim.AUTO),) if free else None
    with converting("torch's exporter"), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch, about its own parts
        whole = Answering(network, decode).eval()
        program = export(whole, (example,), dynamic_shapes=sizes)
    return Program(program, _bounds(program))


def _bounds(program: "ExportedProgram") -> tuple[tuple[float, float], ...]:
    """Of each axis of the input, from the program's own conditions."""
    name = next(iter(program.graph_signature.user_inputs))
    nodes = {node.name: node for node in program.graph.nodes}
    items, *sizes = nodes[str(name)].meta["val"].shape
    least, most = _bound(items, program)
    # torch assumes two of what it leaves free; one item is no different
    return (1 if least == EXAMPLES < most else least, most), *(_bound(n, program) for n in sizes)


def _bound(size: object, program: "ExportedProgram") -> tuple[float, float]:
    if isinstance(size, int):
        return size, size
    symbol = size.node.expr  # type: ignore[attr-defined]
    ranges = program.range_constraints.get(symbol)
    if ranges is None:  # a size that depends on others: only the traced one is sure
        traced = size.node.hint  # type: ignore[attr-defined]
        return traced, traced
    return int(ranges.lower), _number(ranges.upper)


def _number(bound: object) -> float:
    """A bound as a number; torch has its own infinities, which do not convert."""
    try:
        return int(bound)  # type: ignore[call-overload]
    except (AttributeError, OverflowError, TypeError, ValueError):
        return inf
