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


def _row(name: str, count: int) -> str:
    return f"    {name:<21}{count / MIB:>12,.1f}"
