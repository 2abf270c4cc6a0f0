"""`convivo inspect`: path -> what is there, for people (`text`) and programs (`document`)."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from convivo.data.inspection import Inspection, inspect_data
from convivo.data.numbered_maps import TOLD
from convivo.data.objects_found import summary
from convivo.data.purpose import target_row
from convivo.data.sample import Problem
from convivo.progress import Progress

if TYPE_CHECKING:
    from convivo.verbs.mend import Fixed

SHOWN = 10  # problems of one code; the JSON lists them all
WIDTH = 100
TASKS = {
    "classify": "classification",
    "regress": "regression",
    "segment": "segmentation",
    "reconstruct": "reconstruction",
    "generate": "generation",
}
FORMS = {1: "signals (1D)", 2: "images (2D)", 3: "volumes (3D)"}


@dataclass(frozen=True, kw_only=True)
class Inspected(Inspection):
    """An inspection that can also be read: `text()` is what the command prints.

    fixed: what was written to a cleaned copy, where one was asked for.
    """

    fixed: "Fixed | None" = None

    def document(self) -> dict:
        """The JSON document of `convivo inspect`."""
        found = super().document()
        return found if self.fixed is None else found | {"fixed": self.fixed.document()}

    def text(self) -> str:
        """What it is, its classes, units, sizes and problems, and what to do next."""
        console = Console(file=io.StringIO(), width=WIDTH, highlight=False, markup=False)
        console.print(_facts(self))
        if self.labelled and self.index.classes:
            console.print(_classes(self))
        for line in _problems(self):
            console.print(Text(line), soft_wrap=True)
        if self.fixed:
            console.print(Text(self.fixed.text()), soft_wrap=True)
        console.print(Text(_next(self)), soft_wrap=True)
        assert isinstance(console.file, io.StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def inspect(
    path: str | Path,
    *,
    task: str | None = None,
    layout: str | None = None,
    subject: str | None = None,
    labels: str | None = None,
    positive: str | None = None,
    fix: str | Path | None = None,
    quiet: bool = False,
) -> Inspected:
    """Look at a folder or file as it is; see `convivo.data.inspection.inspect_data`.

    Args:
        path: folder or file, in any known layout.
        task: "classify", "regress", "segment", "reconstruct" or "generate".
        layout: instead of the detected one.
        subject: regular expression on the ids: its first group, else its match, is the subject.
        labels: new class names, "0=membrane,255=cell". positive: which of two classes counts.
        fix: write a cleaned copy to this new folder; see `convivo.verbs.mend.fix`.
        quiet: no progress on stderr.
    Raises:
        ReadError: nothing there, no known layout, nothing that can be read.
        UsageError: an option that does not fit the data.
    """
    bars: dict[str, Progress] = {}

    def show(what: str, done: int, total: int) -> None:
        bar = bars.setdefault(what, Progress(what, total, unit="cases", quiet=quiet))
        bar.update(done)
        if done == total:
            bar.close()

    found = inspect_data(
        path, task=task, layout=layout, subject=subject, labels=labels, positive=positive,
        unlabelled=True, progress=show,
    )  # fmt: skip
    facts = {field.name: getattr(found, field.name) for field in fields(found)}
    return Inspected(**facts, fixed=None if fix is None else _fixed(found, fix, quiet))


def _fixed(found: Inspection, out: str | Path, quiet: bool) -> "Fixed":
    from convivo.verbs.mend import fix  # what it needs takes a second to import

    return fix(found, out, quiet=quiet)


def _facts(found: Inspection) -> Table:
    index, stats = found.index, found.statistics
    table = Table.grid(padding=(0, 2))
    units = len(set(found.units.values()))
    rows = {
        "data": f"{index.root}",
        "kind": f"{FORMS[index.spatial_dims]}, {_task(found)}, layout {index.layout}",
        "cases": _cases(found),
        "units": f"{units:,} {found.unit}{'s' * (units != 1)}{_source(found)}",
        "note": found.units_note,
        "channels": f"{stats.channels}, {stats.dtype}",
        "shape": _shape(found),
        "spacing": _spacing(found),
        "numbers": _numbers(found),
        "objects": _objects(found),
        "positive class": found.positive_class,
        "duplicates": _audit(found),
        "sampled": f"the pixels of {found.sampled} cases were read" if found.sampled else None,
    }
    for name, value in rows.items():
        if value:
            table.add_row(Text(name), Text(value))
    return table


def _task(found: Inspection) -> str:
    return TASKS[found.index.task] if found.labelled else "no labels"


def _audit(found: Inspection) -> str | None:
    audit = found.audit
    if not audit.audited:
        return None
    return f"{len(audit.links):,} pairs among {audit.audited:,} of {audit.of:,} cases compared"


def _source(found: Inspection) -> str:
    return "" if found.unit_source == "none" else f", found by: {found.unit_source}"


def _cases(found: Inspection) -> str:
    text = f"{len(found.cases):,} usable"
    if found.excluded:
        text += f", {len(found.excluded):,} left out"
    if found.unlabelled:
        text += f", {len(found.unlabelled):,} without labels, for prediction"
    return text


def _shape(found: Inspection) -> str:
    stats = found.statistics
    least, usual, most = (
        " x ".join(map(str, shape))
        for shape in (stats.shape_min, stats.shape_median, stats.shape_max)
    )
    return usual if least == most else f"{usual} (median), {least} to {most}"


def _numbers(found: Inspection) -> str | None:
    row = target_row(found.index, found.cases)
    if row is None:
        return None
    return f"{row['median']:.6g} (median), {row['min']:.6g} to {row['max']:.6g}"


def _objects(found: Inspection) -> str | None:
    row = summary(found.index, found.object_sizes, list(found.units))
    if row is None:
        return None
    told = TOLD[row["from"]]
    if row["median_size"] is None:
        return told
    return f"{row['count']:,}, of {row['median_size']:,.0f} samples (median): {told}"


def _spacing(found: Inspection) -> str | None:
    stats = found.statistics
    if stats.spacing is None:
        return None
    if stats.spacing_unit == "s" and len(stats.spacing) == 1:
        return f"{1 / stats.spacing[0]:.6g} Hz"
    return " x ".join(f"{s:.4g}" for s in stats.spacing) + f" {stats.spacing_unit} (median)"


def _classes(found: Inspection) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="")
    counted = "beats" if found.index.events else "cases"
    keys = {"count": counted} | ({"pixels": "pixels"} if found.index.task == "segment" else {})
    table.add_column("class")
    for title in keys.values():
        table.add_column(title, justify="right")
        table.add_column("", justify="right")
    totals = {key: sum(row[key] for row in found.class_counts) for key in keys}
    # One case of a segmentation holds several classes: shares of cases would say nothing.
    shared = {"pixels"} if "pixels" in keys else {"count"}
    for row in found.class_counts:
        cells = [Text(row["name"])]
        for key, total in totals.items():
            share = f"{100 * row[key] / total:.1f} %" if total and key in shared else ""
            cells += [Text(f"{row[key]:,}"), Text(share)]
        table.add_row(*cells)
    return table


def _problems(found: Inspection) -> Iterator[str]:
    """The problems by severity and code, at most ten of each."""
    if not found.problems:
        yield "\nno problems found"
        return
    ordered = sorted(found.problems, key=lambda p: (p.severity, p.code))
    for (severity, code), group in groupby(ordered, key=lambda p: (p.severity, p.code)):
        several = list(group)
        number = f" ({len(several):,})" if len(several) > 1 else ""
        yield f"\n{severity}: {code}{number}"
        for problem in several[:SHOWN]:
            yield f"  {_line(problem)}"
        if len(several) > SHOWN:
            yield f"  ... and {len(several) - SHOWN:,} more (all of them: --json)"
        for remedy in dict.fromkeys(problem.remedy for problem in several[:SHOWN]):
            yield f"  -> {remedy}"


def _line(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message


def _next(found: Inspection) -> str:
    if isinstance(found, Inspected) and found.fixed:
        return f"\nnext: convivo inspect {found.fixed.out}"
    if found.has_errors:
        codes = sorted({p.code for p in found.problems if p.severity == "error"})
        waive = " ".join(f"--accept {code}" for code in codes)
        return f"\nnext: mend the errors, or waive them and train on what is left: {waive}"
    if not found.labelled:
        return f"\nnext: convivo predict RUN {found.index.root} --out DIR"
    return f"\nnext: convivo train {found.index.root} --out RUN"
