"""The plan and the training: what was decided and why, what it cost, how it went."""

from typing import Any

from markupsafe import Markup

from convivo.reporting.content import Report
from convivo.reporting.formatting import (
    MISSING,
    at,
    count,
    decimal,
    duration,
    large,
    real,
    sentence,
    sequence,
    short,
    sizes,
)
from convivo.reporting.headline import score_name
from convivo.reporting.plots import Series, legend, line_plot
from convivo.reporting.wording import setting, wording

ENDS = {
    "schedule": "its last planned step",
    "clock": "the clock",
    "control": "its control file",
    "early-stopping": "early stopping",
}


def facts(report: Report) -> list[tuple[str, str]]:
    """Name and text of what was fixed before the first step."""
    plan = report.plan
    rows = [
        ("Network", at(plan, "net")),
        ("Parameters", count(at(plan, "parameters"))),
        ("Input, channels first", sizes(at(plan, "input"))),
        ("Patch", sizes(at(plan, "patch"))),
        ("Batch", setting(at(plan, "batch"))),
        ("Multiply-adds per batch", large(at(plan, "macs"))),
        ("Receptive field", sizes(at(plan, "receptive_field"))),
        ("Precision", at(plan, "precision")),
        ("Optimizer", at(plan, "optimizer")),
        ("Steps", count(at(plan, "steps"))),
        ("Epochs", count(at(plan, "epochs"))),
        ("Threads", count(at(plan, "threads"))),
    ]
    return [(name, str(text)) for name, text in rows if text not in (None, "", MISSING)]


def curve(lines: list[tuple[float, Any]], *keys: str) -> tuple[list[float], list[float]]:
    """The points of one quantity of the history, where it is a finite number."""
    points = [(x, real(at(line, *keys))) for x, line in lines]
    kept = [(x, y) for x, y in points if y is not None]
    return [x for x, _ in kept], [y for _, y in kept]


def timeline(report: Report) -> tuple[str, list[tuple[float, Any]]]:
    """The history over epochs where each has one line, else over steps."""
    epochs = [real(at(line, "epoch")) for line in report.history]
    by_epoch = None not in epochs and len(set(epochs)) == len(epochs)
    key = "epoch" if by_epoch else "step"
    pairs = [(real(at(line, key)), line) for line in report.history]
    return key, [(float(n if x is None else x), line) for n, (x, line) in enumerate(pairs)]


def training_figures(report: Report) -> list[dict[str, Any]]:
    """Plots of loss, validation score and learning rate, those that have any point."""
    axis, lines = timeline(report)
    best = best_place(lines)
    named = at(report.evaluation, "validated_by") or at(report.evaluation, "score_name")
    known = wording(str(named))
    falls = "minus " if known.group in ("error", "distance") else ""  # higher must be better
    score = f"{falls}{known.name}" if named else "score"
    wanted = (
        ("Loss", (("training", ("loss",)), ("validation", ("val", "loss"))), None),
        (f"Validation {score}", ((f"validation {score}", ("val", "score")),), best),
        ("Learning rate", (("learning rate", ("lr",)),), None),
    )
    figures = []
    for name, curves, mark in wanted:
        found = [(label, n, *curve(lines, *keys)) for n, (label, keys) in enumerate(curves)]
        series = [Series(name=label, x=x, y=y, color=n) for label, n, x, y in found if x]
        if series:
            figures.append(figure(name, series, axis, mark))
    return figures


def best_place(lines: list[tuple[float, Any]]) -> float | None:
    """Where the weights are of that were kept."""
    told = [x for x, line in lines if at(line, "best") is True]
    if told:
        return told[-1]
    x, y = curve(lines, "val", "score")
    return x[y.index(max(y))] if y else None


def training_facts(report: Report) -> list[tuple[str, str]]:
    """Name and text of how the training went."""
    measured = at(report.plan, "measured")
    last = report.history[-1] if report.history else {}
    rows = [
        ("Steps done", count(at(measured, "steps") or at(last, "step"))),
        ("Epochs done", short(at(last, "epoch"))),
        ("Best validation score", decimal(at(measured, "best_score"))),
        ("Weights kept at step", count(at(measured, "best_step"))),
        ("Steps without effect", count(at(measured, "skipped_steps"))),
        ("Precision", setting(at(measured, "precision"))),
        ("Ended by", ENDS.get(str(at(measured, "ended")), setting(at(measured, "ended")))),
        ("Whole run", duration(at(report.receipt, "seconds"))),
    ]
    return [(name, text) for name, text in rows if text != MISSING]


def folds(report: Report) -> list[dict[str, str]]:
    """Of a cross-validation a row a fold: what it held out, its score, its own report."""
    name = score_name(report.evaluation) or ""
    return [
        {
            "fold": f"{number}",
            "held": f"{count(at(row, 'cases'), 'case')}, {count(at(row, 'units'), 'unit')}",
            "score": f"{wording(name).name} {decimal(real(at(row, name)))}" if name else MISSING,
            "report": f"fold_{number}/report.html",
        }
        for number, row in enumerate(sequence(at(report.evaluation, "folds")))
    ]


def figure(name: str, series: list[Series], axis: str, mark: float | None) -> dict[str, Any]:
    """One plot of the training with its caption and key."""
    last = "; ".join(f"{s.name} {short(s.y[-1])} at the end" for s in series)
    small = name == "Learning rate"
    plot = line_plot(series, label=f"{name} over {axis}s: {last}.", x_label=axis, mark_x=mark,
                     height=170 if small else 230, width=420)  # fmt: skip
    caption = f"{name}."
    if mark is not None:
        caption += f" The line marks the {axis} ({short(mark)}) whose weights were kept."
    key = legend([(s.name, s.color) for s in series]) if len(series) > 1 else Markup("")
    return {"plot": plot, "caption": caption, "legend": key}


def plan_card(report: Report) -> dict[str, Any]:
    """Everything the plan and training parts of the page show."""
    return {
        "facts": facts(report),
        "reasons": [sentence(reason) for reason in sequence(at(report.plan, "reasons"))],
        "training": training_facts(report),
        "folds": folds(report),
        "figures": training_figures(report),
    }
