"""Cases without labels that a network may learn to rebuild: Inspection -> Beside.

What is held out stays unseen, whoever has labelled it: no unit of a case that does not train, and
no image that shows the same as one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from convivo.data.audit import audit
from convivo.data.inspection import Inspection
from convivo.data.layouts.nnunet import channel_files
from convivo.data.sample import Case, Sample
from convivo.data.survey import read_headers, read_pixels
from convivo.data.units import find_units
from convivo.data.unlabelled import opened
from convivo.errors import ReadError, UsageError

UNREADABLE = "cannot be read or hold values that are not finite"
FORM = "are of another form than the labelled ones"
MOMENTS = "are records without the moments that windows are cut around"
HELD_OUT = "share a unit with, or show the same as, a case that is held out"
UNKNOWN = "may be of a subject, or of a part of one, that is held out"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """cases: those to learn from, headers filled. left_out: why -> how many others."""

    cases: tuple[Case, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def unlabelled_beside(
    inspection: Inspection,
    train: Collection[str],
    *,
    subject: str | None = None,
    names: Sequence[str] = (),
    compared: int | None = None,
) -> Beside:
    """The unlabelled cases of a data set that may be learnt from beside its training part.

    They are what the layout keeps for prediction (imagesTs and so on), and images whose label is
    missing. Where subjects are known, only cases of a known subject none of whose labelled cases
    is held out; of a stack of one subject none. Images are compared as `inspect` does it.

    Args:
        train: ids that train; every other case of the inspection is held out.
        subject: as in `inspect_data`. names: channels that every case must have.
        compared: images among which near duplicates are looked for at most.
    """
    known = {path for case in inspection.cases for path in case.image}
    found = [case for case in _candidates(inspection) if known.isdisjoint(case.image)]
    if not found or inspection.index.events:
        return Beside(left_out=_counted({MOMENTS: len(found)}))
    ready, _ = read_headers(found)
    alike = [case for case in ready if _is_alike(case, inspection, names)]
    apart, unknown = _of_others(inspection, train, alike, subject)
    held = [case for case in inspection.cases if case.id not in train]
    pixels = read_pixels([*held, *apart])
    sound = [c for c in apart if (p := pixels.get(c.id)) is None or not (p.problem or p.not_finite)]
    dims = inspection.index.spatial_dims
    links = audit([*held, *sound], pixels, spatial_dims=dims, most=compared).links
    shown = _linked([(link.first, link.second) for link in links], {case.id for case in held})
    kept = tuple(case for case in sound if case.id not in shown)
    left = {
        UNREADABLE: len(found) - len(ready) + len(apart) - len(sound),
        FORM: len(ready) - len(alike),
        UNKNOWN: unknown,
        HELD_OUT: len(alike) - len(apart) - unknown + len(sound) - len(kept),
    }
    return Beside(cases=kept, left_out=_counted(left))


@dataclass(frozen=True, kw_only=True)
class WithUnlabelled(Inspection):
    """An inspection with cases without labels among its cases, where maps are asked for blank."""

    def load(self, case: Case) -> Sample:
        """Read one case; of one without a label map all is background."""
        sample = super().load(case)
        if self.index.task != "segment" or sample.target is not None:
            return sample
        return replace(sample, target=np.zeros(sample.image.shape[1:], np.uint8))


def with_unlabelled(inspection: Inspection, cases: Sequence[Case]) -> Inspection:
    """The inspection, these cases behind its own; itself without any."""
    if not cases:
        return inspection
    facts = {one.name: getattr(inspection, one.name) for one in fields(Inspection)}
    return WithUnlabelled(**facts | {"cases": (*inspection.cases, *cases)})


def unlabelled_again(inspection: Inspection, ids: Collection[str]) -> tuple[Case, ...]:
    """The cases of these ids, as `unlabelled_beside` has found them before.

    Raises:
        ReadError: one of them is not there any more.
    """
    ready, _ = read_headers([case for case in _candidates(inspection) if case.id in ids])
    found = {case.id: case for case in ready}
    gone = [name for name in ids if name not in found]
    if gone:
        rule, remedy = "the unlabelled cases that the run began with", "Put it back, or train anew"
        raise ReadError(gone[0], rule, "nothing", remedy)
    return tuple(found[name] for name in ids)


def _counted(left_out: Mapping[str, int]) -> dict[str, int]:
    return {why: count for why, count in left_out.items() if count}


def _candidates(inspection: Inspection) -> Iterator[Case]:
    """Every case without a label that the inspection has heard of, once."""
    index = inspection.index
    top = index.root if index.root.is_dir() else index.root.parent
    alone = [top / p.path for p in inspection.problems if p.code == "missing-label" and p.path]
    paths = [*index.unlabelled, *(str(path.absolute()) for path in alone if path.is_file())]
    for case in opened(replace(index, unlabelled=tuple(dict.fromkeys(paths)))).cases:
        if index.layout == "nnunet":
            yield replace(case, image=channel_files(Path(case.image[0])), header=None)
        else:
            yield case


def _is_alike(case: Case, inspection: Inspection, names: Sequence[str]) -> bool:
    """Whether a case has the axes and channels that the training cases have."""
    header = case.header
    assert header is not None, "headers were read"
    if len(header.shape) != inspection.index.spatial_dims:
        return False
    if names and header.channel_names:
        return set(names) <= set(header.channel_names)
    return header.channels == inspection.statistics.channels


def _of_others(
    inspection: Inspection, train: Collection[str], cases: Sequence[Case], subject: str | None
) -> tuple[list[Case], int]:
    """The cases of units that are not held out, and how many are of a unit that is not known."""
    if inspection.unit == "section":
        return [], len(cases)
    try:
        found = find_units(inspection.index, [*inspection.cases, *cases], subject)
    except UsageError:  # the expression fits the labelled ids only
        return [], len(cases)
    if found.unit != "subject":
        return ([], len(cases)) if inspection.unit == "subject" else (list(cases), 0)
    known = [case for case in cases if case.id not in found.unknown]
    held = {found.of[case.id] for case in inspection.cases if case.id not in train}
    apart = [case for case in known if found.of[case.id] not in held]
    return apart, len(cases) - len(known)


def _linked(pairs: Sequence[tuple[str, str]], held: Collection[str]) -> set[str]:
    """Everything that pairs lead to from what is held out."""
    reached, grown = set(held), True
    while grown:
        more = {b for a, b in (*pairs, *((b, a) for a, b in pairs)) if a in reached} - reached
        reached, grown = reached | more, bool(more)
    return reached
