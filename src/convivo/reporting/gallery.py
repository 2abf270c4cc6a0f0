"""Cases as pictures: best, worst and fixed examples, each with its caption and alternative text."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from convivo.reporting.content import CasePicture, Report
from convivo.reporting.formatting import at, sequence
from convivo.reporting.pictures import png_address
from convivo.reporting.planes import planes
from convivo.reporting.plots import PREDICTION_COLORS, TRUTH_COLORS
from convivo.reporting.traces import MAX_LEADS, trace

SHOWN = 12
# All pictures together, before base64 adds a third: the page stays below about 3 MB.
TOTAL_BYTES = 1_700_000
GROUPS = (
    ("Worst cases", "worst", "Where the network does worst."),
    ("Best cases", "best", "Where the network does best."),
    ("Examples", "examples", "Cases fixed before training, neither good nor bad by choice."),
)
GENERATED = (
    ("Generated", "examples", "Drawn at random, none chosen; with the training case that each is "
     "most like, and how far it is from that in the features of the judging network."),
)  # fmt: skip


def gallery(report: Report) -> list[dict[str, Any]]:
    """The groups of pictures that hold any, worst first."""
    rows = GENERATED if at(report.evaluation, "task") == "generate" else GROUPS
    groups = [(t, tuple(getattr(report, key)), words) for t, key, words in rows]
    total = sum(min(len(cases), SHOWN) for _, cases, _ in groups)
    names = class_names(report)
    return [
        {
            "title": title,
            "words": words,
            "cases": [shown(case, TOTAL_BYTES // total) for case in cases[:SHOWN]],
            "more": max(0, len(cases) - SHOWN),
            "legend": outline_legend(cases[:SHOWN], names),
        }
        for title, cases, words in groups
        if cases
    ]


def shown(case: CasePicture, budget: int) -> dict[str, Any]:
    """One picture with its texts, and how wide it wants to be."""
    alternative = describe(case)
    dims = case.image.ndim - 1
    if dims == 1:
        return {"case": case, "picture": trace(case, label=alternative), "kind": "signal",
                "notes": signal_notes(case)}  # fmt: skip
    address, width, height = png_address(case, budget=budget)
    picture = Markup('<img src="{}" width="{}" height="{}" alt="{}">').format(
        Markup(address), width, height, alternative
    )
    kind = "volume" if dims == 3 else "image"
    return {"case": case, "picture": picture, "kind": kind, "notes": image_notes(case)}


def describe(case: CasePicture) -> str:
    """The alternative text of a picture."""
    kind = {1: "Signal", 2: "Image", 3: "Three planes of the volume"}[case.image.ndim - 1]
    lines = [name for name, labels in (("truth", case.truth), ("prediction", case.prediction))
             if labels is not None]  # fmt: skip
    outlines = f" with outlines of {' and '.join(lines)}" if lines else ""
    return f"{kind} of case {case.id}{outlines}. {case.caption} {case.text}".strip()


def image_notes(case: CasePicture) -> str:
    """Planes and channels that are shown."""
    channels, parts = case.image.shape[0], []
    if case.image.ndim == 4:
        views = planes(case)
        parts.append("; ".join(view.name for view in views))
        if views[0].name.startswith("axial"):
            parts.append("the patient's right is on the left")
    if channels not in (1, 3):
        parts.append(f"channel 1 of {channels}")
    return "; ".join(parts)


def signal_notes(case: CasePicture) -> str:
    """Channels that are shown, where there are more."""
    channels = case.image.shape[0]
    return f"channels 1 to {MAX_LEADS} of {channels}" if channels > MAX_LEADS else ""


def class_names(report: Report) -> list[str]:
    """Names by class index."""
    classes = sequence(at(report.inspection, "classes"))
    return [str(at(c, "name")) for c in classes]


def outline_legend(cases: Sequence[CasePicture], names: Sequence[str]) -> list[dict[str, str]]:
    """Colours of truth and prediction for each foreground class drawn in a group."""
    drawn = {int(value) for case in cases if case.image.ndim > 2
             for labels in (case.truth, case.prediction) if labels is not None
             for value in set(labels[labels > 0].tolist())}  # fmt: skip
    return [
        {
            "name": names[value] if value < len(names) else f"class {value}",
            "truth": TRUTH_COLORS[(value - 1) % len(TRUTH_COLORS)],
            "prediction": PREDICTION_COLORS[(value - 1) % len(PREDICTION_COLORS)],
        }
        for value in sorted(drawn)
    ]
