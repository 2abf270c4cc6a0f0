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
        image = np.asarray(store.images[case])
        found, labels = answer(predictor, image, target)
        context = _quick(predictor) | seen(predictor, image, target)
        rows.append(
            predictor.task.collect(
                found, labels, id=store.ids[case], unit=store.units[case], **context
            )
        )
    return rows


def seen(predictor: Predictor, image: np.ndarray, target: Any) -> dict[str, Any]:
    """What the network saw of a case, for tasks that hold its answer against it.

    {"image": (n, C, *S)}: the whole image, or the windows around its labelled moments.
    """
    if predictor.task.output != "image":
        return {}
    if not isinstance(target, Events):
        return {"image": image[None]}
    return {"image": predictor.cut(image, target.positions[target.labels >= 0])}


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
    return {"quick": True} if predictor.task.output in ("map", "image") else {}


def _answers_at_once(predictor: Predictor, store: Store) -> list[dict[str, Any]]:
    # batches are cut as if all went through at once
    several = predictor.batch * ceil(TOGETHER / predictor.batch)
    rows = []
    for start in range(0, len(store), several):
        images = store.stacked(range(start, min(start + several, len(store))))
        for place, found in enumerate(predictor.run(images)):
            case = start + place
            context = _quick(predictor) | seen(predictor, images[place], store.targets[case])
            context |= {"id": store.ids[case], "unit": store.units[case]}
            rows.append(predictor.task.collect(found[None], store.targets[case], **context))
    return rows
