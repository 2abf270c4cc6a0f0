"""Trading time for memory: forget what a part of a network computed, compute it again backward."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@contextmanager
def buffers_set_aside(part: nn.Module) -> Iterator[None]:
    """Let a module write into copies of its buffers meanwhile, and forget them afterwards."""
    kept = [
        (module, name, buffer)
        for module in part.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        for module, name, buffer in kept:
            setattr(module, name, buffer.clone())
        yield
    finally:
        for module, name, buffer in kept:
            setattr(module, name, buffer)


def recomputed(function: Callable[..., Tensor], *inputs: Tensor, part: nn.Module) -> Tensor:
    """`function(*inputs)`, of which only the inputs are kept for the backward pass.

    The second computation sees the same batch, so running averages must not count it again: it
    works on copies of the buffers of `part`. Gradients and averages are those of the plain call.
    Traced or compiled it is the plain call: a compiler decides by itself what to compute again.

    Args:
        function: computes with the modules of `part`; it must not draw random numbers (dropout),
            since no random state is kept.
        inputs: what it takes.
        part: the module that holds the buffers.
    Source: Chen et al. 2016, arXiv:1604.06174.
    """
    if torch.compiler.is_compiling():
        return function(*inputs)
    return checkpoint(
        function,
        *inputs,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), buffers_set_aside(part)),
    )
