"""Inspection + split -> Facts: the fingerprint of the training cases that the rule looks at."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from convivo.arrays.preparation import Preparation, prepare
from convivo.data.classes import totals
from convivo.data.inspection import Inspection
from convivo.data.numbered_maps import TOLD, numbering
from convivo.data.sample import Case, Events, Sample
from convivo.data.survey import decoded_bytes
from convivo.data.symmetry import coarse_grid, flips_of
from convivo.verbs.fingerprint import Facts

Item = TypeVar("Item")
LOOKED_AT = 240  # training cases read for the flips and the grey values; evenly spread
LOOKED_BYTES, LEAST = 2 * 2**30, 16  # of them, decoded; and cases that are read however large
THINNED, THINNED_AXIS = (
    2**22,
    64,
)  # values past which an image is thinned, and what of an axis stays


def facts_of(inspection: Inspection, train: Sequence[str]) -> Facts:
    """The fingerprint of the training cases `train` (ids); of others only the channels' names."""
    wanted = frozenset(train)
    cases = [case for case in inspection.cases if case.id in wanted]
    shapes = np.array([_canonical(case, _header(case).shape) for case in cases])
    spacings = [_canonical(case, s) for case in cases if (s := _header(case).spacing) is not None]
    first = _header(cases[0])
    names = common_channels(
        inspection.cases
    )  # of headers only: a lead some test case lacks is no use
    spatial_dims = inspection.index.spatial_dims
    flips, seen = _looked_at(inspection, affordable(cases, LOOKED_AT))
    counts = _counts(inspection, cases, seen)
    return Facts(
        task=inspection.index.task,
        spatial_dims=spatial_dims,
        channels=len(names) or _usual([_header(c).channels for c in cases]),
        num_classes=max(1, len(inspection.index.classes)),
        events=inspection.index.events,
        counts=counts,
        shape_min=_whole(shapes.min(0)),
        shape=_whole(np.median(shapes, axis=0)),
        shape_max=_whole(shapes.max(0)),
        spacing=tuple(float(s) for s in np.median(spacings, axis=0)) if spacings else None,
        spacing_unit=first.spacing_unit,
        dtype=first.dtype,
        items=sum(counts) if inspection.index.events else len(cases),
        exclusive=not inspection.index.extra.get("multi_label"),
        instances=TOLD.get(numbering(inspection.index) or "", ""),
        flips=flips,
        channel_names=names,
        oriented=first.affine is not None,
    )


def spread(cases: Sequence[Case], count: int) -> list[Case]:
    """At most `count` cases, evenly spread."""
    return spread_ids(cases, count)


def spread_ids(names: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of anything in order, evenly spread."""
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[place] for place in places]


def affordable(cases: Sequence[Case], count: int) -> list[Case]:
    """At most `count` cases, evenly spread, and no more than can be read in a while."""
    size = sum(decoded_bytes(_header(case)) for case in cases) / max(1, len(cases))
    return spread(cases, min(count, max(LEAST, int(LOOKED_BYTES / max(1, size)))))


def grey_statistics(
    samples: Callable[[], Iterable[Sample]], preparation: Preparation
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, of values brought to 0..1 by their type.

    Args:
        samples: gives them one by one, and will be asked twice: no two need be in memory.
    """
    identity = {"normalization": "fixed", "mean": (0.0,), "std": (1.0,), "size": None}
    plain = Preparation.from_dict(preparation.to_dict() | identity)

    def flat() -> Iterator[np.ndarray]:
        for s in samples():
            row = prepare(s.image, plain, affine=s.affine, spacing=s.spacing)[0]
            yield row.reshape(row.shape[0], -1).astype(np.float64)

    sums = [(row.shape[1], row.sum(1)) for row in flat()]
    count = sum(size for size, _ in sums)
    mean = np.sum([total for _, total in sums], axis=0) / count
    squares = [((row - mean[:, None]) ** 2).sum(1) for row in flat()]
    variance = np.sum(squares, axis=0) / count
    return [float(m) for m in mean], [float(max(s, 1e-6)) for s in np.sqrt(variance)]


def common_channels(cases: Sequence[Case]) -> tuple[str, ...]:
    """Names (leads) that every case has, in the order of the first; () where they have none."""
    shared = list(_header(cases[0]).channel_names)
    for case in cases[1:]:
        names = set(_header(case).channel_names)
        shared = [name for name in shared if name in names]
    return tuple(shared)


def _looked_at(
    inspection: Inspection, cases: Sequence[Case]
) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """The axes that may be flipped, and the labels of the moments of each case, if it has any.

    Cases are read one by one; of each only a coarse picture is kept.
    """
    spatial_dims = inspection.index.spatial_dims
    preparation, channels = None, 0
    grids, units, labels = [], [], []
    for case in cases:
        sample = inspection.load(case)
        if isinstance(sample.target, Events):
            labels.append(sample.target.labels)
        if preparation is None:
            channels = sample.image.shape[0]
            turned = "RAS" if sample.affine is not None else None
            preparation = Preparation(
                spatial_dims=spatial_dims, channels=channels, orientation=turned
            )
        if spatial_dims > 1 and sample.image.shape[0] == channels:
            image, _ = prepare(_thinned(sample.image), preparation, affine=sample.affine)
            grids.append(coarse_grid(image))
            units.append(sample.unit)
    return flips_of(grids, units, spatial_dims), labels


def _thinned(image: np.ndarray) -> np.ndarray:
    """Every so-maniest sample of a large image: more than enough to see what is up."""
    if image.size <= THINNED:
        return image
    steps = (max(1, n // THINNED_AXIS) for n in image.shape[1:])
    return image[(slice(None), *(slice(None, None, step) for step in steps))]


def _counts(
    inspection: Inspection, cases: Sequence[Case], moments: Sequence[np.ndarray]
) -> tuple[int, ...]:
    number = len(inspection.index.classes)
    if inspection.index.events:
        labels = np.concatenate([np.empty(0, int), *moments])
    elif inspection.index.extra.get("multi_label"):
        return tuple(totals(cases, inspection.case_counts, number))
    elif inspection.index.task != "classify":
        return (0,) * number
    else:
        labels = np.array([c.target for c in cases if c.target is not None])
    return tuple(int(n) for n in np.bincount(labels[labels >= 0], minlength=number))


def _header(case: Case):
    if case.header is None:
        raise TypeError("an inspected case has its header")
    return case.header


def _canonical(case: Case, values: Sequence[float]) -> list[float]:
    """Per-axis values in right-anterior-superior order, where the case says which axis is which."""
    axes = _header(case).axes
    order = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    if _header(case).affine is None or not set(axes) <= set(order):
        return list(values)
    return [value for _, value in sorted(zip((order[a] for a in axes), values, strict=True))]


def _usual(values: list[int]) -> int:
    return max(set(values), key=values.count)


def _whole(values: np.ndarray) -> tuple[int, ...]:
    return tuple(round(float(v)) for v in values)
