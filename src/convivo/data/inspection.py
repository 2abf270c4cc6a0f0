"""Looks at a folder or file as it is: path -> Inspection. Trains nothing, changes nothing.

Every later step starts from the value made here: what the cases are, which belong together,
which classes there are, and what is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from convivo.data import leaks
from convivo.data.audit import NO_AUDIT, Audit, audit
from convivo.data.classes import Counts, case_counts, class_rows, completed, pixel_counts
from convivo.data.findings import (
    class_findings,
    dimension_findings,
    header_findings,
    map_findings,
    pixel_findings,
)
from convivo.data.labels import positive_class, rename
from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.data.numbered_maps import numbering
from convivo.data.objects_found import after_maps, before_maps, object_sizes, summary
from convivo.data.problems import DAMAGED, LEFT_OUT, left_out, of_many
from convivo.data.purpose import (
    TASKS,
    WITHOUT_LABELS,
    for_task,
    is_judged_by_class,
    target_findings,
    target_row,
)
from convivo.data.sample import Case, Header, Index, Problem, Sample
from convivo.data.stacks import is_stack, numbered
from convivo.data.statistics import Statistics, statistics_of
from convivo.data.survey import Pixels, Progress, read_headers, read_maps, read_pixels
from convivo.data.units import Unit, Units, find_units, sections
from convivo.data.unlabelled import no_labels, opened, require_labels
from convivo.errors import ReadError, UsageError

NOTES: Mapping[Unit, str | None] = {
    "subject": None,
    "case": "Subjects are unknown: cases of one person may be on both sides of a split, "
    "and intervals may be too narrow.",
    "section": "All cases come from one subject: intervals speak of this subject only "
    "and may be too narrow.",
}
"""What must be said where the unit is not the subject."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A data set as it was found.

    index: as the layout found it, classes and label values completed. cases: the usable ones,
    headers filled. units: case id -> what a split keeps together; unit: of which kind they are.
    class_counts: rows of name, count (cases, or beats) and, for segmentation, pixels.
    case_counts: case id -> what it adds to each class's count. pixel_counts: case id -> positions
    per class of its label map. excluded: ids left out, the reasons are among the problems.
    sampled: how many images were read where not all were, else None.
    audit: the hunt for images that are there twice. labelled: False where the cases have no labels
    and are for prediction only. object_sizes: case id -> positions of each object of its label map,
    where maps number objects.
    """

    index: Index
    cases: tuple[Case, ...]
    units: Mapping[str, str]
    unit: Unit
    unit_source: str
    subject_known: bool
    positive_class: str | None
    statistics: Statistics
    class_counts: tuple[dict, ...]
    problems: tuple[Problem, ...]
    case_counts: Mapping[str, tuple[int, ...]]
    pixel_counts: Mapping[str, tuple[int, ...]]
    unlabelled: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    sampled: int | None = None
    audit: Audit = NO_AUDIT
    labelled: bool = True
    object_sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def has_errors(self) -> bool:
        """Whether a problem is an error, so that `train` would refuse."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def units_note(self) -> str | None:
        """What must be said of intervals, where the unit is not the subject."""
        return NOTES[self.unit]

    def require_labels(self) -> None:
        """Refuse what needs labels. Raises ReadError: the data hold none."""
        require_labels(self.labelled, self.index, len(self.cases))

    def load(self, case: Case) -> Sample:
        """Read one case, `unit` set. Raises what `loading.load` raises."""
        return replace(load(case, self.index), unit=self.units.get(case.id, case.id))

    def document(self) -> dict:
        """The JSON document of `convivo inspect`."""
        return {
            "schema": 1,
            "path": str(self.index.root),
            "layout": self.index.layout,
            "task": self.index.task if self.labelled else None,
            "spatial_dims": self.index.spatial_dims,
            "cases": len(self.cases),
            "unit": self.unit,
            "units": len(set(self.units.values())),
            "unit_source": self.unit_source,
            "units_note": self.units_note,
            **self.statistics.document(),
            "classes": [dict(row) for row in self.class_counts],
            "positive_class": self.positive_class,
            "target": target_row(self.index, self.cases),
            "instances": summary(self.index, self.object_sizes, list(self.units)),
            "problems": [_row(problem) for problem in self.problems],
            "excluded": list(self.excluded),
            "unlabelled": len(self.unlabelled) if self.labelled else len(self.cases),
            "sampled": self.sampled,
            "audit": self.audit.document(),
        }


def _row(problem: Problem) -> dict[str, str]:
    names = ("severity", "code", "path", "message", "remedy")
    return {name: getattr(problem, name) for name in names}


def inspect_data(
    path: str | Path,
    *,
    task: str | None = None,
    layout: str | None = None,
    subject: str | None = None,
    labels: str | None = None,
    positive: str | None = None,
    unlabelled: bool = False,
    instances: bool | None = None,
    compared: int | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Read headers, label maps and as many pixels as is quick, and say what is there.

    Images are all read up to 2,000 cases or 512 MB of pixels; of larger sets 512, spread evenly.
    Cases that cannot be trained on (damaged, off the grid, out of range, not finite) are left out.

    Args:
        path: folder or file, in any known layout.
        task: what the labels are for ("classify", "regress", ...), see `data.purpose`.
        layout: instead of the detected one.
        subject: regular expression on the ids: its first group, else its match, is the subject.
        labels: new class names, "0=membrane,255=cell". positive: which of two classes counts.
        instances: whether label maps number objects that are told apart; None where the data say
            so (see `objects_found`).
        unlabelled: look at data without any label too; they are an error otherwise.
        compared: images among which near duplicates are looked for at most; 0 for equal ones only.
        progress: called with what is done, how many are done and how many there are.
    Raises:
        ReadError: nothing there, no known layout, no case that can be read, or none with a label.
        UsageError: an option that does not fit the data. ConfigError: so of `instances`.
    """
    index = detect(Path(path), layout)
    labelled = bool(index.cases) or not index.unlabelled or task in WITHOUT_LABELS
    require_labels(labelled or unlabelled, index, len(index.unlabelled))
    index = before_maps(_as_asked(index, task, labelled), instances)
    _require_some(index, index.cases, index.problems)
    cases, problems = read_headers(index.cases, progress)
    _require_some(index, cases, problems)
    by_file = numbering(index) == "files"
    maps = read_maps(cases, progress, numbered=by_file) if index.task == "segment" else {}
    problems += [labels.problem for labels in maps.values() if labels.problem]
    index, many = completed(after_maps(index, maps, instances), maps)
    index = rename(index, labels)
    stackable = index.spatial_dims == 2 and numbered(cases)
    pixels = read_pixels(cases, thumbnails=stackable, fingerprints=compared != 0, progress=progress)
    problems += [*many, *dimension_findings(index, cases), *map_findings(index, cases, maps)]
    problems += pixel_findings(cases, pixels)
    areas = pixel_counts(index, maps)
    counts, unread = case_counts(index, cases, areas)
    problems = _graded(index, [*index.problems, *problems, *unread])
    gone = left_out(problems)
    usable = [case for case in cases if case.id not in gone]
    if labelled and not index.classes:  # not one label map could be read
        _require_some(index, usable, problems)
    of_usable = _units if labelled else _units_as_found
    units, leaking, audited = of_usable(index, usable, pixels, subject, compared, progress)
    problems += [*header_findings(usable), *target_findings(index, usable), *leaking]
    if not labelled:
        problems.append(no_labels(len(usable)))
    elif is_judged_by_class(index.task):
        problems += class_findings(index, usable, counts)
    return _inspection(
        index, usable, cases, units=units, problems=problems, counts=counts, areas=areas,
        positive=positive, sampled=None if len(pixels) == len(cases) else len(pixels),
        audited=audited, labelled=labelled, sizes=object_sizes(index, maps),
    )  # fmt: skip


def _as_asked(index: Index, task: str | None, labelled: bool) -> Index:
    if labelled or (task is not None and task not in TASKS):
        return for_task(index, task)
    if task is None:
        return opened(index)
    remedy = "Leave --task out, or add label maps (segment) or class folders (classify)"
    rule, got = f"the data have labels to {task}", f"no labels ({index.layout})"
    raise UsageError("--task", rule, got, remedy)


def _require_some(index: Index, cases: Sequence[Case], problems: Sequence[Problem]) -> None:
    if cases:
        return
    problems = [p for p in problems if p.code in LEFT_OUT or p.code.startswith("missing")]
    if problems:
        first = problems[0]
        got = f"{first.path}: {first.message}"
        if len(problems) > 1:
            got += f" (and {len(problems) - 1} more problems)"
        raise ReadError(index.root, "at least one case can be read", got, first.remedy)
    require_labels(False, index, 0)


def _graded(index: Index, problems: Sequence[Problem]) -> list[Problem]:
    """The problems, without what only follows from a damaged file, graded by how many there are."""
    damaged = {p.path for p in problems if p.code in DAMAGED}
    problems = [p for p in problems if p.code != "shape-mismatch" or p.path not in damaged]
    listed = {case.id for case in index.cases}
    unlisted = {p.path for p in index.problems if p.code in DAMAGED}
    return list(of_many(problems, len(listed | unlisted)))


def _units_as_found(
    index: Index,
    cases: Sequence[Case],
    pixels: Mapping[str, Pixels],
    subject: str | None,
    most: int | None,
    progress: Progress | None,
) -> tuple[Units, list[Problem], Audit]:
    """The same without what matters to a split only: for cases that nothing is learnt from."""
    found = find_units(index, cases, subject)
    audited = audit(cases, pixels, spatial_dims=index.spatial_dims, most=most, progress=progress)
    return found, leaks.duplicates(audited.links, cases, found, index.spatial_dims), audited


def _units(
    index: Index,
    cases: Sequence[Case],
    pixels: Mapping[str, Pixels],
    subject: str | None,
    most: int | None,
    progress: Progress | None,
) -> tuple[Units, list[Problem], Audit]:
    """The units, cases that show the same in one, what speaks against them, and the audit."""
    found = find_units(index, cases, subject)
    if found.unit == "subject" and found.count == 1:
        name = next(iter(found.of.values()))
        found = sections(found.of, f"{name}, by {found.source}")
    elif found.unit == "case" and _one_stack(index, cases, pixels):
        found = sections(found.of, "file names numbered through, neighbours alike: one stack")
    audited = audit(
        cases, pixels, spatial_dims=index.spatial_dims, stacked=found.unit == "section", most=most,
        progress=progress,
    )  # fmt: skip
    by_id = {case.id: case for case in cases}
    together = [
        (by_id[link.first], by_id[link.second]) for link in audited.links if link.kind == "equal"
    ]
    problems = [
        *leaks.duplicates(audited.links, cases, found, index.spatial_dims),
        *leaks.shared_subjects(cases, found),
        *leaks.unknown_subjects(found),
    ]
    return leaks.joined(found, together), problems, audited


def _one_stack(index: Index, cases: Sequence[Case], pixels: Mapping[str, Pixels]) -> bool:
    if index.spatial_dims != 2 or not numbered(cases):
        return False
    return is_stack(cases, {case_id: seen.thumbnail for case_id, seen in pixels.items()})


def _inspection(
    index: Index,
    usable: Sequence[Case],
    readable: Sequence[Case],
    *,
    units: Units,
    problems: Sequence[Problem],
    counts: Counts,
    areas: Counts,
    positive: str | None,
    sampled: int | None,
    audited: Audit,
    labelled: bool,
    sizes: Mapping[str, tuple[int, ...]],
) -> Inspection:
    kept = {case.id for case in usable}
    gone = {p.path for p in problems if p.path and p.code != "missing-image"} - kept
    headers: list[Header] = [c.header for c in usable or readable if c.header is not None]
    # of two that occur together neither is the other's absence
    exclusive = () if index.extra.get("multi_label") else index.classes
    return Inspection(
        index=index,
        cases=tuple(usable),
        units=units.of,
        unit=units.unit,
        unit_source=units.source,
        subject_known=units.unit == "subject",
        positive_class=positive_class(exclusive, positive),
        statistics=statistics_of(headers),
        class_counts=class_rows(index, usable, counts, areas),
        problems=tuple(sorted(problems, key=lambda p: p.severity)),
        case_counts={i: row for i, row in counts.items() if i in kept},
        pixel_counts={i: row for i, row in areas.items() if i in kept},
        unlabelled=index.unlabelled,
        excluded=tuple(sorted(gone)),
        sampled=sampled,
        audit=audited,
        labelled=labelled,
        object_sizes={i: row for i, row in sizes.items() if i in kept},
    )
