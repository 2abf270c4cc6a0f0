"""The user's own dataset of Samples as an inspection: the same road, without files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.inspection import Inspection
from convivo.data.labels import positive_class
from convivo.data.numbered_maps import KEY, object_map
from convivo.data.problems import problem
from convivo.data.purpose import quantile_rows
from convivo.data.sample import Case, Events, Header, Index, Sample
from convivo.data.statistics import statistics_of
from convivo.errors import ConfigError, DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class SamplesInspection(Inspection):
    """An inspection whose samples come from a sequence instead of from files."""

    samples: Sequence[Sample] = ()

    def load(self, case: Case) -> Sample:
        sample = self.samples[int(case.index or 0)]
        return replace(sample, unit=self.units[case.id])


def inspection_of(
    data: object,
    *,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    instances: bool = False,
) -> SamplesInspection:
    """Look at a sequence (a torch Dataset with `__len__`) of `Sample`s.

    Targets must be class indices, numbers (floats) to predict, label maps of class indices, or
    Events; to reconstruct and to generate, classes or None. Samples without a unit are units of
    their own. `classes` defaults to the values found. With `instances` label maps number objects.

    Raises:
        UsageError: not a sequence of Samples. DataError: no samples, no targets, two of one id.
    """
    free = task in ("reconstruct", "generate")
    samples = _checked(data, targets=not free)
    found = str(task) if free else _task(samples[0])
    if task is not None and task != found:
        raise UsageError("--task", f"the targets are for {found}", repr(task), "Leave it out")
    if free and any(np.ndim(s.target) for s in samples if isinstance(s.target, np.ndarray)):
        rule, remedy = f"to {task}, targets are classes or None", "Leave the label maps out"
        raise UsageError("train", rule, "label maps", remedy)
    if instances:
        samples, classes = _numbered(samples, found), classes or ("background", "1")
    labelled = found != "regress" and samples[0].target is not None
    values = range(0 if not labelled else 2 if instances else _largest(samples) + 1)
    names = tuple(classes or (str(value) for value in values))
    cases = tuple(_case(place, sample, found) for place, sample in enumerate(samples))
    known = all(sample.unit for sample in samples)
    counts = {
        case.id: _counts(sample, len(names))
        for case, sample in zip(cases, samples, strict=True) if labelled
    }  # fmt: skip
    totals = np.sum(list(counts.values()), axis=0) if labelled else []
    if found == "regress":
        counts = quantile_rows(cases)
    missing = "no sample says which subject it is from"
    problems = () if known else (problem("subjects-unknown", "", missing, "Set Sample.unit"),)
    index = Index(
        layout="array", root=Path("samples"), task=found, cases=cases, classes=names,
        spatial_dims=samples[0].image.ndim - 1, label_values=tuple(range(len(names))),
        events=isinstance(samples[0].target, Events), extra={KEY: "values"} if instances else {},
    )  # fmt: skip
    return SamplesInspection(
        index=index,
        cases=cases,
        units={sample.id: sample.unit or sample.id for sample in samples},
        unit="subject" if known else "case",
        unit_source="Sample.unit" if known else "none",
        subject_known=known,
        positive_class=positive_class(names, None),
        statistics=statistics_of([case.header for case in cases if case.header is not None]),
        class_counts=tuple(
            {"name": n, "count": int(c)} for n, c in zip(names, totals, strict=True)
        ),
        problems=problems,
        case_counts=counts,
        pixel_counts={},
        samples=samples,
    )


def _checked(data: Any, *, targets: bool) -> list[Sample]:
    try:
        samples = [data[place] for place in range(len(data))]
    except TypeError:
        rule = "data must be a path, an inspection or a sequence of Samples"
        raise UsageError("train", rule, type(data).__name__, "Give a folder") from None
    if not samples or not all(isinstance(sample, Sample) for sample in samples):
        kinds = sorted({type(sample).__name__ for sample in samples}) or ["nothing"]
        rule, remedy = "data must hold Samples", "Return convivo.data.sample.Sample from it"
        raise UsageError("train", rule, ", ".join(kinds), remedy)
    names = [sample.id for sample in samples]
    missing = targets and any(sample.target is None for sample in samples)
    if len(set(names)) < len(names) or missing:
        rule = "every sample needs an id of its own and a target"
        raise DataError(
            "train", rule, "a repeated id or a missing target", "Set Sample.id, Sample.target"
        )
    return samples


def _numbered(samples: Sequence[Sample], task: str) -> list[Sample]:
    """The samples with objects numbered 1, 2, ... in each.

    Raises:
        ConfigError: their targets are no label maps.
    """
    if task != "segment":
        raise ConfigError("task.instances", "a setting to segment", f"to {task}", "Leave it out")
    return [replace(s, target=object_map(np.asarray(s.target), "values", s.id)) for s in samples]


def _task(sample: Sample) -> str:
    plain = np.asarray(sample.target)  # of Events an object
    if plain.dtype.kind == "f" and plain.ndim == 0:
        return "regress"
    mapped = isinstance(sample.target, np.ndarray) and sample.target.ndim == sample.image.ndim - 1
    return "segment" if mapped else "classify"


def _largest(samples: Sequence[Sample]) -> int:
    return max(
        int(np.max(s.target.labels if isinstance(s.target, Events) else s.target, initial=0))
        for s in samples
        if s.target is not None
    )


def _case(place: int, sample: Sample, task: str) -> Case:
    header = Header(
        shape=sample.image.shape[1:], channels=sample.image.shape[0], dtype=str(sample.image.dtype),
        axes=sample.axes, spacing=sample.spacing, spacing_unit=sample.spacing_unit,
        affine=sample.affine, channel_names=sample.channel_names, subject=sample.unit or None,
    )  # fmt: skip
    whole = task != "segment" and not isinstance(sample.target, Events)
    kind = float if task == "regress" else int
    target = kind(np.asarray(sample.target)) if whole and sample.target is not None else None
    return Case(id=sample.id, image=(), index=place, target=target, header=header)


def _counts(sample: Sample, number: int) -> tuple[int, ...]:
    if isinstance(sample.target, Events):
        labels = sample.target.labels[sample.target.labels >= 0]
    elif isinstance(sample.target, np.ndarray) and sample.target.ndim:
        labels = np.unique(np.minimum(sample.target, number - 1))
    else:
        labels = np.array([int(np.asarray(sample.target))])
    return tuple(int(n) for n in np.bincount(labels.astype(np.int64), minlength=number))
