"""Seconds of a network's step from a few words, as `rehearsal` tells its bytes."""

from collections.abc import Sequence

from torch import nn

from convivo.planning.machine import this_machine
from convivo.planning.rehearsal import rehearse
from convivo.planning.step import Loss
from convivo.planning.timing import seconds_per_step
from convivo.planning.work import Tally


def step_seconds(
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    task: str | None = None,
    loss: Loss | None = None,
) -> float:
    """Seconds of one step on this machine's processor, by what `convivo doctor` measured.

    It is the second step, the first of those in which the optimizer has its state. Reading and
    augmenting the data is not included; without a measurement default speeds serve. Who wants
    memory too gives `rehearse` a tally, and spares the second trace.

    Args:
        net, input, batch, mode, precision, optimizer, task, loss: as for `rehearsal.rehearse`.
    Raises:
        UsageError, ShapeError, PlanError: as there.
    """
    tally = step_work(
        net, input, batch, mode=mode, precision=precision, optimizer=optimizer, task=task, loss=loss
    )
    return seconds_per_step(tally, this_machine().speeds)


def step_work(
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    task: str | None = None,
    loss: Loss | None = None,
) -> Tally:
    """What that step has to do; arguments as for `step_seconds`."""
    tally = Tally()
    rehearse(
        net,
        input,
        batch,
        mode=mode,
        precision=precision,
        optimizer=optimizer,
        task=task,
        loss=loss,
        tally=tally,
    )
    return tally
