"""The last part of the page: what another person needs to get the same network again."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from convivo.reporting.content import Report
from convivo.reporting.formatting import at, count, duration, mapping, real
from convivo.reporting.wording import setting

HASH_LENGTH = 12
HASHES = (
    ("Data", ("data", "sha256")),
    ("Split", ("split_sha256",)),
    ("Plan", ("plan_sha256",)),
    ("Weights", ("weights_sha256",)),
)


def hash_rows(report: Report) -> list[dict[str, str]]:
    """Name, beginning and whole of each hash."""
    found = [(name, at(report.receipt, *keys)) for name, keys in HASHES]
    return [
        {"name": name, "short": str(value)[:HASH_LENGTH], "full": str(value)}
        for name, value in found
        if value
    ]


def facts(report: Report) -> list[tuple[str, str]]:
    """Versions, seed, times and the machine, those that are known."""
    receipt = report.receipt
    rows: list[tuple[str, Any]] = [
        ("convivo", at(receipt, "version")),
        ("Commit", at(receipt, "commit")),
        ("PyTorch", at(receipt, "torch")),
        ("Seed", at(receipt, "seed")),
        ("Cases", at(receipt, "data", "cases")),
        ("Started", at(receipt, "started")),
        ("Duration", duration(at(receipt, "seconds")) if at(receipt, "seconds") else None),
        ("Test set evaluated", times(at(receipt, "test_evaluations"))),
    ]
    machine = mapping(at(receipt, "machine"))
    rows += [(machine_name(str(key)), value) for key, value in machine.items()]
    return [(name, fact(value)) for name, value in rows if value not in (None, "", {}, [])]


def machine_name(key: str) -> str:
    """A key of the machine's description as a name."""
    return key.upper() if key in ("cpu", "gpu", "ram") else key.replace("_", " ").capitalize()


def fact(value: object) -> str:
    """A plain value as it is, a structure as JSON; whole numbers keep all their digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return setting(value)


def times(value: object) -> str | None:
    """How often, in words."""
    number = real(value)
    return (
        None if number is None else {1: "once", 2: "twice"}.get(int(number), count(value, "time"))
    )


def command(report: Report) -> str:
    """The command that repeats the training, if it can be known."""
    given = at(report.receipt, "command") or at(report.config, "command")
    if given:
        return shlex.join(map(str, given)) if isinstance(given, list | tuple) else str(given)
    path = at(report.inspection, "path")
    if not path or not report.plan:
        return ""
    seed = at(report.receipt, "seed")
    words = ["convivo", "train", str(path), "--plan", "plan.json", "--out", "again"]
    return shlex.join(words + ([] if seed is None else ["--seed", str(seed)]))


def settings(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A configuration as dotted keys and values, tables last as in TOML.

    Example:
        >>> list(settings({"net": {"width": 32}, "seed": 0}))
        [('seed', '0'), ('net.width', '32')]
    """
    tables = {k: v for k, v in document.items() if isinstance(v, Mapping)}
    for key, value in document.items():
        if key not in tables and value is not None:
            yield f"{prefix}{key}", json.dumps(value, default=str, ensure_ascii=False)
    for key, table in tables.items():
        yield from settings(table, f"{prefix}{key}.")


def receipt_card(report: Report) -> dict[str, Any]:
    """Everything the reproducibility part of the page shows."""
    return {
        "facts": facts(report),
        "hashes": hash_rows(report),
        "command": command(report),
        "settings": list(settings(report.config)),
    }
