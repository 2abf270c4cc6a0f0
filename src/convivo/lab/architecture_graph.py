"""A network as boxes and lines: each call with its shape, its numbers as sums, and what it sees.

Followed on shapes alone (`planning.flow`), with the receptive fields of `planning.receptive_field`
and the counts of `planning.counting`: nothing is counted a second time here, only written out.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

from torch import Tensor, nn

from convivo.architectures.dcgan import DCGAN
from convivo.geometry import Axes
from convivo.lab.program_network import Exported
from convivo.planning.calls import Mark
from convivo.planning.counting import LayerCount, count
from convivo.planning.flow import INPUT, Call, flow
from convivo.planning.receptive_field import FieldTracker
from convivo.verbs.net_words import is_quiet, word

Node = dict[str, Any]


def graph(net: nn.Module, input: Sequence[int]) -> list[Node]:
    """The calls of a network in order, of a network in two halves one behind the other.

    Args:
        net: any module, also on the meta device.
        input: shape (C, *S) of one input.
    Returns:
        A node each: `id`; `name`, `kind`, `word`; `shape`; `sources`: ids, -1 for the input;
        `scopes`: the modules around; `quiet`: small print in a drawing; `parameters` and `macs` (of
        one item) with their sums; `field`: receptive field per axis, null where nothing is seen of
        a grid or it is not known; `whole`: it has seen the whole grid.
    Raises:
        ShapeError: the network does not take that input.
    """
    nodes: list[Node] = []
    for part, module, shape in parts_of(net, tuple(input)):
        found = _nodes(module, shape)
        start = len(nodes)
        for node in found:
            node["id"] += start
            # what judges images takes those that the half before it makes
            node["sources"] = [s + start if s != INPUT else start - 1 for s in node["sources"]]
            node["name"] = ".".join(filter(None, (part, node["name"])))
            node["scopes"] = [".".join(filter(None, (part, s))) for s in node["scopes"]]
            if isinstance(module, Exported):  # the modules around are known by name only
                words = node["name"].split(".")
                node["scopes"] = ["", *(".".join(words[:i]) for i in range(1, len(words)))]
        nodes += found
    return nodes


def parts_of(net: nn.Module, shape: Axes) -> list[tuple[str, nn.Module, Axes]]:
    """Name, module and input of what is followed: the halves of a network that has two."""
    if isinstance(net, DCGAN):
        halves = (("generator", (net.latent,)), ("discriminator", shape))
        return [(name, getattr(net, name), given) for name, given in halves]
    return [("", net, shape)]


def root_name(net: nn.Module) -> str:
    """What ledger and counts call the whole network, which here has no name."""
    return type(net).__name__


def _nodes(net: nn.Module, shape: Axes) -> list[Node]:
    tracker, marks = FieldTracker(), {}

    def seen(number: int, made: Tensor) -> None:
        marks[number] = tracker.mark(made)

    hook = net.register_forward_pre_hook(lambda _, inputs: tracker.start(inputs[0]))
    try:
        with tracker:
            calls = flow(net, shape, seen)
    finally:
        hook.remove()
    macs = _macs(net, shape, calls)
    return [
        _node(i, call, calls, shape, macs[i], marks.get(i) if shape[1:] else None)
        for i, call in enumerate(calls)
    ]


def _macs(net: nn.Module, shape: Axes, calls: Sequence[Call]) -> list[int]:
    """Multiply-accumulates of one item: each layer's stand at its first call."""
    grid = shape if len(shape) > 1 else (*shape, 1)
    left = {layer.name: layer.macs for layer in _counted(net, shape, grid)}
    found = [left.pop(call.name, 0) if call.module is not None else 0 for call in calls]
    for i, call in enumerate(calls):  # what a composite multiplies itself
        if call.module is None:
            found[i] = left.pop(call.name or root_name(net), 0)
    return found


def _counted(net: nn.Module, shape: Axes, grid: Axes) -> Sequence[LayerCount]:
    """The counted layers; of a network that takes a vector, behind a view that drops an axis."""
    if grid == shape:
        return count(net, shape).layers
    rows = count(nn.Sequential(nn.Flatten(), net), grid).layers
    return [replace(row, name=row.name.removeprefix("1.")) for row in rows]


def _node(
    number: int, call: Call, calls: Sequence[Call], shape: Axes, macs: int, mark: Mark | None
) -> Node:
    given = [shape if s == INPUT else calls[s].shape for s in call.sources]
    return {
        "id": number,
        "name": call.name,
        "kind": call.kind,
        "word": getattr(call.module, "word", None) or word(call),
        "shape": list(call.shape),
        "sources": list(call.sources),
        "scopes": list(call.scopes),
        "quiet": getattr(call.module, "quiet", False) or is_quiet(call),
        "parameters": call.parameters,
        "parameters_sum": parameters_sum(call.module, call.parameters),
        "macs": macs,
        "macs_sum": macs_sum(call, given[0] if given else shape, macs),
        "field": _field(mark),
        "whole": mark is not None and mark.whole,
    }


def parameters_sum(module: nn.Module | None, parameters: int) -> str | None:
    """The parameters as a sum that a reader can check; None where they are counted elsewhere.

    Example:
        >>> parameters_sum(nn.Conv2d(1, 6, 5), 156)
        '5*5*1*6+6 = 156'
    """
    if module is None or not parameters:
        return None
    given = type(module).__name__ == "UpConv"  # of a transposed one what it reads stands first
    shapes = [
        p.transpose(0, 1).shape if given and p.dim() > 1 else p.shape for p in module.parameters()
    ]
    terms = ["*".join(map(str, _factors(shape))) for shape in shapes]
    total = sum(p.numel() for p in module.parameters())
    return f"{'+'.join(terms)} = {total:,}" if total == parameters else f"{parameters:,}"


def _factors(shape: Sequence[int]) -> list[int]:
    """Of a weight first the kernel, then what it reads, then what it gives: as it is said."""
    out, *rest = shape
    inner, kernel = rest[:1], rest[1:]
    return [*kernel, *inner, out] if shape else [1]


def macs_sum(call: Call, given: Axes, macs: int) -> str | None:
    """The multiply-accumulates as a product; the plain number where they follow another rule."""
    if not macs:
        return None
    weight, factors = getattr(call.module, "weight", None), []
    if not isinstance(weight, Tensor):
        return f"{macs:,}"
    if call.kind == "UpConv":
        factors = [*given[1:], *_factors(weight.transpose(0, 1).shape)]
    elif call.kind in ("Conv", "TrueConv"):
        factors = [*call.shape[1:], *_factors(weight.shape)]
    elif call.kind == "Linear":
        factors = _factors(weight.shape)
    if prod(factors) != macs or not factors:
        return f"{macs:,}"
    return f"{'*'.join(map(str, factors))} = {macs:,}"


def _field(mark: Mark | None) -> dict[str, list] | None:
    """Per axis: samples seen, step from one position to the next, first sample of position 0."""
    if mark is None or mark.reach is None or mark.whole:
        return None
    jumps = [Fraction(r.advance, r.period) for r in mark.reach]
    return {
        "size": [r.size for r in mark.reach],
        "jump": [int(j) if j.denominator == 1 else f"{j}" for j in jumps],
        "start": [int(r.low[0]) for r in mark.reach],
    }
