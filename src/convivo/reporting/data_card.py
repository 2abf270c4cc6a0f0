"""The data part of the page: what was found in the folder, and how it was divided."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from convivo.reporting.content import Report
from convivo.reporting.formatting import (
    MISSING,
    at,
    count,
    mapping,
    percent,
    real,
    sentence,
    sequence,
    sizes,
    span,
)

SHOWN_PROBLEMS = 8
SHOWN_CLASSES = 40
TASKS = {
    "classify": "classification",
    "segment": "segmentation",
    "regress": "regression",
    "reconstruct": "reconstruction",
    "generate": "generation",
}
PARTS = (("train", "training"), ("val", "validation"), ("test", "test"))


def facts(report: Report) -> list[tuple[str, str]]:
    """Name and text of what is known about the data as a whole."""
    data = report.inspection
    unit = str(at(data, "unit") or "unit")
    source = at(data, "unit_source")
    units = count(at(data, "units"), unit)
    rows = [
        ("Task", TASKS.get(str(at(data, "task")), at(data, "task"))),
        ("Layout", at(data, "layout")),
        ("Cases", count(at(data, "cases"))),
        ("Units", f"{units}, known from: {source}" if source not in (None, "none") else units),
        ("Channels", at(data, "channels")),
        ("Shape", shape_text(at(data, "shape"))),
        ("Spacing", spacing_text(at(data, "spacing"))),
        ("Stored as", at(data, "dtype")),
        ("Positive class", at(data, "positive_class")),
        ("Duplicates", audit_text(at(data, "audit"))),
    ]
    return [(name, str(text)) for name, text in rows if text not in (None, "", MISSING)]


def audit_text(audit: object) -> str:
    """What the hunt for duplicates looked at, found and did."""
    audited, of = (real(at(audit, key)) for key in ("audited", "of"))
    if not audited or not of:
        return ""
    whole = "all" if audited == of else f"{audited:,.0f} of"
    text = f"{whole} {of:,.0f} cases compared with each other, "
    text += "seen through recoding, mirroring, turning, small shifts, size and brightness: "
    words = {"equal": "of equal values", "near": "near", "overlap": "overlapping in time"}
    pairs = at(audit, "pairs")
    found = [f"{n:,.0f} {word}" for kind, word in words.items() if (n := real(at(pairs, kind)))]
    if not found:
        return text + "no pair found"
    told = "no split of ours parts a pair; a split that was given is left as it is"
    return text + f"pairs found: {', '.join(found)}; {told}"


def shape_text(shape: object) -> str:
    """The median shape, and the range where shapes differ."""
    low, median, high = (sizes(at(shape, key)) for key in ("min", "median", "max"))
    if low == high:
        return median if median != MISSING else low
    return f"{median} (median; {span(low, high)})"


def spacing_text(spacing: object) -> str:
    """The median spacing with its unit; for signals the rate that people know it by."""
    median, unit = at(spacing, "median"), at(spacing, "unit") or ""
    text = sizes(median)
    if text == MISSING or unit in ("px", "samples"):
        return ""
    step = real(median[0]) if sequence(median) else real(median)
    if unit == "s" and step:
        return f"{1 / step:.4g} samples per second"
    return f"{text} {unit}"


def class_rows(report: Report) -> list[dict[str, Any]]:
    """Name, count and share of each class; pixels beside them where there are any."""
    classes = [mapping(c) for c in sequence(at(report.inspection, "classes"))]
    most = max((real(at(c, "count")) or 0 for c in classes), default=0)
    pixels = sum(real(at(c, "pixels")) or 0 for c in classes)
    return [
        {
            "name": str(at(c, "name")),
            "count": count(at(c, "count")),
            "bar": round(100 * (real(at(c, "count")) or 0) / most, 1) if most else 0,
            "pixels": percent(at(c, "pixels"), pixels) if pixels else "",
        }
        for c in classes[:SHOWN_CLASSES]
    ]


def problem_rows(report: Report) -> list[dict[str, Any]]:
    """Problems by code, errors first, with the first few places of each."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for problem in sequence(at(report.inspection, "problems")):
        groups[str(at(problem, "severity")), str(at(problem, "code"))].append(mapping(problem))
    return [
        {
            "severity": severity,
            "code": code,
            "count": count(len(problems)),
            "message": sentence(at(problems[0], "message")),
            "remedy": sentence(at(problems[0], "remedy")),
            "paths": [str(at(p, "path") or "") for p in problems[:SHOWN_PROBLEMS]],
            "more": max(0, len(problems) - SHOWN_PROBLEMS),
        }
        for (severity, code), problems in sorted(groups.items())
    ]


def split_rows(report: Report) -> list[dict[str, Any]]:
    """Cases and units of each part of the split."""
    units = mapping(at(report.split, "units"))
    found = {name: sequence(at(report.split, key)) for key, name in PARTS}
    total = sum(len(ids) for ids in found.values())
    rows = []
    for name, ids in found.items():
        kinds = {str(units[i]) for i in ids if isinstance(i, str) and i in units}
        row = {"name": name, "size": len(ids), "cases": count(len(ids))}
        row |= {"units": count(len(kinds)) if kinds else MISSING}
        rows.append(row | {"share": percent(len(ids), total)})
    return [row for row in rows if row["size"]]


def split_note(report: Report) -> str:
    """Whether the parts of the split are apart, as the split itself shows."""
    units = mapping(at(report.split, "units"))
    parts = [{units[i] for i in sequence(at(report.split, key)) if i in units} for key, _ in PARTS]
    if not any(parts):
        return ""
    every = [unit for part in parts for unit in part]
    shared, noun = len(every) - len(set(every)), unit_noun(report)
    return (
        f"{count(shared, noun)} in more than one part." if shared else f"No {noun} is in two parts."
    )


def unit_noun(report: Report) -> str:
    """What the split keeps together: subject, case or section."""
    return str(at(report.split, "unit") or at(report.inspection, "unit") or "unit")


def data_card(report: Report) -> dict[str, Any]:
    """Everything the data part of the page shows."""
    classes = class_rows(report)
    found = len(sequence(at(report.inspection, "classes")))
    return {
        "facts": facts(report),
        "classes": classes,
        "more_classes": found - len(classes),
        "counted": "Beats" if at(report.inspection, "events") else "Cases",
        "pixels": any(row["pixels"] for row in classes),
        "pixel_name": "Voxels" if at(report.inspection, "spatial_dims") == 3 else "Pixels",
        "problems": problem_rows(report),
        "split": split_rows(report),
        "split_unit": unit_noun(report),
        "split_note": split_note(report),
    }
