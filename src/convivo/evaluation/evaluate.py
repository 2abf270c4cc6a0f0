"""A trained network measured on named cases, each on its own grid: answers, metrics, rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convivo.arrays.preparation import Preparation, restore_labels
from convivo.data.sample import Events, Sample
from convivo.data.store import build_store, prepare_sample
from convivo.evaluation.answers import answer
from convivo.inference.predictor import Predictor

Load = Callable[[str], Sample]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """answers: as the task collected them, one per case. metrics: with intervals over units."""

    answers: list[dict[str, Any]]
    metrics: dict[str, Any]


def evaluate_cases(
    predictor: Predictor,
    load: Load,
    ids: Sequence[str],
    preparation: Preparation,
    *,
    seed: int = 0,
    tick: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure `predictor` on the named cases.

    Label maps are compared on each case's own grid, where its truth was drawn; rows of
    probabilities need no way back. Cases without a target are refused by the caller.
    """
    if predictor.task.output == "map":
        answers = _maps(predictor, load, ids, preparation, tick)
    else:
        answers = _tables(predictor, load, ids, preparation, tick)
    return Evaluation(answers=answers, metrics=predictor.task.measure(answers, seed=seed))


def predict_labels(predictor: Predictor, sample: Sample, preparation: Preparation) -> np.ndarray:
    """The label map (*S) of one case on its own grid."""
    image, placement, _ = prepare_sample(without_target(sample), preparation)
    return restore_labels(predictor.map(image).argmax(axis=0), placement)


def without_target(sample: Sample) -> Sample:
    """The sample as if it had no label, so that only its image is prepared."""
    return replace(sample, target=None)


def _maps(
    predictor: Predictor,
    load: Load,
    ids: Sequence[str],
    preparation: Preparation,
    tick: Callable[[int], None] | None,
) -> list[dict[str, Any]]:
    rows = []
    for done, name in enumerate(ids, 1):
        sample = load(name)
        labels = predict_labels(predictor, sample, preparation)
        context = {"id": name, "unit": sample.unit, "spacing": sample.spacing}
        rows.append(predictor.task.collect(labels, sample.target, **context))
        if tick is not None:
            tick(done)
    return rows


def _tables(
    predictor: Predictor,
    load: Load,
    ids: Sequence[str],
    preparation: Preparation,
    tick: Callable[[int], None] | None,
) -> list[dict[str, Any]]:
    store = build_store(load, ids, preparation)
    whole = predictor.sampling == "whole" and isinstance(store.images, np.ndarray)
    together = predictor.run(np.asarray(store.images)) if whole else None
    rows = []
    for case, name in enumerate(ids):
        target = store.targets[case]
        if together is not None:
            probabilities, labels = together[case][None], target
        else:
            probabilities, labels = answer(predictor, store.images[case], target)
        context: dict[str, Any] = {"id": name, "unit": store.units[case]}
        if isinstance(target, Events) and target.stored is not None:
            context["samples"] = target.stored[target.labels >= 0]
        rows.append(predictor.task.collect(probabilities, labels, **context))
        if tick is not None:
            tick(case + 1)
    return rows
