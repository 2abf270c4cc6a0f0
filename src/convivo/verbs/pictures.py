"""The cases a report shows: the best and the worst, as arrays that reporting can draw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convivo.arrays.objects import parted
from convivo.data.inspection import Inspection
from convivo.data.sample import Events, Sample
from convivo.evaluation.evaluate import predict_labels
from convivo.reporting.content import CasePicture
from convivo.verbs.measure import Measured
from convivo.verbs.rebuilt_pictures import pairs
from convivo.verbs.setup import build_preparation, build_task

MAPS, TRACES, IMAGES = 3, 4, 6  # shown at either end: three pictures a row, wide traces
TRACE_SECONDS = 4.0

Plan = Mapping[str, Any]
Load = Callable[[str], Sample]
Pictures = tuple[list[CasePicture], list[CasePicture]]


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One answered item: case, place among its case's items, truth, prediction, probability."""

    case: str
    sample: int | None
    truth: str
    prediction: str
    probability: float


def best_and_worst(
    plan: Mapping[str, Any], inspection: Inspection, measured: Measured
) -> tuple[list[CasePicture], list[CasePicture]]:
    """Pictures of the best and the worst cases of an evaluation."""
    cases = {case.id: case for case in inspection.cases}

    def load(name: str) -> Sample:
        return inspection.load(cases[name])

    if plan["task"] == "generate":  # no case is answered well or badly
        return [], []
    show = {"segment": _maps, "regress": _numbers, "reconstruct": pairs}.get(plan["task"], _tables)
    return show(plan, load, measured)


def _maps(plan: Plan, load: Load, measured: Measured) -> Pictures:
    rows = [r for r in measured.document["per_case"] if r["dice"] is not None]
    rows.sort(key=lambda row: -row["dice"])
    count = min(MAPS, max(1, len(rows) // 2))
    preparation = build_preparation(plan)
    shown = parted if plan["task_fields"].get("instances") else np.asarray

    def picture(row: Mapping[str, Any]) -> CasePicture:
        sample = load(row["id"])
        per_class = ", ".join(
            f"{key.removeprefix('dice.')} {value:.3f}"
            for key, value in row.items() if key.startswith("dice.") and value is not None
        )  # fmt: skip
        return CasePicture(
            id=row["id"], caption=f"Dice {row['dice']:.3f}", text=per_class,
            image=sample.image.astype(np.float32), truth=shown(np.asarray(sample.target)),
            prediction=shown(predict_labels(measured.fit, sample, preparation)),
            spacing=sample.spacing, spacing_unit=sample.spacing_unit, axes=sample.axes,
        )  # fmt: skip

    return [picture(r) for r in rows[:count]], [picture(r) for r in rows[-count:][::-1]]


def _numbers(plan: Plan, load: Load, measured: Measured) -> Pictures:
    rows = sorted(measured.document["per_case"], key=lambda row: abs(row["error"]))
    count = min(TRACES if plan["network"]["spatial_dims"] == 1 else IMAGES, -(-len(rows) // 2))

    def picture(row: Mapping[str, Any]) -> CasePicture:
        sample = load(row["id"])
        return CasePicture(
            id=row["id"], caption=f"error {row['error']:+.4g}",
            text=f"truth {row['truth']:.4g}, predicted {row['value']:.4g}",
            image=sample.image.astype(np.float32),
            spacing=sample.spacing, spacing_unit=sample.spacing_unit, axes=sample.axes,
        )  # fmt: skip

    return [picture(r) for r in rows[:count]], [picture(r) for r in rows[count:][-count:][::-1]]


def _tables(plan: Plan, load: Load, measured: Measured) -> Pictures:
    task: Any = build_task(plan)
    items = [item for answer in measured.evaluation.answers for item in _items(answer, task)]
    right = [item for item in items if item.truth == item.prediction]
    wrong = [item for item in items if item.truth != item.prediction]
    count = TRACES if plan["network"]["spatial_dims"] == 1 else IMAGES
    best = _varied(sorted(right, key=lambda item: -item.probability), count)
    worst = _varied(sorted(wrong, key=lambda item: -item.probability), count)

    def show(item: _Item) -> CasePicture:
        return _item_picture(item, load(item.case))

    return [show(item) for item in best], [show(item) for item in worst]


def _varied(items: Sequence[_Item], count: int) -> list[_Item]:
    """The first few, the classes taking turns, so that one class does not fill the page."""
    by_class: dict[str, list[_Item]] = {}
    for item in items:
        by_class.setdefault(item.truth, []).append(item)
    chosen: list[_Item] = []
    while len(chosen) < count and any(by_class.values()):
        for rows in by_class.values():
            if rows and len(chosen) < count:
                chosen.append(rows.pop(0))
    return chosen


def _items(answer: Mapping[str, Any], task: Any) -> list[_Item]:
    samples = answer.get("samples", [None] * len(answer["targets"]))
    rows = zip(samples, answer["targets"], answer["probabilities"], strict=True)
    return [
        _Item(
            case=answer["id"], sample=None if sample is None else int(sample),
            truth=task.truth_of(truth), prediction=task.called(p), probability=task.sureness(p),
        )
        for sample, truth, p in rows
    ]  # fmt: skip


def _item_picture(item: _Item, sample: Sample) -> CasePicture:
    truth, called = item.truth or "none", item.prediction or "none"
    image, marks, caption = sample.image.astype(np.float32), (), item.case
    if item.sample is not None and isinstance(sample.target, Events):
        rate = 1 / sample.spacing[0] if sample.spacing else 100.0
        start = max(0, item.sample - int(TRACE_SECONDS / 2 * rate))
        image = image[:, start : start + int(TRACE_SECONDS * rate)]
        marks = ((item.sample - start, truth),)
        caption = f"{item.case} at {item.sample / rate:.1f} s"
    return CasePicture(
        id=item.case, caption=caption, image=image, marks=marks,
        text=f"truth {truth}, predicted {called} with p = {item.probability:.2f}",
        spacing=sample.spacing, spacing_unit=sample.spacing_unit, axes=sample.axes,
    )  # fmt: skip
