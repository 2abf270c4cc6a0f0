"""Inspection + split -> Facts: the fingerprint of the training cases that the rule looks at."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from convivo.arrays.preparation import Preparation, prepare
from convivo.data.classes import totals
from convivo.data.inspection import Inspection
from convivo.data.sample import Case, Events, Sample
from convivo.data.symmetry import natural_flips
from convivo.verbs.choose import Facts

Item = TypeVar("Item")
LOOKED_AT = 240  # training cases read for the flips and the grey values; evenly spread


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
    some = [inspection.load(case) for case in spread(cases, LOOKED_AT)]
    counts = _counts(inspection, cases, some)
    spatial_dims = inspection.index.spatial_dims
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
        flips=_flips(some, spatial_dims),
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


def grey_statistics(
    samples: Sequence[Sample], preparation: Preparation
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, of values brought to 0..1 by their type."""
    identity = {"normalization": "fixed", "mean": (0.0,), "std": (1.0,), "size": None}
    plain = Preparation.from_dict(preparation.to_dict() | identity)
    rows = [prepare(s.image, plain, affine=s.affine, spacing=s.spacing)[0] for s in samples]
    flat = [row.reshape(row.shape[0], -1).astype(np.float64) for row in rows]
    count = sum(row.shape[1] for row in flat)
    mean = np.sum([row.sum(1) for row in flat], axis=0) / count
    variance = np.sum([((row - mean[:, None]) ** 2).sum(1) for row in flat], axis=0) / count
    return [float(m) for m in mean], [float(max(s, 1e-6)) for s in np.sqrt(variance)]


def common_channels(cases: Sequence[Case]) -> tuple[str, ...]:
    """Names (leads) that every case has, in the order of the first; () where they have none."""
    shared = list(_header(cases[0]).channel_names)
    for case in cases[1:]:
        names = set(_header(case).channel_names)
        shared = [name for name in shared if name in names]
    return tuple(shared)


def _flips(samples: Sequence[Sample], spatial_dims: int) -> tuple[int, ...]:
    if spatial_dims == 1:
        return ()
    preparation = Preparation(
        spatial_dims=spatial_dims,
        channels=samples[0].image.shape[0],
        orientation="RAS" if samples[0].affine is not None else None,
    )
    alike = [s for s in samples if s.image.shape[0] == preparation.channels]
    images = [prepare(s.image, preparation, affine=s.affine)[0] for s in alike]
    return natural_flips(images, [s.unit for s in alike], spatial_dims)


def _counts(
    inspection: Inspection, cases: Sequence[Case], some: Sequence[Sample]
) -> tuple[int, ...]:
    number = len(inspection.index.classes)
    if inspection.index.events:
        targets = [s.target for s in some if isinstance(s.target, Events)]
        labels = np.concatenate([t.labels for t in targets])
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
