"""Watches the tensors of real steps and forward passes: their peak, by kind.

It changes no bit of what is watched, and nothing that goes wrong in here reaches the run.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim import Optimizer

from convivo.planning.shadow import tensors
from convivo.training.allocations import can_watch, heard, listen, mark, peak_by_kind, storages

OBSERVED = 2  # steps, or forward passes; later ones are like the second
W = TypeVar("W", bound="Watch")
P = ParamSpec("P")


def careful(call: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
    """A method that ends the watching instead of raising."""

    @wraps(call)
    def careful_call(self: W, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.failed:
            return
        try:
            call(self, *args, **kwargs)
        except Exception as error:  # whatever it is, the run goes on
            self.failed = f"{type(error).__name__}: {error}"
            with suppress(Exception):
                self._stop()

    return careful_call


class Watch:
    """The tensors of one step, or of one forward pass, between `begin` and `end`.

    Args:
        network: what is run. optimizer: where it is a training.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer | None = None) -> None:
        self.network, self.optimizer = network, optimizer
        self.memory: dict[str, int] | None = None
        self.peak: int | None = None
        self.reserved: int | None = None
        self.shape: tuple[int, ...] | None = None
        self.failed = ""
        self._device = next((p.device for p in network.parameters()), torch.device("cpu"))
        self._depth, self._on, self._collects = 0, False, True
        self._handles: list[Any] = []
        self._before: dict[int, tuple[str, int]] = {}
        self._given: dict[int, tuple[str, int]] = {}

    @careful
    def begin(self) -> None:
        """Start to listen."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        elif self._device.type == "cpu" and can_watch():
            self._before, self._given = dict(self._known()), {}
            self._handles = [
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave, always_call=True),
            ]
            if self.optimizer is not None:
                self._handles.append(self.optimizer.register_step_pre_hook(self._update))
            # garbage of before that is collected meanwhile would be told as unknown
            self._collects = gc.isenabled()
            gc.disable()
            self._on = True
            listen()

    @careful
    def given(self, batch: Iterable[Tensor]) -> None:
        """The batch is drawn: from here on it counts."""
        if self._on:
            self._given |= dict(storages(batch, "outputs"))
            mark("step", self._given)

    @careful
    def loss_known(self) -> None:
        """The backward pass comes next."""
        if self._on:
            mark("over")

    @careful
    def end(self) -> None:
        """Stop to listen, and sum up; of several steps the highest peak stays."""
        if self._device.type == "cuda":
            self._keep(torch.cuda.max_memory_allocated(self._device), None)
            self.reserved = torch.cuda.max_memory_reserved(self._device)
        if not self._on:
            return
        events = self._stop()
        after = dict(self._known())
        found = peak_by_kind(events, before=self._before, given=self._given, after=after)
        self._keep(sum(found.values()), found)

    def _keep(self, peak: int, memory: dict[str, int] | None) -> None:
        if peak > (self.peak or 0):
            self.peak, self.memory = peak, memory

    def _stop(self) -> list[Any]:
        """What was heard, if anyone listened; all is as before."""
        while self._handles:
            self._handles.pop().remove()
        if not self._on:
            return []
        self._on, self._depth = False, 0
        if self._collects:
            gc.enable()
        return heard()

    def _known(self) -> Iterator[tuple[int, tuple[str, int]]]:
        """What is there between two steps, and what for."""
        network, optimizer = self.network, self.optimizer
        yield from storages(network.parameters(), "parameters")
        yield from storages(network.buffers(), "parameters")
        gradients = (p.grad for p in network.parameters() if p.grad is not None)
        yield from storages(gradients, "gradients")
        states = optimizer.state.values() if optimizer is not None else ()
        yield from storages((t for state in states for t in tensors(state)), "optimizer")

    @careful
    def _enter(self, module: nn.Module, args: tuple) -> None:
        self._depth += 1
        if self._depth == 1:
            mark("enter")
        if torch.is_autocast_enabled(self._device.type):
            mark("cast", (2 * p.numel() for p in module.parameters(recurse=False)))
        self._hand(args)

    @careful
    def _leave(self, module: nn.Module, args: tuple, out: object) -> None:
        self._hand(out)
        self._depth -= 1
        if self._depth == 0:
            mark("leave")

    @careful
    def _update(self, *rest: object) -> None:
        gradients = (p.grad for p in self.network.parameters() if p.grad is not None)
        mark("update", dict(storages(gradients, "gradients")))

    def _hand(self, value: object) -> None:
        if found := dict(storages(tensors(value), "outputs")):
            mark("hand", found)


@contextmanager
def observed_answers(network: nn.Module, *, passes: int = OBSERVED) -> Iterator[Watch]:
    """The first forward passes of a network inside the context are watched: a prediction's.

    The watch's `shape` is that of the input whose pass took most.
    """
    watch, left = Watch(network), [passes]

    def begin(module: nn.Module, args: tuple) -> None:
        if left[0] > 0:
            watch.begin()
            watch.given(tensors(args))
            watch._enter(module, args)

    def end(module: nn.Module, args: tuple, out: object) -> None:
        if left[0] > 0:
            left[0] -= 1
            before = watch.peak
            watch.end()
            first = next(tensors(args), None)
            if watch.peak != before and first is not None:
                watch.shape = tuple(first.shape)

    handles = [
        network.register_forward_pre_hook(begin),
        network.register_forward_hook(end, always_call=True),
    ]
    try:
        yield watch
    finally:
        for handle in handles:
            handle.remove()
