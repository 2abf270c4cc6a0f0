"""The form of every JSON document that convivo writes: a JSON Schema and a golden example each."""

import json
from pathlib import Path
from typing import Any

from convivo.errors import UsageError, nearest_name

NAMES = (
    "inspect",
    "plan",
    "split",
    "control",
    "metrics-line",
    "evaluation",
    "receipt",
    "predict",
    "export",
    "pipeline",
    "parity",
    "generate",
    "compare",
    "verify",
    "nets",
    "doctor",
    "get",
    "error",
)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document; keys that it does not name are allowed.

    Raises:
        UsageError: no document of that name.
    Example:
        >>> schema("control")["properties"]["action"]["enum"]
        ['run', 'pause', 'stop-after-epoch', 'stop']
    """
    return _read(name, "")


def example(name: str) -> dict[str, Any]:
    """A document as it looks when nothing is missing.

    Raises:
        UsageError: no document of that name.
    Example:
        >>> example("control")
        {'schema': 1, 'action': 'run'}
    """
    return _read(name, "examples/")


def _read(name: str, folder: str) -> dict[str, Any]:
    if name not in NAMES:
        rule = "the name of a JSON document"
        raise UsageError("schema", rule, repr(name), nearest_name(name, NAMES))
    path = Path(__file__).parent / f"{folder}{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))
