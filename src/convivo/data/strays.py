"""A few label values beside those of the classes: 1 and 254 in a mask of 0 and 255.

They come from lossy compression or a resampled mask. Their class is the nearest one; the
inspection says so.
"""

from collections.abc import Mapping

import numpy as np

from convivo.data.sample import Index

GREY = 255  # the highest value of masks that code classes as grey levels
APART = 32  # grey levels between two classes; codes closer together are class numbers
SHARE = 0.002  # of all positions that a class holds at least
MOST = 0.2  # of all positions that may be strays: small masks saved as JPEG reach it
RARER = 0.2  # of its class's positions that one stray value has at most; else it is a class
FEW = 3  # values far from every class that are rare classes, not strays


def find_strays(counts: Mapping[int, int]) -> dict[int, int]:
    """Stray value -> the value of its class; {} where every value is a class of its own.

    Classes are grey levels at least 32 apart that hold at least 0.2 % of all positions. A few
    (up to three) values far from all of them are rare classes. What is left are strays, unless
    they are more than 20 % of all positions or one is a fifth as frequent as its class: then
    nothing is decided. Class numbers 0, 1, 2, ... beside 255 alone, which often marks what was not
    looked at, are classes too: lossy compression changes values around 255 as well.

    Args:
        counts: how often each value occurs in all maps together.
    Example:
        >>> find_strays({0: 9000, 127: 500, 255: 480, 1: 8, 126: 2, 254: 9})
        {1: 0, 126: 127, 254: 255}
        >>> find_strays({0: 9000, 1: 500, 2: 3}), find_strays({0: 9000, 255: 3})
        ({}, {})
        >>> find_strays({0: 9000, 1: 500, 2: 300, 255: 700})
        {}
    """
    total = sum(counts.values())
    if not counts or min(counts) < 0 or not APART <= max(counts) <= GREY:
        return {}
    if _are_numbers(counts):
        return {}
    classes: list[int] = []
    for value in sorted(counts, key=lambda v: (-counts[v], v)):
        if counts[value] >= SHARE * total and _far(value, classes):
            classes.append(value)
    rare = [value for value in counts if _far(value, classes)]
    classes += rare if len(rare) <= FEW else []
    rest = sorted(set(counts) - set(classes))
    if len(classes) < 2 or sum(counts[value] for value in rest) > MOST * total:
        return {}
    known = np.array(sorted(classes))
    found = {value: int(known[np.abs(known - value).argmin()]) for value in rest}
    common = any(counts[v] > RARER * counts[owner] for v, owner in found.items())
    return {} if common else found


def strays_of(index: Index) -> Mapping[int, int]:
    """The strays that the inspection found: value -> the value of its class."""
    found = index.extra.get("strays")
    return found if isinstance(found, Mapping) else {}


def _are_numbers(counts: Mapping[int, int]) -> bool:
    """Whether the values are class numbers and 255, and the numbers no rare exceptions."""
    numbers = set(counts) - {GREY}
    held = sum(counts[value] for value in numbers if value)
    return numbers == set(range(len(numbers))) and held >= SHARE * sum(counts.values())


def _far(value: int, classes: list[int]) -> bool:
    return all(abs(value - other) >= APART for other in classes)
