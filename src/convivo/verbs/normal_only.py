"""Training on what is normal: which cases, and which moments of a record, a network learns from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convivo.data.sample import Case, Events
from convivo.data.store import Store
from convivo.errors import DataError


def learnt_from(
    plan: Mapping[str, Any], cases: Mapping[str, Case], ids: Sequence[str]
) -> Sequence[str]:
    """Of the cases `ids` those that a network may see while it is trained.

    All of them, unless the plan is to train on a normal class only; records stay, their other
    moments are taken out by `without_others`.

    Raises:
        DataError: none is left.
    """
    normal = _normal(plan)
    if normal is None:
        return ids
    kept = [i for i in ids if cases[i].target == normal or cases[i].label is not None]
    if not kept:
        name = plan["task_fields"]["classes"][normal]
        rule, got = f"training and validation hold cases of the normal class {name!r}", "none"
        raise DataError("train", rule, got, "Name another class, or give another split")
    return kept


def without_others(plan: Mapping[str, Any], store: Store) -> Store:
    """The prepared cases, moments of other than the normal class without one."""
    normal = _normal(plan)
    if normal is None or store.maps:
        return store
    return replace(store, targets=[_only(target, normal) for target in store.targets])


def _only(target: Any, normal: int) -> Any:
    if not isinstance(target, Events):
        return target
    return replace(target, labels=np.where(target.labels == normal, target.labels, -1))


def _normal(plan: Mapping[str, Any]) -> int | None:
    fields = plan["task_fields"]
    return fields["normal"] if fields.get("only_normal") else None
