"""An exported program as a module without weights, which is planned like any other network."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convivo.files import read_json
from convivo.lab.program_operations import KINDS, OPERATIONS, QUIET
from convivo.lab.program_reader import Node, Program, Ref, read_program
from convivo.planning.shadow import run, shadow, tensors

WITH_MODE = {"batch_norm": 5, "dropout": 2, "dropout_": 2, "feature_dropout": 2}
"""Operations that learn otherwise than they answer, and where they are told which."""


class Step(nn.Module):
    """One call of a program, with the parameters that it alone, or it first, takes."""

    quiet = False

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node, self.operation = node, OPERATIONS[node.operation]

    @property
    def word(self) -> str:
        """What a drawing says of it, such as "Conv 3x3 /2"."""
        name, given = type(self).__name__, self.node.positional
        weight = getattr(self, "weight", None)
        sizes: Any = weight.shape[2:] if isinstance(weight, Tensor) and weight.dim() > 2 else None
        steps: Any = given[3] if sizes and len(given) > 3 else None
        if "Pool" in name and len(given) > 1:
            sizes, steps = given[1], given[2] if len(given) > 2 else None
        words = [name, _by(sizes), f"/{_by(steps, once=True)}" if _strides(steps) else ""]
        return " ".join(word for word in words if word)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        place = WITH_MODE.get(self.node.operation)
        if place is not None and len(arguments) > place:
            arguments = (*arguments[:place], self.training, *arguments[place + 1 :])
        return self.operation(*arguments, **named)


def _by(sizes: Any, *, once: bool = False) -> str:
    numbers = [int(n) for n in sizes] if isinstance(sizes, Sequence) and sizes else []
    return str(numbers[0]) if once and len(set(numbers)) == 1 else "x".join(map(str, numbers))


def _strides(steps: Any) -> bool:
    return isinstance(steps, list) and any(n != 1 for n in steps)


class Exported(nn.Module):
    """The calls of a program, one after the other."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        paths = Counter(node.path for node in program.nodes)
        self._owners: dict[str, tuple[nn.Module, str]] = {}
        self._steps: list[Step] = []
        for node in program.nodes:
            name = node.path if node.path and paths[node.path] == 1 else _joined(node)
            step = _step(node)
            self._place(name, step)
            self._steps.append(step)
            self._hand_over(step, node)
        self._done = _last_uses(program)

    def _place(self, path: str, step: Step) -> None:
        """Where the module stood; the modules around are empty, and never called."""
        *around, last = path.split(".")
        here: nn.Module = self
        for name in around:
            if not isinstance(here._modules.get(name), nn.Module):
                here.add_module(name, nn.Module())
            here = here.get_submodule(name)
        while last in here._modules or hasattr(here, last):
            last += "_"
        here.add_module(last, step)

    def _hand_over(self, step: Step, node: Node) -> None:
        """Parameters and buffers live in the call that takes them first."""
        for value in node.positional:
            name = value.name if isinstance(value, Ref) else ""
            if name in self._owners:
                continue
            if name in self.program.parameters:
                own, shape = self.program.parameters[name]
                self._owners[name] = (step, _last(own, step))
                step.register_parameter(_last(own, step), nn.Parameter(torch.empty(shape)))
            elif name in self.program.buffers:
                own, shape = self.program.buffers[name]
                self._owners[name] = (step, _last(own, step))
                step.register_buffer(_last(own, step), torch.empty(shape))

    def forward(self, x: Tensor) -> Any:
        known: dict[str, Any] = {self.program.input: x}
        del x
        for step, done in zip(self._steps, self._done, strict=True):
            node = step.node
            given = [self._value(known, one) for one in node.positional]
            named = {name: self._value(known, one) for name, one in node.named}
            made = step(*given, **named)
            if len(node.results) == 1:
                known[node.results[0]] = made
            else:
                known |= dict(zip(node.results, made, strict=True))
            del given, named, made
            for name in done:  # as a function forgets what it does not use again
                known.pop(name, None)
        return known[self.program.output]

    def _value(self, known: dict[str, Any], one: Any) -> Any:
        if isinstance(one, list):
            return [self._value(known, item) for item in one]
        if not isinstance(one, Ref):
            return one
        if one.name in known:
            return known[one.name]
        owner, name = self._owners[one.name]
        return getattr(owner, name)


def _last_uses(program: Program) -> list[list[str]]:
    """Per call the values that nobody takes after it."""
    last = {program.output: len(program.nodes)}
    for number, node in enumerate(program.nodes):
        last |= dict.fromkeys(node.results, number) | dict.fromkeys(_taken(node), number)
    last[program.output] = len(program.nodes)
    done: list[list[str]] = [[] for _ in range(len(program.nodes) + 1)]
    for name, number in last.items():
        done[number].append(name)
    return done[:-1]


def _taken(node: Node) -> Iterator[str]:
    for value in (*node.positional, *(v for _, v in node.named)):
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, Ref):
                yield one.name


def _joined(node: Node) -> str:
    return ".".join(filter(None, (node.path, node.results[0] if node.results else "call")))


def _last(own: str, step: Step) -> str:
    name = own.rpartition(".")[2]
    while hasattr(step, name):
        name += "_"
    return name


def _step(node: Node) -> Step:
    """A step whose type bears the name of what is drawn."""
    name = node.operation.rstrip("_")
    step = type(KINDS.get(name, name), (Step,), {})(node)
    step.quiet = name in QUIET
    return step


def network(program: Program) -> Exported:
    """On the meta device: nothing is allocated."""
    with torch.device("meta"):
        return Exported(program)


@lru_cache(maxsize=8)
def program_in(path: str) -> Program:
    """The program of a file of the lab's store.

    Raises:
        ReadError: it is none, or not one that the lab knows.
    """
    return read_program(read_json(Path(path)))


def facts(path: str) -> dict[str, Any]:
    """What the page needs to know of it: input, outputs, parameters."""
    program = program_in(path)
    made = run(shadow(network(program)), program.input_shape)
    answer = next(tensors(made))
    count = sum(p.numel() for p in network(program).parameters())
    channels, *size = program.input_shape[1:]
    return {"channels": channels, "size": size, "classes": answer.shape[1], "parameters": count}
