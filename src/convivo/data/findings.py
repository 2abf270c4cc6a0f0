"""What headers, label maps, pixels and class counts tell against a data set, as problems."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from convivo.data.classes import totals
from convivo.data.joining import GRID_TOLERANCE
from convivo.data.numbered_maps import numbering
from convivo.data.problems import WHOLE, problem
from convivo.data.sample import Case, Header, Index, Problem
from convivo.data.strays import strays_of
from convivo.data.survey import LabelMap, Pixels

SPACING_APART = 0.01  # relative; smaller differences are rounding in the header
IMBALANCE = 10


def map_findings(
    index: Index, cases: Sequence[Case], maps: Mapping[str, LabelMap]
) -> list[Problem]:
    """Label maps off their image's grid, and values that are no class (index must be completed)."""
    found = []
    for case in cases:
        labels = maps.get(case.id)
        if labels is None or labels.problem or case.header is None:
            continue
        found += _grid(case, case.header, labels) or _values(index, case, labels)
    return found


def _grid(case: Case, header: Header, labels: LabelMap) -> list[Problem]:
    if labels.shape != tuple(header.shape):
        message = (
            f"the image has shape {_sizes(header.shape)}, its label map {_sizes(labels.shape)}"
        )
        remedy = "Resample or replace the label map so that it lies on the image's grid"
        return [problem("shape-mismatch", case.id, message, remedy)]
    other = labels.header
    if other is None or header.affine is None or other.affine is None:
        return []
    turned = (header.affine[:3, :3] - other.affine[:3, :3]) * np.asarray(header.shape[:3])
    apart = float(np.abs(turned).max())  # a shift as a whole is let pass, as in `loading`
    if other.axes == header.axes and apart <= GRID_TOLERANCE * min(header.spacing or (1.0,)):
        return []
    message = (
        f"the image has axes {header.axes} and spacing {_shown(header)}, its label map {other.axes}"
        f" and {_shown(other)}: voxel by voxel they are different places ({apart:.3g} mm apart)"
    )
    remedy = "Resample or reorient the label map to the image"
    return [problem("shape-mismatch", case.id, message, remedy)]


def _shown(header: Header) -> str:
    return " x ".join(f"{s:.4g}" for s in header.spacing or ()) or "unknown"


def _values(index: Index, case: Case, labels: LabelMap) -> list[Problem]:
    unknown = sorted(set(labels.counts) - set(index.label_values or ()) - set(strays_of(index)))
    if numbering(index) in ("files", "values"):  # any number from 1 on is an object
        unknown = [value for value in unknown if value < 0]
    if not unknown:
        return []
    shown = _list(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
    message = f"the label map holds {shown}, which is no class ({_list(index.label_values or ())})"
    remedy = "Correct the label map, or name the value among the labels"
    return [problem("label-out-of-range", case.id, message, remedy)]


def pixel_findings(cases: Sequence[Case], pixels: Mapping[str, Pixels]) -> list[Problem]:
    """Unreadable images, values that are not finite, images without any content."""
    found = []
    for case in cases:
        seen = pixels.get(case.id)
        if seen is None:
            continue
        if seen.problem:
            found.append(seen.problem)
        elif seen.not_finite:
            message = f"{seen.not_finite:,} of {seen.size:,} values are NaN or infinite"
            remedy = "Replace them by a number, or remove the case"
            found.append(problem("non-finite", case.id, message, remedy))
        elif seen.constant:
            message = "every value is the same: nothing can be learnt from it"
            found.append(problem("constant-image", case.id, message, "Check or remove the case"))
        elif seen.flat:
            names = case.header.channel_names if case.header else ()
            shown = _list(names[i] if i < len(names) else i for i in seen.flat)
            message = f"the channel {shown} is one value throughout: a lead that was off?"
            found.append(problem("flat-channel", case.id, message, "Check or remove the case"))
    return found


def dimension_findings(index: Index, cases: Sequence[Case]) -> list[Problem]:
    """Cases with another number of axes than the data set: an image among volumes."""
    found = []
    for case in cases:
        axes = len(case.header.shape) if case.header else index.spatial_dims
        if axes != index.spatial_dims:
            message = f"it has {axes} axes, the data set {index.spatial_dims}"
            remedy = "Keep signals, images and volumes in sets of their own"
            found.append(problem("mixed-dimensions", case.id, message, remedy))
    return found


def header_findings(cases: Sequence[Case]) -> list[Problem]:
    """Spacing, orientation and number of channels that are not the same throughout."""
    headers = [(case.id, case.header) for case in cases if case.header is not None]
    counts = [(i, str(h.channels)) for i, h in headers]
    axes = [(i, h.axes) for i, h in headers if h.affine is not None]
    remedies = {
        "mixed-channels": "Convert the images to one number of channels",
        "mixed-orientation": "Nothing need be done: volumes are turned to one orientation",
        "mixed-spacing": "Nothing need be done: cases are resampled to one spacing where it counts",
    }
    rows = (
        ("mixed-channels", "the number of channels", counts),
        ("mixed-orientation", "the orientation", axes),
        ("mixed-spacing", "the spacing", _spacings(headers)),
    )
    found = []
    for code, what, values in rows:
        common = Counter(value for _, value in values).most_common()
        if len(common) > 1:
            odd = next(i for i, value in values if value == common[-1][0])
            shown = ", ".join(f"{value} ({number} cases)" for value, number in common[:4])
            more = " ..." if len(common) > 4 else ""
            found.append(problem(code, odd, f"{what} differs: {shown}{more}", remedies[code]))
    return found


def _spacings(headers: Sequence[tuple[str, Header]]) -> list[tuple[str, str]]:
    """Spacing of each case as text, equal where it is within a hundredth of the median."""
    known = [h.spacing for _, h in headers if h.spacing is not None]
    if not known or len({len(spacing) for spacing in known}) > 1:
        return []
    median = np.median(np.array(known), axis=0)
    rows = []
    for case_id, header in headers:
        if header.spacing is None:
            rows.append((case_id, "unknown"))
            continue
        spacing = np.array(header.spacing)
        near = np.abs(spacing - median) <= SPACING_APART * np.abs(median)
        shown = np.where(near, median, spacing)
        rows.append((case_id, f"{_list(f'{v:.4g}' for v in shown)} {header.spacing_unit}"))
    return rows


def class_findings(
    index: Index, cases: Sequence[Case], counts: Mapping[str, Sequence[int]]
) -> list[Problem]:
    """Classes that are alone, missing, or over ten times rarer than another.

    counts: by case id, what the case adds to each class's count (beats, or 1 where it has it).
    """
    total = totals(cases, counts, len(index.classes))
    present = [i for i, n in enumerate(total) if n]
    if len(present) < 2:
        name = f"only {index.classes[present[0]]!r}" if present else "no class"
        message = f"{name} occurs: there is nothing to tell apart"
        remedy = "Add cases of another class"
        return [problem("single-class", WHOLE, message, remedy)]
    found = []
    for i, name in enumerate(index.classes):
        if not total[i]:
            message, remedy = f"no case holds {name!r}", "Add cases, or drop the class"
            found.append(problem("class-missing", WHOLE, message, remedy))
    found += _missing_in_train(index, cases, counts, present)
    most, least = max(present, key=total.__getitem__), min(present, key=total.__getitem__)
    if total[most] > IMBALANCE * total[least]:
        ratio = total[most] / total[least]
        names = index.classes
        message = f"{names[most]!r} ({total[most]:,}) is {ratio:.0f} times {names[least]!r} "
        message += f"({total[least]:,})"
        remedy = "Read the scores per class; a rare class needs more cases to be judged"
        found.append(problem("class-imbalance", WHOLE, message, remedy))
    return found


def _missing_in_train(
    index: Index, cases: Sequence[Case], counts: Mapping[str, Sequence[int]], present: list[int]
) -> list[Problem]:
    train = [case for case in cases if case.split == "train"]
    if not train or len(train) == len(cases):
        return []
    seen = totals(train, counts, len(index.classes))
    remedy = "Move cases of it to train, or let a split be made"
    return [
        problem("class-missing", WHOLE, f"train of the given split holds no {name!r}", remedy)
        for i, name in enumerate(index.classes)
        if i in present and not seen[i]
    ]


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
