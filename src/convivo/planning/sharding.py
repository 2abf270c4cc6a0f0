"""A step of one rank under torch's `fully_shard`: the trace of the whole network, with slices in
place of parameters, gradients and state, and with what gathering and handing over take.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from torch import nn

from convivo.planning.events import Holding, Moment, Trace

Key = tuple[int, int]  # a moment of the trace, then before (negative), at (0) or behind it
BEFORE = -(10**9)
GATHER, COPY_OUT, REDUCE = "fsdp::all_gather", "fsdp::all_gather_copy_out", "fsdp::reduce_scatter"


@dataclass(frozen=True)
class Pass:
    """Places of one step's moments in the trace, by phase."""

    step: int
    forward: Sequence[int]
    backward: Sequence[int]


def passes_of(trace: Trace) -> list[Pass]:
    """The steps in which the network runs; the loss does not count."""
    places: dict[tuple[int, str], list[int]] = {}
    for index, moment in enumerate(trace.moments):
        places.setdefault((moment.step, moment.phase), []).append(index)
    steps = range(1, trace.steps + 1)
    return [
        Pass(n, places[n, "forward"], places.get((n, "backward"), []))
        for n in steps
        if (n, "forward") in places
    ]


def block_of(name: str, blocks: Collection[str]) -> str:
    """The block in which a module is, by its name; "" for none."""
    while name and name not in blocks:
        name = name.rpartition(".")[0]
    return name


def sharded(trace: Trace, net: nn.Module, blocks: Sequence[str], ranks: int) -> Trace:
    """The first rank's trace; `ranks.per_rank` has the rules.

    Args:
        trace: of the whole network.
        net: that network.
        blocks: names of the modules that are gathered on their own.
        ranks: how many there are.
    """
    parameters = dict(net.named_parameters())
    score = _Score(trace, _sizes(parameters, blocks, ranks), ranks)
    for one in passes_of(trace):
        score.forward(one)
        score.backward(one)
    shapes = {tuple(p.shape) for p in parameters.values()}
    for holding in trace.holdings:
        name = f"{holding.layer}.{holding.op}" if holding.layer else holding.op
        parameter = holding.kind == "parameters" and name in parameters
        state = holding.kind == "optimizer" and holding.shape in shapes
        if holding.kind == "gradients":
            score.hand_over(holding)
        else:
            score.keep(_cut(holding, ranks) if parameter or state else holding)
    return score.trace()


def _cut(holding: Holding, ranks: int) -> Holding:
    """A slice of the first axis; the last ranks fill theirs up."""
    if not holding.shape:
        return holding
    shape = (math.ceil(holding.shape[0] / ranks), *holding.shape[1:])
    return replace(holding, shape=shape, bytes=math.prod(shape) * holding.itemsize)


def _sizes(
    parameters: dict[str, nn.Parameter], blocks: Sequence[str], ranks: int
) -> dict[str, int]:
    """Bytes of each block's parameters and of those outside (""), filled up to equal slices."""
    sizes = dict.fromkeys(["", *blocks], 0)
    for name, p in parameters.items():
        rows = math.ceil(p.shape[0] / ranks) if p.dim() else 1
        sizes[block_of(name, blocks)] += ranks * rows * math.prod(p.shape[1:]) * p.itemsize
    return {name: size for name, size in sizes.items() if size}


def _after(key: Key) -> Key:
    return key[0], key[1] + 1


class _Score:
    """Collects what is held from one key until another, and the moments put in between."""

    def __init__(self, trace: Trace, sizes: dict[str, int], ranks: int) -> None:
        self.old, self.sizes, self.ranks = trace, sizes, ranks
        self.moments: dict[Key, Moment] = {(i, 0): m for i, m in enumerate(trace.moments)}
        self.held: list[tuple[Holding, Key, Key]] = []
        self.reduced: dict[tuple[int, str], Key] = {}  # by step and block

    def keep(self, holding: Holding) -> None:
        self.held.append((holding, (holding.born, 0), (holding.died, 1)))

    def hand_over(self, holding: Holding) -> None:
        """A gradient lives until its block's are complete, then its slice until they are zeroed."""
        step = self.old.moments[min(holding.born, len(self.old.moments) - 1)].step
        block = block_of(holding.layer, self.sizes)
        reduced = self.reduced.get((step, block)) or self.reduced.get((step, ""))
        if reduced is None:
            self.keep(holding)
            return
        self.held.append((holding, (holding.born, 0), _after(reduced)))
        self.held.append((_cut(holding, self.ranks), _after(reduced), (holding.died, 1)))

    def forward(self, one: Pass) -> None:
        """Gather before each block; the common piece is let go when the next is gathered."""
        spans = self._spans(one.forward)
        order = sorted(spans, key=lambda name: (spans[name][0], name))
        asked, copied = {}, {}
        for name in order:
            asked[name] = self._put((spans[name][0], BEFORE), name, GATHER)
            copied[name] = self._put((spans[name][0], BEFORE), name, COPY_OUT)
        follows = [*(_after(copied[name]) for name in order[1:]), (one.forward[-1], 1)]
        for name, follow in zip(order, follows, strict=True):
            self._hold(self._piece(name), asked[name], follow, name)
            last = one.backward[-1] if not name and one.backward else spans[name][1]
            self._hold(self.sizes[name], copied[name], (last, 1), name)

    def backward(self, one: Pass) -> None:
        """Gather again, one block ahead; make one piece of the gradients when they are complete."""
        spans = self._spans(one.backward)
        ahead = None
        for name in sorted((n for n in spans if n), key=lambda n: spans[n]):
            first, last = spans[name]
            copied = self._put((first, BEFORE), name, COPY_OUT)
            self._hold(self._piece(name), ahead or copied, (first, 0), name)
            self._hold(self.sizes[name], copied, (last, 1), name)
            ahead = (first, 0)
        order = sorted(spans, key=lambda n: (spans[n][1], n == "", n))
        for name in order:
            self.reduced[one.step, name] = self._put((spans[name][1], 0), name, REDUCE)
        keys = [self.reduced[one.step, name] for name in order]
        for name, key, follow in zip(order, keys, [*keys[1:], *keys[-1:]], strict=False):
            self._hold(self.sizes[name], key, max(follow, _after(key)), name)

    def trace(self) -> Trace:
        """The trace with all that was collected, its places counted anew."""
        order = sorted(self.moments)
        holdings = []
        for holding, born, gone in self.held:
            first, last = bisect_left(order, born), bisect_left(order, gone) - 1
            if gone[0] >= len(self.old.moments):
                last = len(order)
            if last >= first:
                holdings.append(replace(holding, born=first, died=last))
        moments = tuple(self.moments[key] for key in order)
        return Trace(moments=moments, holdings=tuple(holdings), steps=self.old.steps)

    def _spans(self, places: Sequence[int]) -> dict[str, tuple[int, int]]:
        """First and last moment of each block among `places`; of "" those of all."""
        spans: dict[str, tuple[int, int]] = {}
        for index in places:
            name = block_of(self.old.moments[index].layer, self.sizes)
            spans[name] = (spans.get(name, (index, index))[0], index)
        if "" in self.sizes and places:
            spans[""] = (places[0], places[-1])
        return {name: span for name, span in spans.items() if name in self.sizes}

    def _piece(self, name: str) -> int:
        """One rank alone gathers nothing."""
        return self.sizes[name] if self.ranks > 1 else 0

    def _put(self, key: Key, block: str, op: str) -> Key:
        """A moment behind `key` and all that was put there before."""
        near = self.old.moments[key[0]]
        while key in self.moments or key[1] == BEFORE:
            key = (key[0], key[1] + 2)
        self.moments[key] = replace(near, layer=block, op=op, hidden=0)
        return key

    def _hold(self, size: int, born: Key, gone: Key, block: str) -> None:
        piece = Holding(
            bytes=size,
            born=0,
            died=0,
            shape=(size,),
            itemsize=1,
            kind="operations",
            layer=block,
            op="gathered",
        )
        if size:
            self.held.append((piece, born, gone))
