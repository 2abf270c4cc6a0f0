"""What torch's own allocator did while a step ran, and what of it lived at the peak, by kind.

Measured, not traced: every block that the allocator gives and takes back is seen, kernels' own
scratch too. The only file that switches on torch's allocator events.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from convivo.planning.events import KINDS

# private to torch: where they have moved, nothing is heard
autograd: Any = getattr(torch._C, "_autograd", None)
profiler: Any = getattr(torch._C, "_profiler", None)

MARK = "convivo:"  # before the word of a mark: step, over, enter, cast, hand, leave, update
Known = Mapping[int, tuple[str, int]]  # address -> kind and bytes


def can_watch() -> bool:
    """Whether this torch tells what its allocator does, and nobody else is listening."""
    return hasattr(profiler, "RecordScope") and not torch.autograd._profiler_enabled()


def listen() -> None:
    """Let torch note allocations, marks and nodes of the backward pass; operations are left out.

    They would take tens of MiB in a deep network, and so change what is to be measured.
    """
    # otherwise a line on stderr for each start and stop; read when it is first used
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    nothing = (False, True, False, False, False)  # shapes no, memory yes, stacks, flops, modules no
    settings = profiler._ExperimentalConfig()
    config = profiler.ProfilerConfig(profiler.ProfilerState.KINETO, *nothing, settings)
    activities = {profiler.ProfilerActivity.CPU}
    autograd._prepare_profiler(config, activities)
    scopes = {profiler.RecordScope.USER_SCOPE, profiler.RecordScope.BACKWARD_FUNCTION}
    autograd._enable_profiler(config, activities, scopes)


def heard() -> list[Any]:
    """Stop listening; the events since, as a forest in their order."""
    return list(autograd._disable_profiler().experimental_event_tree())


def mark(word: str, numbers: Iterable[int] = ()) -> None:
    """Put a word between the allocations, with addresses (or with "cast" sizes) it is about."""
    with torch.profiler.record_function(f"{MARK}{word} {','.join(map(str, numbers))}"):
        pass


@dataclass(kw_only=True, eq=False, slots=True)
class _Block:
    """One allocation. born, died: places in the order of events. phase: where it was made.

    stays: it outlived what made it. role: its kind, where that is known.
    """

    bytes: int
    born: int
    phase: str
    died: int | None = None
    stays: bool = False
    role: str = ""

    @property
    def kind(self) -> str:
        """Its home, by the rules of `planning.homes`."""
        if self.role:
            return self.role
        if self.phase == "forward":
            return "outputs" if self.stays else "operations"
        return "losses" if self.stays and self.phase in ("loss", "backward") else "operations"


class _Account:
    """Plays the events through."""

    def __init__(self, before: Known, given: Known) -> None:
        self.given = given
        self.place, self.phase, self.outer, self.started = 0, "draw", "draw", False
        self.blocks: list[_Block] = []
        self.pending: list[_Block] = []  # made outside the backward pass's nodes, or behind it
        self.living: dict[int, _Block] = {}
        self.casts: list[int] = []  # sizes of what the module at work may copy of its weights
        self.total = self.peak = self.peak_place = 0
        for address, (kind, size) in before.items():
            self.take(address, size).role = kind

    def play(self, events: Iterable[Any], inside: bool = False) -> None:
        """Take events in their order; `inside` a node of the backward pass, or outside."""
        for event in events:
            if event.name == "[memory]":
                fields = event.extra_fields
                if fields.alloc_size > 0:
                    self.take(fields.ptr, fields.alloc_size, inside=inside)
                else:
                    self.give(fields.ptr)
            elif event.name.startswith(MARK):
                self._marked(*event.name.removeprefix(MARK).split(" "))
            else:
                self._node(event)

    def take(self, address: int, size: int, *, inside: bool = False) -> _Block:
        phase = "backward" if inside and self.phase == "after" else self.phase
        block = _Block(bytes=size, born=self.place, phase=phase)
        self.blocks.append(block)
        if phase == "after":
            self.pending.append(block)
        self.living[address] = block
        if phase == "forward" and size in self.casts:  # a weight in another number format
            self.casts.remove(size)
            block.role = "operations"
        self._count(size)
        return block

    def give(self, address: int) -> None:
        if block := self.living.pop(address, None):  # else it is older than the step
            self._count(-block.bytes)
            block.died = self.place

    def _count(self, size: int) -> None:
        self.place, self.total = self.place + 1, self.total + size
        if self.started and self.total > self.peak:
            self.peak, self.peak_place = self.total, self.place

    def _node(self, event: Any) -> None:
        """A node of the backward pass: what it gives back itself was its own."""
        for block in self.pending:  # between two nodes, where gradients are summed
            block.phase, block.stays = "backward", True
        self.pending.clear()
        first = len(self.blocks)
        self.play(event.children, inside=True)
        for block in self.blocks[first:]:
            if block.phase == "backward":
                block.stays = block.stays or block.died is None

    def _marked(self, word: str, numbers: str) -> None:
        named = [int(number) for number in numbers.split(",") if number]
        if word == "step":
            self._step(named)
        elif word == "enter":
            self.outer, self.phase = self.phase, "forward"
        elif word == "cast":
            self.casts = named
        elif word == "hand":
            for block in filter(None, map(self.living.get, named)):
                block.stays = True
        elif word == "leave":
            self._outlive("forward")
            self.phase = self.outer
        elif word == "update":
            for block in filter(None, map(self.living.get, named)):
                block.role = "gradients"
        elif word == "over":
            self._outlive("loss")
            self.phase = "after"

    def _step(self, named: list[int]) -> None:
        """The batch is there: it is kept, and so are the copies that the step has made by now."""
        for block in self.living.values():
            if block.phase == "draw":
                block.role = block.role or "parameters"
        self.started, self.phase = True, "loss"
        for address in named:
            if address not in self.living and address in self.given:
                self.take(address, self.given[address][1])  # an array's memory: not the allocator's
            if address in self.living:
                self.living[address].role = "outputs"
        self._count(0)

    def _outlive(self, phase: str) -> None:
        for block in self.living.values():
            block.stays = block.stays or block.phase == phase

    def settle(self, after: Known) -> dict[str, int]:
        for address, (kind, _) in after.items():
            if address in self.living:
                self.living[address].role = kind
        found = dict.fromkeys(KINDS, 0)
        for block in self.blocks:
            if block.born < self.peak_place and (
                block.died is None or block.died > self.peak_place
            ):
                found[block.kind] += block.bytes
        return found


def peak_by_kind(
    events: Iterable[Any], *, before: Known, given: Known, after: Known
) -> dict[str, int]:
    """Bytes of each of `KINDS` that lived when most did; they add up to the peak.

    Args:
        events: from `heard`; counted from the first mark "step" on.
        before: storages that were there when the listening began, by address.
        given: the batch's. after: what is there once the step is done: the optimizer's state.
    """
    account = _Account(before, given)
    account.play(events)
    return account.settle(after)


def storages(tensors: Iterable[torch.Tensor], kind: str) -> Iterator[tuple[int, tuple[str, int]]]:
    """Address, kind and bytes of the storage behind each tensor."""
    for tensor in tensors:
        storage = tensor.untyped_storage()
        yield storage.data_ptr(), (kind, storage.nbytes())
