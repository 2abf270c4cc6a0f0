"""A predictor's answers to the cases of a store, as the task collects them."""

from math import ceil
from typing import Any

import numpy as np

from convivo.data.sample import Events
from convivo.data.store import Store
from convivo.inference.predictor import Predictor

TOGETHER = 256  # images, at least, that are in memory together


def validation_answers(predictor: Predictor, store: Store) -> list[dict[str, Any]]:
    """Answers on the prepared grid, without what only a final evaluation needs."""
    if predictor.sampling == "whole" and store.alike:
        return _answers_at_once(predictor, store)
    rows = []
    for case, target in enumerate(store.targets):
        found, labels = answer(predictor, store.images[case], target)
        row = predictor.task.collect(
            found, labels, id=store.ids[case], unit=store.units[case], **_quick(predictor)
        )
        rows.append(row)
    return rows


def answer(predictor: Predictor, image: np.ndarray, target: Any) -> tuple[np.ndarray, Any]:
    """The answer to one case and the labels that it is to be held against.

    Probabilities (n, K), or a label map (*S): of a map only the classes are kept.
    """
    if predictor.sampling == "patch":
        return predictor.labels(image), np.asarray(target)
    image = np.asarray(image)
    if isinstance(target, Events):
        known = target.labels >= 0
        events = Events(positions=target.positions[known], labels=target.labels[known])
        return predictor.case(image, events), events.labels
    return predictor.case(image), target


def _quick(predictor: Predictor) -> dict[str, bool]:
    return {"quick": True} if predictor.task.output == "map" else {}


def _answers_at_once(predictor: Predictor, store: Store) -> list[dict[str, Any]]:
    several = predictor.batch * ceil(
        TOGETHER / predictor.batch
    )  # batches are cut as if all at once
    starts = range(0, len(store), several)
    portions = [range(start, min(start + several, len(store))) for start in starts]
    answers = (predictor.run(store.stacked(portion)) for portion in portions)
    rows = (row for found in answers for row in found)
    cases = zip(rows, store.targets, store.ids, store.units, strict=True)
    collect = predictor.task.collect
    return [collect(row[None], target, id=name, unit=unit) for row, target, name, unit in cases]
