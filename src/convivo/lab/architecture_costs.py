"""What a network of the lab costs: the ledger of `convivo plan`, row by row and over time."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from convivo.architectures import ARCHITECTURES
from convivo.errors import ConvivoError
from convivo.lab.architecture_graph import graph, root_name
from convivo.lab.architecture_places import keep, rows
from convivo.lab.program_network import network, program_in
from convivo.planning.budget import Setting
from convivo.planning.counting import count
from convivo.planning.ledger import Ledger, ledger
from convivo.planning.machine import this_machine
from convivo.planning.overhead import Process, process
from convivo.planning.rehearsal import rehearse
from convivo.planning.step import Loss
from convivo.planning.timeline import timeline
from convivo.planning.timing import seconds_per_step
from convivo.planning.trace import swept_aside
from convivo.planning.work import Tally
from convivo.verbs.plan import loss_of, on_meta
from convivo.verbs.settings import NetSettings
from convivo.verbs.within import kept_by

MODES = ("train", "infer")
PRECISIONS = ("fp32", "bf16", "fp16")
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which network, for which input, used how: what `convivo plan` is asked on the command line.

    options: the network's own, such as (("hidden", (1000,)),). program: instead, the file of an
    exported program in the lab's store; net, classes, width and options then say nothing.
    """

    net: str
    channels: int
    size: tuple[int, ...]
    classes: int
    batch: int = 1
    mode: str = "train"
    precision: str = "fp32"
    optimizer: str = "momentum"
    width: float = 1.0
    options: tuple[tuple[str, Any], ...] = ()
    program: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, *self.size)

    def network(self) -> nn.Module:
        """Without its weights.

        Raises:
            ConfigError, ShapeError, UsageError: what `create` refuses.
        """
        if self.program:
            return network(program_in(self.program))
        settings = NetSettings(name=self.net, width=self.width, **dict(self.options))
        return on_meta(settings, self.shape, self.classes)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """A step rehearsed: its ledger, the process around it, seconds."""

    held: Ledger
    whole: Process
    seconds: float


def costs(question: Question, net: nn.Module) -> Costs:
    """Rehearse one step on shapes alone.

    Raises:
        ShapeError: the network does not take that input. PlanError: it cannot be traced.
    """
    q, tally = question, Tally()
    entry = ARCHITECTURES.get(q.net)
    traced = rehearse(
        net, q.shape, q.batch, mode=q.mode, precision=q.precision, optimizer=q.optimizer,
        task=None if entry is None else entry.tasks[0], loss=_loss(q), tally=tally,
    )  # fmt: skip
    setting = Setting(batch=q.batch, patch=q.size, precision=q.precision)
    whole = process(traced, train=q.mode == "train", keeps=kept_by(setting, q.mode))
    seconds = seconds_per_step(tally, this_machine().speeds)
    return Costs(held=ledger(traced), whole=whole, seconds=seconds)


def _loss(question: Question) -> Loss | None:
    return loss_of(question.net, question.classes)


@swept_aside()
def planned(question: Question) -> dict[str, Any]:
    """Everything that the page shows of a network.

    Returns:
        `nodes` (`graph`), each with its `kept` bytes and sum; `rows`: what lives at the peak, by
        layer; the totals of `convivo plan`; `timeline`.
    Raises:
        ShapeError, ConfigError, PlanError, UsageError: as `convivo plan` has them.
    """
    net = question.network()
    nodes = graph(net, question.shape)
    counts = count(net, question.shape, question.batch)
    found = costs(question, net)
    root = root_name(net)
    keep(found.held, nodes, root)
    return {
        "question": document(question),
        "nodes": nodes,
        "rows": rows(found.held, nodes, root),
        "parameters": counts.parameters,
        "macs": sum(node["macs"] for node in nodes) * question.batch,
        "receptive_field": counts.receptive_field and list(counts.receptive_field),
        "memory": memory(found),
        "peak_at": found.held.peak_at,
        "seconds_per_step": found.seconds,
        "timeline": timeline(found.held),
    }


def document(question: Question) -> dict[str, Any]:
    """The question as plain values; no path leaves the lab."""
    return vars(question) | {"options": dict(question.options), "program": bool(question.program)}


def memory(found: Costs) -> dict[str, int]:
    """The columns of the ledger, in bytes, as `convivo plan` has them."""
    return {
        **found.held.memory,
        "tensors_peak": found.held.tensors_peak,
        "overhead": found.whole.overhead,
        "process_peak": found.whole.peak,
        "process_bound": found.whole.bound,
    }


@swept_aside()
def point(question: Question, size: tuple[int, ...]) -> dict[str, Any]:
    """Memory at another size of the input; where the network refuses it, the reason."""
    asked = replace(question, size=size)
    try:
        found = costs(asked, asked.network())
    except ConvivoError as refusal:
        return {"size": list(size), "refused": f"{refusal.rule}. {refusal.remedy}"}
    return {"size": list(size), "memory": memory(found), "seconds": found.seconds}
