"""Runs as they are watched: what they took goes beside what was foretold of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from convivo.errors import ConvivoError
from convivo.files import write_json
from convivo.planning.ledger import ledger
from convivo.planning.rehearsal import rehearse
from convivo.progress import Progress
from convivo.training.observation import Observation
from convivo.training.process_memory import PeakWatch
from convivo.training.tensor_watch import observed_answers
from convivo.verbs.folder import Folder
from convivo.verbs.parts import Parts


@contextmanager
def observed(folder: Folder, parts: Parts, progress: Progress) -> Iterator[Observation]:
    """Watch what is trained inside; however it ends, plan.json then holds what was seen.

    What an interrupted part of the run has seen is kept, and its tensors are not watched again.
    """
    earlier = folder.json("plan.json").get("measured")
    seen = Observation(
        parts.state,
        steps=int(parts.plan["steps"]),
        foretold=(earlier or {}).get("seconds_foretold"),
        say=progress.say,
        allocator=parts.plan.get("allocator", "keep"),
        earlier=earlier,
    )
    try:
        with seen:
            yield seen
    finally:
        plan = folder.json("plan.json")
        write_json(folder / "plan.json", plan | {"measured": seen.document()})


@contextmanager
def observed_evaluation(network: nn.Module, precision: str) -> Iterator[dict[str, Any]]:
    """What the forward passes inside take, by those that come first, and what the ledger says.

    Yields:
        A dictionary that holds `predicted` and `measured` of evaluation.json once all is done.
    """
    found: dict[str, Any] = {}
    with PeakWatch() as process, observed_answers(network) as seen:
        yield found
    found["measured"] = {
        "tensors_peak": seen.peak,
        "memory": seen.memory,
        "process_peak": process.peak,
    }
    found["predicted"] = _foretold(network, seen.shape, precision)


def _foretold(network: nn.Module, shape: tuple[int, ...] | None, precision: str) -> dict[str, Any]:
    """The ledger of one forward pass; null where it cannot be traced, or nothing was seen."""
    nothing = {"tensors_peak": None, "memory": None}
    if shape is None:
        return nothing
    batch, *item = shape
    try:
        held = ledger(rehearse(network, item, batch, mode="infer", precision=precision))
    except (ConvivoError, MemoryError):  # the answers are there: nothing is lost by it
        return nothing
    return {"tensors_peak": held.tensors_peak, "memory": held.memory}
