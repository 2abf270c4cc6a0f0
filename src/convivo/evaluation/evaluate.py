"""A trained network measured on named cases, each on its own grid: answers, metrics, rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from convivo.arrays.preparation import Preparation, restore_labels, restore_probabilities
from convivo.data.sample import Events, Sample
from convivo.data.store import Store, build_store, prepare_sample
from convivo.evaluation.answers import answer, seen
from convivo.inference.fitting import Fit
from convivo.inference.predictor import Predictor
from convivo.tasks.task import Task

Load = Callable[[str], Sample]
TOGETHER, READERS = 16, 2  # images at least, records at most, that are read at once


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
    fit: Fit | None = None,
    tick: Callable[[int], None] | None = None,
) -> Evaluation:
    """Measure `predictor` on the named cases, of which no more than need be are in memory.

    Label maps are compared on each case's own grid, where its truth was drawn; rows of
    probabilities need no way back. Cases without a target are refused by the caller.

    Args:
        fit: the predictor for images of a shape beside so many bytes; default `predictor`.
    Raises:
        PlanError: `fit` finds that a case is too large.
    """
    fit = fit or (lambda shape, beside: predictor)
    if predictor.task.output == "map":
        answers = _maps(predictor.task, fit, load, ids, preparation, tick)
    else:
        answers = _tables(predictor, fit, load, ids, preparation, tick)
    return Evaluation(answers=answers, metrics=predictor.task.measure(answers, seed=seed))


def predict_labels(fit: Fit, sample: Sample, preparation: Preparation) -> np.ndarray:
    """The label map (*S) of one case on its own grid.

    Args:
        fit: the predictor for an image of a shape beside so many bytes.
    """
    image, placement, _ = prepare_sample(without_target(sample), preparation)
    labels = fit(image.shape, image.nbytes + _held(sample)).labels(image)
    del image
    return restore_labels(labels, placement)


def predict_probabilities(fit: Fit, sample: Sample, preparation: Preparation) -> np.ndarray:
    """The probabilities (K, *S) of one case on its own grid; arguments as `predict_labels`."""
    image, placement, _ = prepare_sample(without_target(sample), preparation)
    found = fit(image.shape, image.nbytes + _held(sample)).map(image)
    return restore_probabilities(found, placement)


def without_target(sample: Sample) -> Sample:
    """The sample as if it had no label, so that only its image is prepared."""
    return replace(sample, target=None)


def _maps(
    task: Task,
    fit: Fit,
    load: Load,
    ids: Sequence[str],
    preparation: Preparation,
    tick: Callable[[int], None] | None,
) -> list[dict[str, Any]]:
    rows = []
    by_probability = getattr(task, "judged_by_probability", False)
    answer_of = predict_probabilities if by_probability else predict_labels
    for done, name in enumerate(ids, 1):
        sample = load(name)
        found = answer_of(fit, sample, preparation)
        context = {"id": name, "unit": sample.unit, "spacing": sample.spacing}
        rows.append(task.collect(found, sample.target, **context))
        if tick is not None:
            tick(done)
    return rows


def _held(sample: Sample) -> int:
    """Bytes of a sample's arrays."""
    target = sample.target
    return sample.image.nbytes + (target.nbytes if isinstance(target, np.ndarray) else 0)


def _tables(
    predictor: Predictor,
    fit: Fit,
    load: Load,
    ids: Sequence[str],
    preparation: Preparation,
    tick: Callable[[int], None] | None,
) -> list[dict[str, Any]]:
    rows = []
    for some in _portions(ids, predictor):
        store = build_store(load, some, preparation)
        fitting = fit(store.images[0].shape, sum(image.nbytes for image in store.images))
        for row in _answered(fitting, store):
            rows.append(row)
            if tick is not None:
                tick(len(rows))
    return rows


def _portions(ids: Sequence[str], predictor: Predictor) -> Iterator[Sequence[str]]:
    """Cases that are in memory together.

    Of images whole batches, so that no row depends on it; of records no more than are read at once.
    """
    batch = predictor.batch
    several = batch * ceil(TOGETHER / batch) if predictor.sampling == "whole" else READERS
    for start in range(0, len(ids), several):
        yield ids[start : start + several]


def _answered(predictor: Predictor, store: Store) -> Iterator[dict[str, Any]]:
    whole = predictor.sampling == "whole" and isinstance(store.images, np.ndarray)
    together = predictor.run(np.asarray(store.images)) if whole else None
    for case, name in enumerate(store.ids):
        target = store.targets[case]
        image = np.asarray(store.images[case])
        if together is not None:
            probabilities, labels = together[case][None], target
        else:
            probabilities, labels = answer(predictor, image, target)
        context: dict[str, Any] = {"id": name, "unit": store.units[case]}
        context |= seen(predictor, image, target)
        if isinstance(target, Events) and target.stored is not None:
            context["samples"] = target.stored[target.labels >= 0]
        yield predictor.task.collect(probabilities, labels, **context)
