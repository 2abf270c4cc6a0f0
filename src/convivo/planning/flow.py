"""Which layer's answer goes where: a network's calls in order, each with the calls it reads from.

Followed on shapes alone. Side branches, sums, concatenations and what is handed across a U show up
as calls that read from several others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convivo.geometry import Axes
from convivo.planning.shadow import run, shadow, tensors

INPUT = -1  # the network's input, where a call's number is asked for
Seen = Callable[[int, Tensor], None]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One layer or function at work.

    name: the module's place in the network; of a function, that of the module that calls it.
    module: None of a function. kind: the type of the module, or the function's name. shape: of the
    (first) result, without the batch axis. sources: numbers of the calls whose results it takes,
    `INPUT` for the network's input. scopes: names of the modules around it, outermost first.
    parameters: its own, where no earlier call has used them.
    """

    name: str
    module: nn.Module | None
    kind: str
    shape: Axes
    sources: tuple[int, ...]
    scopes: tuple[str, ...]
    parameters: int


class _Recorder(TorchFunctionMode):
    """Numbers the makers of all tensors while a network runs."""

    def __init__(self, seen: Seen | None = None) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._seen = seen
        # tensors are kept so that no id is given twice; on meta that costs nothing
        self._makers: dict[int, tuple[Tensor, int]] = {}
        self._scopes: list[tuple[str, int]] = []  # with the number of calls before
        self._inside = 0  # of how many leaves: what happens there is theirs
        self._counted: set[int] = set()

    def watch(self, net: nn.Module) -> None:
        for name, module in net.named_modules():
            enter, leave = (
                (self._enter_leaf, self._leave_leaf)
                if _is_leaf(module)
                else (self._enter, self._leave)
            )
            module.register_forward_pre_hook(lambda _, __, name=name, enter=enter: enter(name))
            module.register_forward_hook(
                lambda m, args, out, name=name, leave=leave: leave(name, m, args, out)
            )
        net.register_forward_pre_hook(lambda _, args: self._begin(args))

    def _begin(self, args: tuple) -> None:
        for x in tensors(args):
            self._makers[id(x)] = (x, INPUT)

    def _enter(self, name: str) -> None:
        if self._inside == 0:
            self._scopes.append((name, len(self.calls)))

    def _leave(self, name: str, module: nn.Module, args: tuple, out: object) -> None:
        if self._inside:
            return
        _, start = self._scopes.pop()
        own = self.calls[start:]
        # its parts hold weights for a function, but are not called: one box as well
        if name and own and all(call.module is None for call in own):
            self._merge(start, name, module, out)

    def _merge(self, start: int, name: str, module: nn.Module, out: object) -> None:
        given = [s for call in self.calls[start:] for s in call.sources if s < start]
        del self.calls[start:]
        self._makers = {k: (t, min(n, start)) for k, (t, n) in self._makers.items()}
        made = next(tensors(out))
        self._append(name, module, type(module).__name__, made, tuple(dict.fromkeys(given)))

    def _enter_leaf(self, name: str) -> None:
        self._inside += 1

    def _leave_leaf(self, name: str, module: nn.Module, args: tuple, out: object) -> None:
        self._inside -= 1
        if self._inside == 0:
            self._add(name, module, type(module).__name__, args, out)

    def _sources(self, values: object) -> tuple[int, ...]:
        makers = [self._makers[id(t)][1] for t in tensors(values) if id(t) in self._makers]
        return tuple(dict.fromkeys(makers))

    def _add(
        self, name: str, module: nn.Module | None, kind: str, given: object, out: object
    ) -> None:
        made = list(tensors(out))
        if made:
            self._append(name, module, kind, made[0], self._sources(given))
            self._makers.update({id(t): (t, len(self.calls) - 1) for t in made})

    def _append(
        self, name: str, module: nn.Module | None, kind: str, made: Tensor, sources: tuple[int, ...]
    ) -> None:
        held = module.parameters() if module else ()
        new = {id(p): p.numel() for p in held if id(p) not in self._counted}
        self._counted.update(new)
        call = Call(
            name=name,
            module=module,
            kind=kind,
            shape=tuple(made.shape[1:]),
            sources=sources,
            scopes=tuple(scope for scope, _ in self._scopes),
            parameters=sum(new.values()),
        )
        self.calls.append(call)
        if self._seen is not None:
            self._seen(len(self.calls) - 1, made)

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        made = [] if self._inside else list(tensors(out))
        given = [list(args), kwargs]
        sources = self._sources(given) if made else ()
        if not sources:
            return out
        shapes = {t.shape for t in tensors(given) if id(t) in self._makers}
        if len(sources) == 1 and made[0].shape in shapes:  # the same seen through a function
            self._makers.update({id(t): (t, sources[0]) for t in made})
        else:
            name = self._scopes[-1][0] if self._scopes else ""
            self._add(name, None, getattr(func, "__name__", "").strip("_"), given, out)
        return out


def _is_leaf(module: nn.Module) -> bool:
    """One box of a drawing: what has no parts that are called, or weights of its own."""
    own = next(module.parameters(recurse=False), None) is not None
    weights = (nn.ParameterList, nn.ParameterDict)
    return own or all(isinstance(child, weights) for child in module.children())


def flow(net: nn.Module, input: Sequence[int], seen: Seen | None = None) -> list[Call]:
    """The calls of a network in evaluation mode, in order.

    Args:
        net: any module; nothing is allocated or changed.
        input: shape of one input, without the batch axis.
        seen: told of each call's number and (first) result at once, to ask what else is known of
            it; of a number told of twice the later one counts.
    Raises:
        ShapeError: the network does not take that input.
    Example:
        >>> [(c.kind, c.sources) for c in flow(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (3,))]
        [('Linear', (-1,)), ('ReLU', (0,))]
    """
    twin, recorder = shadow(net), _Recorder(seen)
    recorder.watch(twin)
    with recorder:
        run(twin, (1, *input))
    return recorder.calls


def without(calls: Sequence[Call], unwanted: Callable[[Call], bool]) -> list[Call]:
    """The calls without those unwanted that read from a single other: its readers read from that.

    Their parameters are added to those of the call before them in the same module, else to the
    next one's, so that the sum stays.
    """
    places: dict[int, int] = {INPUT: INPUT}
    kept: list[Call] = []
    carried = 0
    for number, call in enumerate(calls):
        sources = tuple(dict.fromkeys(places[s] for s in call.sources))
        if not unwanted(call) or len(sources) > 1:
            places[number] = len(kept)
            kept.append(replace(call, sources=sources, parameters=call.parameters + carried))
            carried = 0
            continue
        places[number] = sources[0]
        if kept and kept[-1].scopes == call.scopes:
            kept[-1] = replace(kept[-1], parameters=kept[-1].parameters + call.parameters)
        else:
            carried += call.parameters
    if kept and carried:
        kept[-1] = replace(kept[-1], parameters=kept[-1].parameters + carried)
    return kept
