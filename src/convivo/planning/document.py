"""The plan as the contract's JSON document. What is not computed yet is null."""

from collections.abc import Sequence

from torch import nn

from convivo.architectures import ARCHITECTURES
from convivo.planning.counting import LayerCount, count
from convivo.planning.events import Holding
from convivo.planning.ledger import Ledger, ledger
from convivo.planning.machine import this_machine
from convivo.planning.overhead import Process, process
from convivo.planning.ranks import check_ranks, per_rank
from convivo.planning.rehearsal import rehearse
from convivo.planning.step import Loss
from convivo.planning.step_time import step_work
from convivo.planning.timeline import timeline
from convivo.planning.timing import seconds_per_step
from convivo.planning.trace import swept_aside
from convivo.planning.work import Tally

MEMORY = (
    "parameters",
    "outputs",
    "gradients",
    "losses",
    "optimizer",
    "operations",
    "tensors_peak",
    "overhead",
    "process_peak",
    "process_bound",
)


REPEATED = (
    4 / 3
)  # of the time: three thirds are the forward pass and the two halves of the backward


@swept_aside()
def plan_document(
    net_name: str,
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    layers: bool = False,
    loss: Loss | None = None,
    memory: bool = True,
    ranks: int | None = None,
    strategy: str | None = None,
    passes: int = 1,
    checkpointing: bool = False,
    keeps: bool | None = None,
    lasting: int = 0,
    between: int = 0,
    limit: int | None = None,
    over_time: bool = False,
) -> dict:
    """What a network costs, as plain JSON values.

    Args:
        net_name: how the network is called.
        net: any module, also on the meta device.
        input: shape (C, *S) of one input.
        batch: items of one step.
        mode: "train" or "infer"; `macs` are those of one forward pass in either.
        precision: "fp32", "bf16" or "fp16".
        optimizer: "sgd", "momentum", "adam" or "adamw".
        layers: add a row for each layer; `outputs` are the bytes that its forward pass leaves for
            the backward pass or the next layers, and `formula` the sum behind them.
        loss: (network, images, targets) -> loss; default: what the network's task usually has.
        memory: trace a step; without it memory is null, and so are seconds and layers' outputs.
        ranks, strategy: how many share the training and how, "ddp" or "fsdp"; then memory and the
            peak are those of one rank, `batch` its share.
        passes, checkpointing: how a training step goes through its batch, see `rehearse`.
        keeps, lasting, between, limit: what the process does beside the step, and what is refused
            to it, see `overhead.process`.
        over_time: add the ledger of a step as `timeline`, see `timeline.timeline`.
    Raises:
        ShapeError: the network does not take that input.
        PlanError: memory cannot be told, since an operation needs the values.
        UsageError: an unknown mode, optimizer or strategy, or one of ranks and strategy alone.
    """
    check_ranks(ranks, strategy)
    counts = count(net, input, batch)
    field = counts.receptive_field
    held = whole = seconds = None
    if memory:
        entry = ARCHITECTURES.get(net_name)
        task = None if entry is None else entry.tasks[0]
        words = {"mode": mode, "precision": precision, "optimizer": optimizer, "task": task}
        ways = {"passes": passes, "checkpointing": checkpointing}
        tally = Tally()
        traced = rehearse(net, input, batch, loss=loss, tally=tally, **words, **ways)
        if ranks is not None and strategy is not None:
            traced = per_rank(traced, net, ranks=ranks, strategy=strategy)
        if passes > 1:  # not all of which are traced
            tally = step_work(net, input, batch, loss=loss, **words)
        seconds = seconds_per_step(tally, this_machine().speeds)
        seconds *= REPEATED if checkpointing and passes > 1 else 1.0
        held = ledger(traced)
        whole = process(
            traced,
            train=mode == "train",
            keeps=keeps,
            lasting=lasting,
            between=between,
            limit=limit,
        )
    document: dict[str, object] = {
        "schema": 1,
        "net": net_name,
        "input": [int(n) for n in input],
        "batch": int(batch),
        "mode": mode,
        "precision": precision,
        "optimizer": optimizer,
        "parameters": counts.parameters,
        "macs": counts.macs,
        "receptive_field": None if field is None else list(field),
        "memory": _memory(held, whole),
        "peak_at": None if held is None else held.peak_at,
        "seconds_per_step": seconds,
        "fits": None,
        "solution": None,
    }
    if ranks is not None:
        document |= {"ranks": ranks, "strategy": strategy}
    if over_time and held is not None:
        document["timeline"] = timeline(held)
    if layers:
        document["layers"] = [_row(layer, held) for layer in counts.layers]
    return document


def bare_document(
    net_name: str, net: nn.Module, input: Sequence[int], batch: int, *, optimizer: str
) -> dict[str, object]:
    """The document of a training of which only the parameters can be told."""
    return {
        "schema": 1,
        "net": net_name,
        "input": [int(n) for n in input],
        "batch": int(batch),
        "mode": "train",
        "precision": "fp32",
        "optimizer": optimizer,
        "parameters": sum(p.numel() for p in net.parameters()),
        "macs": None,
        "receptive_field": None,
        "memory": _memory(None, None),
        "peak_at": None,
        "seconds_per_step": None,
        "fits": None,
        "solution": None,
    }


def _memory(held: Ledger | None, whole: Process | None) -> dict[str, int | None]:
    empty: dict[str, int | None] = dict.fromkeys(MEMORY)
    if held is None or whole is None:
        return empty
    tensors = held.memory | {"tensors_peak": held.tensors_peak}
    around = {"process_peak": whole.peak, "process_bound": whole.bound}
    return empty | tensors | {"overhead": whole.overhead} | around


def _row(layer: LayerCount, held: Ledger | None) -> dict:
    if held is None:
        return layer.document() | {"outputs": None}
    found = held.outputs.get(layer.name, ())
    own = {"outputs": sum(h.bytes for h in found), "formula": _formula(found)}
    return layer.document() | own


def _formula(holdings: Sequence[Holding]) -> str | None:
    """Equal results of a layer that is used again stand there as often as it is."""
    return "; ".join(holding.formula for holding in holdings) or None
