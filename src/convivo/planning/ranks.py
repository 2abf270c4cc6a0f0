"""Memory of each rank where several train one network: a trace of one rank, changed by the rules of
torch's two strategies. Nothing is allocated and no process started, for one rank as for a thousand.

The rules are those of torch 2.11 to 2.13, read from its sources; the tests hold them against its
real wrappers in a simulated world. The wrappers themselves cannot be traced on fake tensors: they
resize storages in place, below what a trace sees.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import nn
from torch.nn import ModuleList, Sequential

from convivo.errors import UsageError, nearest_name
from convivo.planning.events import Holding, Trace
from convivo.planning.sharding import block_of, passes_of, sharded

STRATEGIES = ("ddp", "fsdp")


def check_ranks(ranks: int | None, strategy: str | None) -> None:
    """Both or neither, at least one rank, a known strategy.

    Raises:
        UsageError: otherwise.
    """
    if (ranks is None) != (strategy is None):
        missing = "--strategy" if strategy is None else "--ranks"
        got = f"ranks={ranks}, strategy={strategy}"
        rule = "ranks and strategy are given together"
        raise UsageError(missing, rule, got, "Give --ranks N --strategy ddp|fsdp")
    if ranks is not None and ranks < 1:
        raise UsageError("--ranks", "at least one", ranks, "Give for example --ranks 8")
    if strategy is not None and strategy not in STRATEGIES:
        remedy = nearest_name(strategy, STRATEGIES)
        raise UsageError("--strategy", "a known strategy", repr(strategy), remedy)


def per_rank(trace: Trace, net: nn.Module, *, ranks: int, strategy: str) -> Trace:
    """What the first rank holds, which is as much as any other or more.

    - "ddp" (DistributedDataParallel, gradient_as_bucket_view=True): the whole network and optimizer
      state; buckets as large as all gradients, there from the start. A gradient lives beside them
      only until it is copied in. In the second step the buckets are made anew, in the order in
      which gradients come, and the old ones stay until its end. Buffers are sent round in one
      piece.
    - "fsdp" (fully_shard on each of `blocks_of` and on the rest): of every parameter, its gradient
      and its state a slice of the first axis, rounded up. A block is gathered before its forward
      pass, first into one piece, then parameter by parameter, and let go after it; gathered once
      more before its backward pass, during which the next block is already being gathered. Its
      gradients are copied into one piece, which lives until the next block's are there. What is in
      no block stays gathered from its forward to its backward pass.

    Args:
        trace: one rank's step, of its own share of the batch.
        net: the network traced.
        ranks: how many there are.
        strategy: of `STRATEGIES`.
    Raises:
        UsageError: fewer than one rank, or an unknown strategy.
    """
    check_ranks(ranks, strategy)
    if strategy == "ddp":
        return replace(trace, holdings=tuple(_replicated(trace, net)))
    return sharded(trace, net, list(blocks_of(net)), ranks)


def blocks_of(net: nn.Module) -> dict[str, nn.Module]:
    """The modules that are gathered and let go together, by name.

    The rule: in each outermost Sequential or ModuleList, the children with parameters whose class
    occurs there more than once. Everything else is gathered with the whole network.

    Example:
        >>> list(blocks_of(Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.Flatten())))
        ['0', '2']
    """
    found: dict[str, nn.Module] = {}
    for name, module in net.named_modules():
        if not isinstance(module, Sequential | ModuleList) or block_of(name, found):
            continue
        children = [(n, m) for n, m in module.named_children() if any(True for _ in m.parameters())]
        kinds = [type(child) for _, child in children]
        for key, child in children:
            if kinds.count(type(child)) > 1:
                found[f"{name}.{key}" if name else key] = child
    return found


@contextmanager
def simulated_world(ranks: int) -> Iterator[None]:
    """A process group of `ranks` whose only member is this process, as the first; nothing is sent.

    Torch keeps it for its own tests; this is the only place that knows of it.
    """
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        yield
    finally:
        dist.destroy_process_group()


def shard(net: nn.Module) -> None:
    """Hand the network's parts out over the ranks of the process group, block by block."""
    from torch.distributed.fsdp import fully_shard  # takes a while

    for block in blocks_of(net).values():
        fully_shard(block)
    fully_shard(net)


def _replicated(trace: Trace, net: nn.Module) -> Iterator[Holding]:
    learnt = sum(p.numel() * p.itemsize for p in net.parameters() if p.requires_grad)
    buffers = sum(b.numel() * b.itemsize for b in net.buffers())
    for holding in trace.holdings:
        copied_in = holding.kind == "gradients"
        yield replace(holding, died=holding.born) if copied_in else holding
    passes = passes_of(trace)
    if not any(one.backward for one in passes):
        return
    yield _extra(learnt, 0, len(trace.moments), "gradients", "buckets")
    for number, one in enumerate(passes):
        yield _extra(buffers, one.forward[0], one.forward[0], "operations", "buffers")
        if number == 1:
            yield _extra(learnt, one.forward[0], one.backward[-1], "gradients", "buckets")


def _extra(size: int, born: int, died: int, kind: str, op: str) -> Holding:
    return Holding(
        bytes=size, born=born, died=died, shape=(size,), itemsize=1, kind=kind, layer="", op=op
    )
