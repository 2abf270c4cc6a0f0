"""What a network costs in parameters and multiplications, layer by layer, before it exists.

One forward pass on shapes alone: torch's own rules for flops are asked at every matrix product and
convolution, whether a module or a plain function asks for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from convivo.errors import ShapeError
from convivo.geometry import Axes
from convivo.planning.receptive_field import FieldTracker
from convivo.planning.shadow import run, shadow, tensors
from convivo.planning.shortcuts import is_composite, shortcut
from convivo.planning.uncompiled import PlainMode


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """One layer: its first call's output shape without the batch axis, the costs of all its calls.

    outputs: bytes that its results add in float32; 0 where it writes over its input or only looks
    at it differently. receptive_field: None behind global pooling, or where it cannot be known.
    """

    name: str
    type: str
    output: Axes
    parameters: int
    macs: int
    receptive_field: Axes | None
    outputs: int

    def document(self) -> dict:
        """The row of the plan's JSON document."""
        field = None if self.receptive_field is None else list(self.receptive_field)
        return vars(self) | {"output": list(self.output), "receptive_field": field}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A whole network for one batch. macs: multiply-accumulates of one forward pass."""

    parameters: int
    macs: int
    receptive_field: Axes | None
    layers: tuple[LayerCount, ...]


class _Flops(PlainMode):
    """Adds up the flops of what passes; quicker than torch's own counter, whose rules it asks."""

    total, device = 0, torch.device("meta")

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        more, out = kwargs or {}, NotImplemented
        if isinstance(func, torch._ops.OpOverload):
            if is_composite(func):
                with self:
                    return func.decompose(*args, **more)
            name = func._overloadpacket._qualified_op_name
            out = shortcut(self, name, func, args, more)
        if out is NotImplemented:
            out = func(*args, **more)
        rule = flop_registry.get(getattr(func, "_overloadpacket", None))
        if rule is not None:
            self.total += rule(*args, **more, out_val=out)
        return out

    def blank(
        self, shape: Sequence[int], dtype: torch.dtype, stride: Sequence[int] | None = None
    ) -> Tensor:
        if stride is None:
            return torch.empty(shape, dtype=dtype, device="meta")
        return torch.empty_strided(shape, stride, dtype=dtype, device="meta")

    def call(self, func: Callable[..., Tensor], args: tuple) -> Tensor:
        return func(*args)

    def run(self, func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        return func(*args, **kwargs)


class _Ledger:
    """Hooks on every module that turn the counters' differences into rows."""

    def __init__(self, tracker: FieldTracker, flops: _Flops) -> None:
        self.tracker, self.flops = tracker, flops
        self.rows: dict[str, LayerCount] = {}
        self._open: list[int] = []  # flops of finished children, per module being run
        self._started: list[int] = []
        self._counted: set[int] = set()

    def watch(self, net: nn.Module) -> None:
        for name, module in net.named_modules():
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(
                lambda m, inputs, output, name=name: self._leave(name, m, inputs, output)
            )

    def _enter(self, module: nn.Module, inputs: tuple) -> None:
        self._open.append(0)
        self._started.append(self.flops.total)

    def _leave(self, name: str, module: nn.Module, inputs: tuple, output: object) -> None:
        total = self.flops.total - self._started.pop()
        own = total - self._open.pop()
        if self._open:
            self._open[-1] += total
        leaf = next(module.children(), None) is None
        if leaf or own or next(module.parameters(recurse=False), None) is not None:
            self._add(name or type(module).__name__, module, own // 2, inputs, output)

    def _add(self, name: str, module: nn.Module, macs: int, inputs: tuple, output: object) -> None:
        made = list(tensors(output))
        if not made:
            return
        size = _new_bytes(made, list(tensors(inputs)))
        old = self.rows.get(name)
        if old:
            self.rows[name] = replace(old, macs=old.macs + macs, outputs=old.outputs + size)
            return
        self.rows[name] = LayerCount(
            name=name,
            type=type(module).__name__,
            output=tuple(made[0].shape[1:]),
            parameters=self._parameters(module),
            macs=macs,
            receptive_field=self._field(made[0]),
            outputs=size,
        )

    def _parameters(self, module: nn.Module) -> int:
        """Those of the module itself; tied ones count where they are met first."""
        new = {id(p): p.numel() for p in module.parameters(recurse=False)}
        count = sum(n for key, n in new.items() if key not in self._counted)
        self._counted.update(new)
        return count

    def _field(self, output: Tensor) -> Axes | None:
        mark = self.tracker.mark(output)
        if mark is None or mark.whole or mark.reach is None:
            return None
        return tuple(r.size for r in mark.reach)


def _new_bytes(made: list[Tensor], given: list[Tensor]) -> int:
    """Bytes of the results that do not share their storage with an input."""
    old = {t.untyped_storage()._cdata for t in given}
    new = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in made}
    return sum(size for key, size in new.items() if key not in old)


def count(net: nn.Module, input: Sequence[int], batch: int = 1) -> Counts:
    """Parameters, multiply-accumulates and receptive fields of a network in evaluation mode.

    Args:
        net: any module; nothing is allocated or changed.
        input: shape (C, *S) of one input.
        batch: items of one forward pass; `macs` and `outputs` grow with it.
    Raises:
        ShapeError: the network does not take that input.
    Example:
        >>> counts = count(nn.Conv2d(1, 10, 5, padding=2), (1, 200, 200))
        >>> counts.parameters, counts.macs, counts.receptive_field
        (260, 10000000, (5, 5))
    """
    shape = tuple(int(n) for n in input)
    if len(shape) < 2 or min(*shape, batch) < 1:
        rule = "an input has channels and axes of at least one sample, (C, *S)"
        raise ShapeError("plan", rule, f"{shape} in batches of {batch}", "Give C,S1[,S2[,S3]]")
    twin, tracker = shadow(net), FieldTracker()
    parameters = sum(p.numel() for p in twin.parameters())
    flops = _Flops()
    ledger = _Ledger(tracker, flops)
    twin.register_forward_pre_hook(lambda _, inputs: tracker.start(inputs[0]))
    ledger.watch(twin)
    with flops, tracker:
        output = run(twin, (batch, *shape))
    return Counts(
        parameters=parameters,
        macs=flops.total // 2,
        receptive_field=tracker.field(output, shape[1:]),
        layers=tuple(ledger.rows.values()),
    )
