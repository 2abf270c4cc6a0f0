"""Which parts of a network are computed again in the backward pass, and the wrapper that does it.

Training and the trace of a step enter the same context, so that what is foretold is what happens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convivo.errors import PlanError
from convivo.layers.recompute import buffers_set_aside

LAYERS_OF_A_RUN = 2  # with weights, of a long chain of single layers, as in VGG
LONG_CHAIN = 4  # layers with weights; a residual block of the papers has no more


@contextmanager
def checkpointed(network: nn.Module, *, on: bool = True) -> Iterator[None]:
    """Forward passes inside keep only what goes into the network's parts, not what they compute.

    The backward pass, which may come after the context, computes each part again. Gradients,
    running statistics (counted once) and dropout (drawn alike) are those of the plain pass, bit by
    bit where the kernels repeat themselves. Names and parameters of the network stay as they are.

    Args:
        network: any module; its parts follow from its structure alone (`parts_of`).
        on: without it, nothing happens.
    Raises:
        PlanError: in a forward pass, a part that writes over its input cannot be repeated.
    Source: Chen et al. 2016, arXiv:1604.06174.
    Differs: parts are the network's own blocks, not runs of equal length.
    """
    with ExitStack() as stack:
        for module, name, function in list(_wrappers(network)) if on else ():
            # an instance's own `forward` goes before its class's; the module's hooks stay outside
            setattr(module, name, function)
            stack.callback(delattr, module, name)
        yield


def parts_of(network: nn.Module) -> list[list[nn.Module]]:
    """What is repeated: blocks of few layers, each alone, and runs of single layers in a chain.

    Example:
        >>> block = lambda: nn.Sequential(nn.Conv1d(2, 2, 3), nn.ReLU(), nn.Conv1d(2, 2, 3))
        >>> [len(part) for part in parts_of(nn.Sequential(block(), block(), nn.Linear(4, 2)))]
        [1, 1]
    """
    found: list[list[nn.Module]] = []
    for child in network.children():
        if not _weighted(child) or not next(child.children(), None):
            continue
        if _has_blocks(child) or isinstance(child, nn.ModuleList | nn.ModuleDict):
            found += parts_of(child)
        elif _pass_of(child) and _weighted(child) > LONG_CHAIN:
            found += [run for run in _runs(child) if _weighted(*run)]
        else:
            found.append([child])
    return found


def _has_blocks(module: nn.Module) -> bool:
    """Whether some child is a block of several layers: what is repeated at once should be small."""
    return any(_weighted(child) > 1 for child in module.children() if next(child.children(), None))


def _wrappers(network: nn.Module) -> Iterator[tuple[nn.Module, str, Callable[..., Any]]]:
    """Modules of which a method is to be another one meanwhile, its name, and that."""
    parts = parts_of(network)
    chained = {id(part[0]) for part in parts if _is_run(part)}
    for part in parts:
        if not _is_run(part):
            yield part[0], "forward", _repeated(part[0].forward, part)
    for module in network.modules():
        name = _pass_of(module)
        if name and any(id(child) in chained for child in module.children()):
            steps = [_repeated(_chained(run), run) if _weighted(*run) else _chained(run)
                     for run in _runs(module)]  # fmt: skip
            yield module, name, _in_turn(steps)


def _is_run(part: Sequence[nn.Module]) -> bool:
    """Whether a part is a run of single layers, not a block."""
    return next(part[0].children(), None) is None


def _runs(chain: nn.Module) -> list[list[nn.Module]]:
    """A chain in runs that begin with weights, so that none begins by writing over its input."""
    runs: list[list[nn.Module]] = [[]]
    for child in chain.children():
        have = _weighted(*runs[-1])
        if _weighted(child) and have in {0, LAYERS_OF_A_RUN}:
            runs.append([])
        runs[-1].append(child)
    return [run for run in runs if run]


def _pass_of(module: nn.Module) -> str:
    """The method that runs a chain from its first layer to its last; empty where it is no chain."""
    if not isinstance(module, nn.Sequential):
        return ""
    if type(module).forward is nn.Sequential.forward:
        return "forward"
    return "last" if hasattr(module, "last") else ""  # of `architectures.blocks.Features`


def _weighted(*modules: nn.Module) -> int:
    """Layers that have a matrix or a kernel of their own."""
    return sum(
        any(p.ndim > 1 for p in layer.parameters(recurse=False))
        for module in modules
        for layer in module.modules()
    )


def _chained(run: Sequence[nn.Module]) -> Callable[[Any], Any]:
    def forward(value: Any) -> Any:
        for module in run:
            value = module(value)
        return value

    return forward


def _in_turn(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def forward(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return forward


def _repeated(function: Callable[..., Any], part: Sequence[nn.Module]) -> Callable[..., Any]:
    """`function`, computed again in the backward pass, working on copies of the part's buffers."""
    owner = nn.ModuleList(part)

    def forward(*args: Any, **words: Any) -> Any:
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return function(*args, **words)
        given = [value for value in args if isinstance(value, Tensor)]
        before = [tensor._version for tensor in given]
        answer = checkpoint(
            function,
            *(_frozen(value) for value in args),
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), buffers_set_aside(owner)),
            **words,
        )
        if [tensor._version for tensor in given] != before:
            rule = "a part that is computed again must leave its input as it is"
            remedy = "Write it without in-place operations on the input, or train without"
            raise PlanError("checkpointing", rule, type(part[0]).__name__, remedy)
        return answer

    return forward


def _frozen(value: Any) -> Any:
    """A list as it is now: what a network appends to it later is not of this pass."""
    return type(value)(value) if isinstance(value, list | dict) else value
