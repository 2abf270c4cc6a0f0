"""The runs in the folders of the command line: what their plans foretold, and what was measured.

Only `plan.json` is read, as JSON: no weights, and nothing that could hold code. The page names a
run by the id it was listed under.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convivo.architectures import ARCHITECTURES
from convivo.errors import ReadError
from convivo.files import read_json
from convivo.lab.answers import Refusal
from convivo.lab.roots import DEPTH, Roots

PLAN, MOST, MOST_BYTES = "plan.json", 200, 2**24
_entries: dict[str, Path] = {}


def listed(roots: Roots) -> list[dict[str, Any]]:
    """The runs there are now: id, folder as seen from its root, network."""
    known = {path: entry for entry, path in _entries.items()}
    shown = []
    for root in roots.folders:
        for path in list(_plans(root))[: MOST - len(shown)]:
            plan = _read(path)
            if plan is None:
                continue
            entry = known.get(path) or secrets.token_hex(12)
            _entries[entry] = path
            name = path.parent.relative_to(root).as_posix()
            name = root.name if name == "." else name
            shown.append({"entry": entry, "name": name, "net": plan["network"].get("name", "")})
    return shown


def opened(roots: Roots, entry: str) -> dict[str, Any]:
    """The question of a run for this view, its prediction, its measurement.

    Raises:
        Refusal: no such run any more, or its network is the user's own.
    """
    path = _entries.get(entry)
    inside = path is not None and any(path.is_relative_to(root) for root in roots.folders)
    if path is None or not inside or path.is_symlink() or not path.is_file():
        raise Refusal(404, "gone", "there is no such run in the list", "List again")
    plan = _read(path)
    if plan is None:
        raise Refusal(422, "read", "this folder has no plan that can be read", "Train it again")
    try:
        question = _question(plan)
    except (KeyError, TypeError, ValueError):
        hint = "Train it again"
        raise Refusal(422, "read", "this plan does not say what it was for", hint) from None
    return {
        "name": path.parent.name,
        "question": question,
        "predicted": plan.get("memory"),
        "peak_at": plan.get("peak_at"),
        "measured": plan.get("measured"),
        "checkpointing": bool(plan.get("checkpointing")),
        "accumulate": plan.get("accumulate") or 1,
    }


def _question(plan: dict[str, Any]) -> dict[str, Any]:
    net = plan["network"]
    if net.get("custom") or net.get("name") not in ARCHITECTURES:
        rule = "the network of this run is your own module, which its folder does not hold"
        raise Refusal(422, "custom", rule, "Plan it in Python: convivo.plan(module, input=...)")
    channels, *size = plan["input"]
    return {
        "net": net["name"],
        "dims": len(size),
        "channels": channels,
        "size": size,
        "classes": net["num_classes"],
        "batch": plan["batch"],
        "mode": "train",
        "precision": plan["precision"],
        "optimizer": plan["optimizer"],
        "width": net.get("width") or 1.0,
        "options": net.get("options") or {},
    }


def _plans(root: Path) -> Iterator[Path]:
    """Files named plan.json, not behind links, not deeper than data may lie."""
    for folder, names, files in os.walk(root, followlinks=False):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= DEPTH
        names[:] = [] if deep else sorted(name for name in names if name[0] != ".")
        path = here / PLAN
        if PLAN in files and not path.is_symlink():
            yield path


def _read(path: Path) -> dict[str, Any] | None:
    """The plan of a run; None of a file that is none."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        found = read_json(path)
    except (ReadError, OSError):
        return None
    is_run = isinstance(found, dict) and isinstance(found.get("network"), dict)
    return found if is_run and isinstance(found.get("input"), list) else None
