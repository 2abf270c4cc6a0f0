"""Sees every operation of a step below autograd and autocast, and every storage come and go.

Storages are followed by weak references: they die when the last tensor, or node of the tape, lets
go of them, as they do in the real run.
"""

import weakref
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from convivo.planning.events import Moment
from convivo.planning.homes import Record
from convivo.planning.makers import Maker
from convivo.planning.repetition import repeat
from convivo.planning.shadow import tensors
from convivo.planning.shortcuts import is_composite, shortcut
from convivo.planning.uncompiled import PlainMode
from convivo.planning.workspace import hidden_bytes, kept_bytes, unwritten_bytes

DEVICE, SCALAR = torch.ops.prim.device.default, torch.ops.aten._local_scalar_dense.default
Watch = Callable[[Any, tuple, Any], None]
CAST = "aten::_to_copy"
CUDA = 512  # its allocator gives multiples of so many bytes


class Recorder(PlainMode):
    """Sees every operation below autograd and autocast, and every storage's birth and death."""

    def __init__(
        self, names: dict[int, str], root: nn.Module, make: Maker, *, on_cpu: bool
    ) -> None:
        super().__init__()
        self.names, self.root, self.make, self.on_cpu = names, root, make, on_cpu
        self.moments: list[Moment] = []
        self.records: list[Record] = []
        self.step, self.phase = 1, "start"
        self.scopes: list[str] = []  # names of the modules being run, outermost first
        self.failed_at = ""
        self.watch: Watch | None = None
        self.updating = False  # the optimizer is at work
        self.skipped: list[Record] | None = None  # what it makes, not shown, if this is asked for
        # from which number of the tape on its nodes belong to which layer
        self.marks: tuple[list[int], list[str]] = ([0], [""])
        self._alive: dict[int, tuple[Record, weakref.ref]] = {}
        self._passing: list[Record] = []  # made by a forward pass not yet over

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is DEVICE:
            return args[0].fake_device
        if func is SCALAR and not self.scopes:
            return self._shown(func, args, _one(args[0]))
        if torch.is_inference_mode_enabled() and is_composite(func):
            with self:  # without a tape nobody has taken it apart so far
                return func.decompose(*args, **(kwargs or {}))
        op = func._overloadpacket._qualified_op_name
        try:
            out = shortcut(self.make, op, func, args, kwargs)
            if out is NotImplemented:
                out = self.make.run(func, args, kwargs or {})
        except Exception:
            self.failed_at = self._place()[1] or self.phase
            raise
        made = self._note(op, args, out)
        if made and self.updating and self.skipped is not None:
            self.skipped += made
            return out
        return self._shown(func, args, out)

    def _shown(self, func: Any, args: tuple, out: Any) -> Any:
        if self.watch is not None:
            self.watch(func, args, out)
        return out

    def _note(self, op: str, args: tuple, out: Any) -> list[Record]:
        made = [t for t in tensors(out) if t.untyped_storage()._cdata not in self._alive]
        hidden = hidden_bytes(op, args, out) if self.on_cpu else 0
        if not made and not hidden:
            return []
        recomputed, layer = self._place()
        moment = Moment(
            step=self.step, phase=self.phase, layer=layer, op=op, hidden=hidden,
            unwritten=unwritten_bytes(op, args, hidden),
        )  # fmt: skip
        self.moments.append(moment)
        found = [self.add(tensor, layer, op, recomputed=recomputed) for tensor in made]
        for record in found:
            record.bytes += kept_bytes(op, args) if self.on_cpu else 0
            if op == CAST:
                record.cast_of = self.find(args[0])
                if record.cast_of is not None:
                    record.cast_of.casts.append(record)
        return found

    def _place(self) -> tuple[bool, str]:
        """Whether this is a recomputation, and the layer that is at work; finds out the phase."""
        node = torch._C._current_autograd_node()
        if node is None:
            if self.phase == "backward" and not self.scopes:
                self.phase = "optimizer"
            return False, self.scopes[-1] if self.scopes else self._outside()
        if self.phase != "backward":
            self.pass_over()
            self.phase = "backward"
        recomputed = torch.is_grad_enabled()
        if self.scopes:
            return recomputed, self.scopes[-1]
        if not recomputed:
            self.pass_over()
        return recomputed, self._layer_of(node)

    def _outside(self) -> str:
        return "loss" if self.phase == "loss" else ""

    def _layer_of(self, node: Any) -> str:
        if (variable := getattr(node, "variable", None)) is not None:
            return self.names.get(id(variable), "")
        numbers, names = self.marks
        return names[bisect_right(numbers, node._sequence_nr()) - 1]

    def add(
        self, tensor: Tensor, layer: str, op: str, *, role: str = "", recomputed: bool = False
    ) -> Record:
        """Follow a tensor's storage from now on."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return self._alive[key][0]
        record = Record(
            bytes=storage.nbytes() if self.on_cpu else -(-storage.nbytes() // CUDA) * CUDA,
            born=max(len(self.moments) - 1, 0),
            shape=tuple(tensor.shape),
            itemsize=tensor.itemsize,
            phase=self.phase,
            layer=layer,
            op=op,
            role=role,
            recomputed=recomputed,
        )
        self.records.append(record)
        self._alive[key] = (record, weakref.ref(storage, lambda _: self._bury(key)))
        if self.phase in ("forward", "loss") or recomputed:
            self._passing.append(record)
        return record

    def find(self, tensor: Tensor) -> Record | None:
        """The record of a tensor's storage."""
        entry = self._alive.get(tensor.untyped_storage()._cdata)
        return None if entry is None else entry[0]

    def _bury(self, key: int) -> None:
        record, _ = self._alive.pop(key)
        record.died = max(len(self.moments) - 1, record.born)

    def repeat(self) -> bool:
        """Add the second step, told from the first; False where it must be run."""
        return repeat(self.moments, self.records, self.skipped or ())

    def pass_over(self) -> None:
        """What the forward pass made and still lives was saved for the backward pass."""
        for record in self._passing:
            record.saved = record.died is None
        self._passing.clear()

    def enter(self, module: nn.Module, args: tuple) -> None:
        if not self.scopes and torch._C._current_autograd_node() is None:
            self.phase = "forward"
        self.scopes.append(self.names.get(id(module), type(module).__name__))
        self._hand(args)
        self._mark()

    def leave(self, module: nn.Module, args: tuple, out: object) -> None:
        self.scopes.pop()
        self._hand(out)
        if module is self.root and self.phase == "forward":
            self.phase = "loss"
        self._mark()

    def _hand(self, value: object) -> None:
        for tensor in tensors(value):
            record = self.find(tensor)
            if record is not None:
                record.handed = True

    def _mark(self) -> None:
        numbers, names = self.marks
        numbers.append(torch._C._autograd._get_sequence_nr())
        names.append(self.scopes[-1] if self.scopes else self._outside())

    def update(self, *rest: object) -> None:
        """The optimizer begins."""
        self.updating = True
        self.note_gradients()

    def note_gradients(self) -> None:
        for parameter in self.root.parameters():
            if parameter.grad is not None and (record := self.find(parameter.grad)) is not None:
                record.gradient = True

    def note_state(self, optimizer: Optimizer | None) -> None:
        for state in optimizer.state.values() if optimizer is not None else ():
            for tensor in tensors(state):
                if (record := self.find(tensor)) is not None:
                    record.state = True


def _one(tensor: Tensor) -> bool | int | float:
    """What a step is told that asks for a number: the loss is 1, the gradients are finite."""
    if tensor.dtype == torch.bool:
        return True
    return 1.0 if tensor.is_floating_point() else 1
