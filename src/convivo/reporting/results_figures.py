"""Figures of the results: ROC and calibration curves, and the score of every case."""

from collections.abc import Mapping, Sequence
from typing import Any

from convivo.reporting.content import Report
from convivo.reporting.distributions import Strip, strip_plot
from convivo.reporting.formatting import at, decimal, mapping, real, sequence
from convivo.reporting.headline import score_name
from convivo.reporting.plots import Series, legend, line_plot, padded
from convivo.reporting.wording import class_of, wording

SHOWN_CURVES = 6
SHOWN_STRIPS = 20


def roc_figure(report: Report) -> dict[str, Any] | None:
    """Sensitivity over false alarms for each class."""
    curves = [(str(name), [real(v) for v in sequence(at(c, "fpr"))],
               [real(v) for v in sequence(at(c, "tpr"))])
              for name, c in mapping(at(report.evaluation, "roc")).items()]  # fmt: skip
    curves = [c for c in curves if c[1] and len(c[1]) == len(c[2]) and None not in c[1] + c[2]]
    if not curves:
        return None
    series = [Series(name=area(report, name, len(curves)), x=x, y=y, color=n)  # type: ignore[arg-type]
              for n, (name, x, y) in enumerate(curves[:SHOWN_CURVES])]  # fmt: skip
    plot = line_plot(series, label="ROC curves: " + "; ".join(s.name for s in series) + ".",
                     x_label="1 − specificity (false alarms)", y_label="sensitivity",
                     x_range=(0, 1), y_range=(0, 1), width=370, height=350,
                     diagonal=True)  # fmt: skip
    caption = "ROC: sensitivity against false alarms as the threshold moves; dashed: chance."
    if len(curves) > SHOWN_CURVES:
        caption += f" The first {SHOWN_CURVES} of {len(curves)} classes."
    return {"plot": plot, "legend": legend([(s.name, s.color) for s in series]), "caption": caption}


def area(report: Report, name: str, curves: int) -> str:
    """A curve's name with its area, where it is known."""
    found = real(at(report.evaluation, "metrics", f"auroc.{name}", "value"))
    if found is None and curves == 1:
        found = real(at(report.evaluation, "metrics", "auroc", "value"))
    return name if found is None else f"{name} (AUROC {decimal(found)})"


def calibration_figure(report: Report) -> dict[str, Any] | None:
    """How often answers were right, over how sure the network was."""
    found = at(report.evaluation, "calibration")
    stated = first_list(found, "confidence", "predicted", "probability")
    right = first_list(found, "accuracy", "observed", "frequency")
    points = [(real(a), real(b)) for a, b in zip(stated, right, strict=False)]
    kept = [(a, b) for a, b in points if a is not None and b is not None]
    if not kept:
        return None
    series = Series(name="calibration", x=[a for a, _ in kept], y=[b for _, b in kept], dots=True)
    gap = max(abs(a - b) for a, b in kept)
    plot = line_plot([series], label=f"Calibration; the largest gap of a bin is {gap:.2f}.",
                     x_label="stated confidence", y_label="share that was right", x_range=(0, 1),
                     y_range=(0, 1), width=370, height=350, diagonal=True)  # fmt: skip
    caption = "Calibration: on the dashed line the network is as sure as it is right; below it, "
    return {"plot": plot, "legend": "", "caption": caption + "it is too sure."}


def agreement_figure(report: Report) -> dict[str, Any] | None:
    """Predicted numbers over true ones."""
    found = at(report.evaluation, "agreement")
    rows = zip(sequence(at(found, "truth")), sequence(at(found, "value")), strict=False)
    pairs = [(a, b) for truth, value in rows
             if (a := real(truth)) is not None and (b := real(value)) is not None]  # fmt: skip
    if not pairs:
        return None
    x, y = [a for a, _ in pairs], [b for _, b in pairs]
    span = padded([*x, *y])
    series = Series(name="cases", x=x, y=y, dots=True, joined=False)
    plot = line_plot([series], label=f"Predicted over true numbers of {len(pairs)} items.",
                     x_label="truth", y_label="predicted", x_range=span, y_range=span,
                     width=370, height=350, diagonal=True)  # fmt: skip
    caption = "Predicted against true numbers: on the dashed line an answer is exactly right."
    return {"plot": plot, "legend": "", "caption": caption}


def first_list(document: object, *keys: str) -> Sequence[Any]:
    """The first list under one of the keys."""
    return next((v for v in (sequence(at(document, k)) for k in keys) if v), ())


def case_figure(report: Report) -> dict[str, Any] | None:
    """The score of each case, a row per class; None where cases have no score of their own."""
    if (scores := mapping(at(report.evaluation, "anomaly"))) and len(scores) > 1:
        return anomaly_figure(scores)
    cases = [c for c in sequence(at(report.evaluation, "per_case")) if isinstance(c, Mapping)]
    base = (score_name(report.evaluation) or "").partition(".")[0]
    # A case of one item is right or wrong: the confusion matrix says it better.
    if not cases or not base or all(at(case, "items") == 1 for case in cases):
        return None
    columns: dict[str, list[tuple[float, str]]] = {}
    for case in cases:
        for column, value in case_scores(case, base):
            columns.setdefault(column, []).append((value, str(at(case, "id"))))
    if len(columns) > 1:
        columns.pop("", None)
    strips = [Strip(name=column or "all", values=[v for v, _ in pairs],
                    ids=[i for _, i in pairs], color=n)
              for n, (column, pairs) in enumerate(columns.items())][:SHOWN_STRIPS]  # fmt: skip
    if not strips:
        return None
    title = wording(base).name
    plot = strip_plot(strips, label=f"{title} of each test case by class.", x_label=title,
                      errors=wording(base).group == "error")  # fmt: skip
    caption = f"{title} of each case by class: a dot a case, the box from the first to the third "
    caption += "quartile, the bar at the median."
    return {"plot": plot, "legend": "", "caption": caption}


def anomaly_figure(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The error of every item, a row per class: what is not normal should lie to the right."""
    strips = [
        Strip(name=str(name), values=[v for v in map(real, sequence(values)) if v is not None],
              ids=[str(name)] * len(sequence(values)), color=n)
        for n, (name, values) in enumerate(scores.items())
    ][:SHOWN_STRIPS]  # fmt: skip
    plot = strip_plot(strips, label="Anomaly score by class.", x_label="anomaly score",
                      errors=True)  # fmt: skip
    caption = "Anomaly score (mean squared error) by class: the box from the first to the third "
    caption += "quartile, the bar at the median."
    return {"plot": plot, "legend": "", "caption": caption}


def case_scores(case: Mapping[str, Any], base: str) -> list[tuple[str, float]]:
    """Class and score of one case, from `dice.a`, `dice: {a: ..}` or plain `dice`."""
    nested = case.get(base)
    found = dict(nested) if isinstance(nested, Mapping) else {"": nested}
    found |= {class_of(key): v for key, v in case.items() if key.startswith(base + ".")}
    return [(str(k), float(v)) for k, v in found.items() if real(v) is not None]
