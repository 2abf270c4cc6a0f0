"""Which regions a segmentation learns: from the settings, or from the data's own description."""

from collections.abc import Mapping, Sequence
from typing import Any

from convivo.data.sample import Index
from convivo.errors import ConfigError
from convivo.verbs.settings import Settings

WHERE, ORDER = "task.regions", "task.regions_class_order"
Members = Mapping[str, Sequence[int]]


def regions_of(index: Index, settings: Settings) -> list[dict[str, Any]]:
    """The regions as fields of the task, in class indices; [] where classes are learnt.

    Those of the settings; without any those that the data describe (nnU-Net's `dataset.json`). An
    empty table asks for the classes.

    Raises:
        ConfigError: a region of no label, of the background or of a label that is not there; an
            order that does not fit; a setting beside it that needs classes.
    """
    wish = settings.task
    named = _described(index) if wish.regions is None else wish.regions
    if not named:
        if wish.regions_class_order is not None:
            rule, got = "the order of regions", str(wish.regions_class_order)
            raise ConfigError(ORDER, rule, got, "Name them: task.regions")
        return []
    _must_be_alone(settings)
    values = index.label_values or tuple(range(len(index.classes)))
    place = {value: number for number, value in enumerate(values)}
    for name, members in named.items():
        _must_be_labels(name, members, values)
    order = wish.regions_class_order
    if order is None and wish.regions is None:
        order = _described_order(index)
    labels = _own_labels(named) if order is None else _checked_order(order, named)
    return [
        {"name": name, "labels": sorted(place[v] for v in members), "label": place[label]}
        for (name, members), label in zip(named.items(), labels, strict=True)
    ]


def regions_reason(regions: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    """What is learnt, in a sentence."""
    told = (f"{r['name']} = {' + '.join(classes[c] for c in r['labels'])}" for r in regions)
    return f"regions, a yes or no of each: {', '.join(told)}"


def _described(index: Index) -> dict[str, list[int]]:
    """The regions that the data describe, but for the background."""
    found = index.extra.get("regions")
    rows = found.items() if isinstance(found, Mapping) else ()
    return {str(name): list(members) for name, members in rows if 0 not in members}


def _described_order(index: Index) -> list[int] | None:
    found = index.extra.get("regions_class_order")
    return [int(value) for value in found] if isinstance(found, list | tuple) else None


def must_be_no_regions(settings: Settings) -> None:
    """Refuse regions of label maps whose values number objects.

    Raises:
        ConfigError: there are some.
    """
    if settings.task.regions:
        got, remedy = "label maps that number objects", "Leave it out, or set task.instances=false"
        raise ConfigError(WHERE, "regions are sets of classes", got, remedy)


def _must_be_alone(settings: Settings) -> None:
    if settings.train.border_weight:
        rule, remedy = "the weight map is of classes, not of regions", "Leave it out"
        raise ConfigError("train.border_weight", rule, settings.train.border_weight, remedy)


def _must_be_labels(name: str, members: Sequence[int], values: Sequence[int]) -> None:
    able = values[1:]
    odd = [value for value in members if value not in able]
    if odd or not members:
        rule = f"a region is a list of the data's labels ({', '.join(map(str, able))})"
        got = f"{name}: {list(members)}"
        raise ConfigError(WHERE, rule, got, "Correct it: task.regions.NAME=[1,2]")


def _own_labels(named: Members) -> list[int]:
    """The label of each region that no later one has."""
    rows = list(named.items())
    found = []
    for number, (name, members) in enumerate(rows):
        later = {value for _, others in rows[number + 1 :] for value in others}
        own = sorted(set(members) - later)
        if len(own) != 1:
            rule = "each region has one label that no later region has"
            got = f"{name}: {', '.join(map(str, own)) or 'none'}"
            remedy = f"Order them from the outer to the inner, or set {ORDER}"
            raise ConfigError(WHERE, rule, got, remedy)
        found += own
    return found


def _checked_order(order: Sequence[int], named: Members) -> list[int]:
    rule = f"one label of each region, in their order ({', '.join(named)})"
    fits = len(order) == len(named) and len(set(order)) == len(order)
    if not fits or any(v not in members for v, members in zip(order, named.values(), strict=True)):
        remedy = "Give the label that each region is written as"
        raise ConfigError(ORDER, rule, list(order), remedy)
    return list(order)
