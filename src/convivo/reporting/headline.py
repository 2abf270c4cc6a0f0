"""The top of the page: the one number, and what a reader must know before believing it."""

from collections.abc import Mapping
from typing import Any

from convivo.reporting.content import Report
from convivo.reporting.distributions import interval_range, whisker, whisker_axis
from convivo.reporting.formatting import at, count, decimal, real, sequence
from convivo.reporting.wording import headline_name, headline_sentence, places_of, wording

# Used in this order where the evaluation does not name its score.
SCORES = ("dice", "j_kappa", "v_rand", "auroc", "balanced_accuracy", "accuracy", "r2", "ssim")

NARROW = {
    "case": "Which cases come from one subject is not known. Cases were taken as independent; if "
    "some of them share a subject, the result may be too good and its interval too narrow.",
    "section": "All cases come from one subject. The interval is over sections of it: it says "
    "nothing about other subjects and may be too narrow even for this one.",
}


def score_name(evaluation: Mapping[str, Any]) -> str | None:
    """The metric that sums the result up, or None where there is none."""
    named = evaluation.get("score_name")
    metrics = evaluation.get("metrics")
    names = ([str(named)] if named else []) + list(SCORES)
    return next((n for n in names if real(at(metrics, n, "value")) is not None), None)


def headline(report: Report) -> dict[str, Any] | None:
    """Number, sentence and interval for the header; None before anything was evaluated."""
    name = score_name(report.evaluation)
    if name is None:
        return None
    metric = at(report.evaluation, "metrics", name)
    triple = [real(at(metric, key)) for key in ("value", "low", "high")]
    span = interval_range([triple], bounded=wording(name).group == "score")
    return {
        "number": decimal(triple[0], places_of(name)),
        "unit": at(metric, "unit") or "",
        "name": headline_name(name),
        "sentence": headline_sentence(name, metric, report.evaluation),
        "whisker": whisker(triple, span),
        "axis": whisker_axis(span),
    }


def warnings(report: Report) -> list[str]:
    """What may make the result better or its interval narrower than it is, each sentence once.

    What the run's own notes say already, told by a word they must hold, is not said again.
    """
    notes = [str(n) for n in (*report.notes, *sequence(at(report.evaluation, "notes")))]
    unit = at(report.evaluation, "unit") or at(report.inspection, "unit")
    found = [
        ("too narrow", NARROW.get(str(unit), "")),
        *((code, waived(code)) for code in accepted(report)),
        ("skipped", skipped(report)),
        ("early", ended_early(report)),
        ("", repeated(report)),
        ("", left_out(report)),
    ]
    said = " ".join(notes)
    own = [text for word, text in found if text and not (word and word in said)]
    return list(dict.fromkeys(own + notes))


def waived(code: str) -> str:
    """The sentence for a problem that was accepted by hand."""
    return f"The problem “{code}” in the data was waived by hand (--accept {code})."


def accepted(report: Report) -> list[str]:
    """Codes of waived problems, wherever the run wrote them down."""
    places = [at(report.receipt, "accepted"), at(report.config, "accept")]
    places += [at(report.config, part, "accept") for part in ("data", "train")]
    return list(dict.fromkeys(str(code) for place in places for code in sequence(place)))


def skipped(report: Report) -> str:
    """Steps left out because of a value that was not finite."""
    counted = real(at(report.plan, "measured", "skipped_steps"))
    # The lines of a history count from the start, so that the largest is the last.
    lines = [real(at(line, "skipped_steps")) or 0 for line in report.history]
    total = counted if counted is not None else max(lines, default=0)
    if not total:
        return ""
    return f"{count(total, 'training step')} gave values that are not finite and had no effect."


def ended_early(report: Report) -> str:
    """Training that stopped before its planned last step."""
    planned = real(at(report.plan, "steps"))
    done = max((real(at(line, "step")) or 0 for line in report.history), default=0)
    # A last line may stand for a step counted from 0.
    if not planned or not done or done + 1 >= planned:
        return ""
    return f"Training ended early, at step {count(done)} of {count(planned)}."


def repeated(report: Report) -> str:
    """A test set that was looked at more than once."""
    times = real(at(report.receipt, "test_evaluations")) or 0
    if times < 2:
        return ""
    return (
        f"The test set was evaluated {count(times)} times. If a version was chosen by it, "
        "the result is too good."
    )


def left_out(report: Report) -> str:
    """Cases that could not be evaluated."""
    cases = sequence(at(report.evaluation, "excluded"))
    if not cases:
        return ""
    return f"{count(len(cases), 'case')} of the data could not be used; see the problems below."
