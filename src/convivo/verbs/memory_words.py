"""The memory of a plan in lines for people."""

from collections.abc import Mapping
from typing import Any

KINDS = {
    "parameters": "weights",
    "outputs": "outputs kept",
    "gradients": "gradients",
    "losses": "gradients of outputs",
    "optimizer": "optimizer",
    "operations": "temporaries",
}
MIB = 2**20


def memory_words(document: Mapping[str, Any]) -> list[str]:
    """What lives at the peak, kind by kind, and what the process takes in all.

    Args:
        document: a plan; without its memory there is nothing to say.
    """
    memory = document.get("memory") or {}
    if memory.get("tensors_peak") is None:
        return []
    at = f" in {document['peak_at']}" if document.get("peak_at") else ""
    lines = [f"  memory at its peak{at}, MiB"]
    lines += [_row(name, memory[kind]) for kind, name in KINDS.items() if memory[kind]]
    lines.append(_row("tensors", memory["tensors_peak"]))
    if memory.get("process_peak") is not None:
        lines.append(_row("around them", memory["overhead"]))
        lines.append(_row("process, expected", memory["process_peak"]))
        lines.append(_row("process, at most", memory["process_bound"]))
    return lines


def costs_line(document: Mapping[str, Any], what: str = "training") -> str:
    """What a run took beside what was foretold, in a line; what is unknown is left out.

    Example:
        >>> memory = {"tensors_peak": 1049 * MIB, "process_peak": None, "process_bound": None}
        >>> measured = {"tensors_peak": 1051 * MIB, "seconds_per_step": 0.4217}
        >>> costs_line({"memory": memory, "measured": measured})
        'training: tensors 1,051 MiB (foretold 1,049); 0.422 s a step'
    """
    memory, measured = document.get("memory") or {}, document.get("measured") or {}
    parts = [
        _beside("tensors", measured.get("tensors_peak"), memory.get("tensors_peak")),
        _beside(
            "process",
            measured.get("process_peak"),
            memory.get("process_peak"),
            memory.get("process_bound"),
        ),
    ]
    told = [", ".join(part for part in parts if part)]
    told.append(_seconds(measured))
    return f"{what}: " + ("; ".join(part for part in told if part) or "nothing was measured")


def _beside(name: str, seen: int | None, foretold: int | None, most: int | None = None) -> str:
    if seen is None:
        return ""
    known = [f"foretold {foretold / MIB:,.0f}"] if foretold is not None else []
    known += [f"at most {most / MIB:,.0f}"] if most is not None else []
    return f"{name} {seen / MIB:,.0f} MiB" + (f" ({', '.join(known)})" if known else "")


def _seconds(measured: Mapping[str, Any]) -> str:
    """The step as it was foretold, without drawing its batch, which is told apart."""
    whole, drawing = measured.get("seconds_per_step"), measured.get("seconds_drawing")
    foretold = measured.get("seconds_foretold")
    if whole is None:
        return ""
    if foretold is None or drawing is None:
        return f"{whole:.3g} s a step"
    alone = max(whole - drawing, 0.0)
    told = f"{alone:.3g} s a step (foretold {foretold:.3g})"
    return f"{told} and {drawing:.3g} s for its batch" if drawing > 0.05 * whole else told


def _row(name: str, count: int) -> str:
    return f"    {name:<21}{count / MIB:>12,.1f}"
