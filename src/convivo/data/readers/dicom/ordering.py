"""Planes of one orientation -> stacks in order: by place, and by moment where places repeat."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convivo.data.readers.dicom.planes import MARKS, Plane

SAME_PLACE = 0.02  # pixels


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a stack: a problem's code, message and remedy. fatal: not readable.

    path: of the file to name, where it is one of them.
    """

    code: str
    message: str
    remedy: str
    fatal: bool = False
    path: str = ""


Stack = tuple[list[Plane], list[Fault]]


def ordered_stacks(planes: Sequence[Plane]) -> Iterator[Stack]:
    """Stacks in which every place occurs once, planes in order along the normal.

    Where planes share a place, the first mark that parts them evenly makes a stack of each
    moment, else the order of InstanceNumber does. Planes without a place are ordered by
    SliceLocation, else by InstanceNumber.
    """
    own, faults = _distinct(planes)
    if not own[0].placed:
        yield _by_number(own, faults)
        return
    spots = _spots(own)
    most = max(len(spot) for spot in spots)
    if most == 1:
        yield [spot[0] for spot in spots], faults + _edges(own)
        return
    if sum(len(spot) > 1 for spot in spots) * 2 < len(spots):
        got = len(own) - len(spots)
        message = f"{got} of {len(own)} slices lie where another lies; the first of each is read"
        yield [spot[0] for spot in spots], [*faults, Fault("duplicate-slices", message, REMOVE)]
        return
    parts, means = _parted(own, most)
    message = f"{len(own)} slices at {len(spots)} places: {len(parts)} volumes, told apart by"
    told = Fault("repeated-positions", f"{message} {means}", "Check that this is meant")
    for number, part in enumerate(parts):
        yield from _each(part, [*faults, told] if number == 0 else [])


REMOVE = "Remove the slices that are not wanted"


def _each(part: Sequence[Plane], faults: list[Fault]) -> Iterator[Stack]:
    """One part; what a mark left together (echoes at several moments) is parted again."""
    for number, (stack, more) in enumerate(ordered_stacks(part)):
        kept = [fault for fault in more if fault.code != "repeated-positions"]
        yield stack, (faults if number == 0 else []) + kept


def _distinct(planes: Sequence[Plane]) -> tuple[list[Plane], list[Fault]]:
    """Each object and frame once: copies are left out, those first that are cut."""
    seen: dict[tuple[str, int], Plane] = {}
    faults: list[Fault] = []
    for plane in sorted(planes, key=lambda plane: bool(plane.file.cut)):
        kept = seen.setdefault((plane.file.uid or plane.file.path, plane.frame), plane)
        if plane is not kept and plane.file.cut:
            faults.append(Fault("truncated", plane.file.cut, REMOVE, path=plane.file.path))
    copies = len(planes) - len(seen)
    if copies:
        message = f"{copies} files are copies of others (one SOPInstanceUID); they are left out"
        faults.append(Fault("duplicate-slices", message, REMOVE))
    return list(seen.values()), faults


def _spots(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes by place along the normal, in its direction; those of one place by number."""
    first = planes[0]
    assert first.spacing
    normal, near = first.matrix()[:3, 2], SAME_PLACE * min(first.spacing)
    depths = np.array([plane.position for plane in planes]) @ normal
    spots: list[list[Plane]] = []
    last = -np.inf
    for place in np.argsort(depths, kind="stable"):
        if depths[place] - last > near:
            spots.append([])
            last = depths[place]
        spots[-1].append(planes[place])
    return [sorted(spot, key=_number) for spot in spots]


def _number(plane: Plane) -> tuple[int, int, str]:
    return plane.file.number or 0, plane.frame, plane.file.path


def _parted(planes: Sequence[Plane], most: int) -> tuple[list[list[Plane]], str]:
    """Parts in which places repeat less, and what told them apart."""
    places = len(planes) / most
    for place, name in enumerate(MARKS):
        parts: dict[str, list[Plane]] = {}
        for plane in planes:
            parts.setdefault(plane.marks[place], []).append(plane)
        # a mark of single slices (the time of each) is none of moments
        if 1 < len(parts) <= most and min(map(len, parts.values())) > places / 2:
            in_order = sorted(parts, key=lambda mark: (len(mark), mark))
            return [parts[mark] for mark in in_order], name
    ranks: list[list[Plane]] = [[] for _ in range(most)]
    for spot in _spots(planes):
        for rank, plane in enumerate(spot):
            ranks[rank].append(plane)
    return ranks, "InstanceNumber"


def _by_number(planes: list[Plane], faults: list[Fault]) -> Stack:
    """Planes that have no place: a guess, and said to be one."""
    if len(planes) == 1 or planes[0].file.frames > 1:
        return sorted(planes, key=_number), faults
    located = all(plane.location is not None for plane in planes)
    means = "SliceLocation" if located else "InstanceNumber"
    message = f"{len(planes)} slices have no position: they are ordered by {means}"
    fault = Fault("slices-without-position", message, "Check the order, and the spacing")
    if located:
        return sorted(planes, key=lambda p: (p.location or 0.0, _number(p))), [*faults, fault]
    return sorted(planes, key=_number), [*faults, fault]


def _edges(planes: Sequence[Plane]) -> list[Fault]:
    """Slices missing at an end, where numbers and the announced count both say so.

    The count is of the acquisition, of which a series may be one of several reconstructions: it
    is believed where all but a few of the numbers 1 ... count are there.
    """
    counts = {plane.file.announced for plane in planes}
    numbers = {plane.file.number for plane in planes if plane.file.number is not None}
    count = next(iter(counts)) if len(counts) == 1 else None
    if not count or len(numbers) < len(planes):
        return []
    absent = set(range(1, count + 1)) - numbers
    if not absent or numbers - set(range(1, count + 1)) or len(absent) * 10 > count:
        return []
    inner = [n for n in absent if min(numbers) < n < max(numbers)]
    if inner:  # a gap within the stack is measured by its positions
        return []
    message = f"{len(absent)} missing: the files announce {count} slices, there are {len(planes)}"
    return [Fault("missing-slices", message, "Export the series again, whole", fatal=True)]
