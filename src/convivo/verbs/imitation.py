"""A generator measured: its images and real ones in the features of a network of the run's own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from convivo.arrays.preparation import Preparation
from convivo.arrays.windows import window
from convivo.data.batches import items_of
from convivo.data.sample import Sample
from convivo.data.split import Split
from convivo.data.store import Store, build_store
from convivo.errors import DataError
from convivo.evaluation.evaluate import Evaluation
from convivo.metrics.generation import nearest
from convivo.tasks.task import Task
from convivo.verbs.drawing import classes_to_draw, drawn, drawn_parts
from convivo.verbs.facts import spread_ids
from convivo.verbs.features import Features

FEWEST, MOST = 2, 10_000  # items of a kind: as many as the contract's figures are of
PORTION = 256  # cases in memory at a time
JUDGED = 512  # images a validation
Load = Callable[[str], Sample]
Plan = Mapping[str, Any]


def seen_images(plan: Plan, store: Store, places: Sequence[int] | None = None) -> np.ndarray:
    """(n, C, *S) what a network is shown of a store: its cases, or windows around their moments."""
    sampling = plan["sampling"]
    items = items_of(store)
    if places is not None:
        items = [items[place] for place in places]
    if sampling["mode"] != "window":
        return np.stack([np.asarray(store.images[item.case], np.float32) for item in items])
    length = sampling["size"][0]
    before = round(sampling["before"] * length)
    rows = [window(store.images[item.case], item.position - before, length) for item in items]
    return np.stack(rows).astype(np.float32)


def must_judge(plan: Plan, split: Split) -> None:
    """Refuse parts too small to have a distribution; a record holds many items.

    Raises:
        DataError: fewer than two validation or test cases.
    """
    fewest = min(len(split.val), len(split.test))
    if plan["sampling"]["mode"] != "window" and fewest < FEWEST:
        rule = f"to generate, validation and test hold at least {FEWEST} cases each"
        raise DataError("train", rule, fewest, "Add cases")


def judge_of(
    plan: Plan, task: Task, features: Features, validation: Store
) -> Callable[[nn.Module], float]:
    """Network -> its score on validation; the features of the real images are found once."""
    total = len(items_of(validation))
    places = np.linspace(0, total - 1, min(JUDGED, total)).round().astype(int)
    real = features(seen_images(plan, validation, places.tolist()))
    labels = classes_to_draw(plan, max(2, len(real)))

    def judge(network: nn.Module) -> float:
        made = drawn(network, max(2, len(real)), seed=int(plan["seed"]), labels=labels)
        return task.score([{"generated": features(made), "test": real}])

    return judge


def measure_imitation(
    plan: Plan,
    task: Task,
    network: nn.Module,
    features: Features,
    load: Load,
    *,
    train: Sequence[str],
    test: Sequence[str],
    preparation: Preparation,
    tick: Callable[[int], None],
) -> Evaluation:
    """As many generated images as there are test items, against these and the training items."""
    real, units, _ = _features(plan, features, load, test, preparation, tick)
    known, _, names = _features(plan, features, load, train, preparation, lambda done: None)
    count = max(2, len(real))
    labels = classes_to_draw(plan, count)
    parts = drawn_parts(network, count, seed=int(plan["seed"]), labels=labels)
    made = np.concatenate([features(part) for part in parts])
    seed = int(plan["seed"])
    answer = {"generated": made, "test": real, "train": known, "units": units}
    distances, places = nearest(made, known)
    rows = [
        {"id": f"generated#{i}", "unit": "generated", "nearest": names[place], "distance": far}
        for i, (place, far) in enumerate(zip(places.tolist(), distances.tolist(), strict=True))
    ]
    return Evaluation(answers=rows, metrics=task.measure([answer], seed=seed))


def _features(
    plan: Plan,
    features: Features,
    load: Load,
    ids: Sequence[str],
    preparation: Preparation,
    tick: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features of items, their units, their cases; of more than `MOST` cases an even choice."""
    chosen = spread_ids(ids, MOST)
    rows, units, names = [], [], []
    for start in range(0, len(chosen), PORTION):
        store = build_store(load, chosen[start : start + PORTION], preparation)
        items = items_of(store)
        if items:
            rows.append(features(seen_images(plan, store)))
        units += [store.units[item.case] for item in items]
        names += [store.ids[item.case] for item in items]
        tick(min(start + PORTION, len(chosen)))
    places = spread_ids(range(len(names)), MOST)
    found = np.concatenate(rows)[places]
    return found, np.array(units)[places], [names[place] for place in places]
