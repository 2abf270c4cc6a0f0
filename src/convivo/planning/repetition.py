"""The second step of a training, told from the first where the two cannot differ in anything else.

In the first step the optimizer makes its state; the second is the same without that, unless the
network has kept something or changed.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from torch import nn

from convivo.planning.events import Moment
from convivo.planning.homes import Record

ATTRIBUTE = object()  # in the place of a key
PARTS = ("_parameters", "_buffers", "_modules")
Condition = dict[tuple[int, str, Any], Any]


def condition(network: nn.Module) -> Condition:
    """What a network has beside the values of its tensors, part by part."""
    found: Condition = {}
    for module in network.modules():
        for name, value in vars(module).items():
            size = len(value) if isinstance(value, list) else None
            found[id(module), name, ATTRIBUTE] = id(value), size
            if isinstance(value, dict):
                found |= {(id(module), name, key): id(part) for key, part in value.items()}
    return found


def is_unchanged(before: Condition, after: Condition) -> bool:
    """Whether nothing was changed or added by a step, but for entries of a layer's own tables.

    Those are what it remembers, as our convolutions remember the sizes that fit.
    """
    added = after.keys() - before.keys()
    remembered = all(key is not ATTRIBUTE and name not in PARTS for _, name, key in added)
    return remembered and all(after.get(place) == what for place, what in before.items())


def repeat(moments: list[Moment], records: list[Record], skipped: Sequence[Record]) -> bool:
    """Add a second step to a first one; False where it cannot be told.

    Args:
        moments, records: of the first step, to which those of the second are added.
        skipped: what the optimizer has made in its first step.
    """
    passing = [r for r in records if not r.role and not r.state]
    if any(r.died is None for r in passing) or not all(r.state for r in skipped):
        return False
    made = {r.born for r in records if r.state}
    if any(r.born in made for r in passing) or any(moments[m].hidden for m in made):
        return False
    count = len(moments)
    stays = [place not in made for place in range(count)]
    places = [count + n - 1 for n in accumulate(stays)]
    moments += [replace(m, step=2) for m, kept in zip(list(moments), stays, strict=True) if kept]
    for record in passing:
        died = places[record.died or 0]
        records.append(replace(record, born=places[record.born], died=died))
    return True
