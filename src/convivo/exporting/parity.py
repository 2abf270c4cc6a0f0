"""The exported model against the run's own network, on cases that it did not learn from."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from convivo.arrays.objects import parted
from convivo.arrays.placement import Placement
from convivo.arrays.preparation import Preparation, restore_labels
from convivo.data.sample import Events, Sample
from convivo.data.store import prepare_sample
from convivo.exporting.runner.answers import Answers
from convivo.inference.backends.agreement import LABELS, disagreement, labels_of
from convivo.inference.predictor import Predictor
from convivo.tasks.task import MapTask

CASES = 5
BEATS = 200  # of a record
WHOLE = 2**26  # values of a map up to which probabilities are compared too


def parity_document(
    samples: Iterator[Sample], predictor: Predictor, answers: Answers, preparation: Preparation
) -> dict[str, Any]:
    """What both say of each sample: {"cases": [{"equal", "difference"}], "agrees", ...}.

    equal: share of positions, or items, of the same class; of numbers and images null.
    difference: the largest one of a probability or value; null where that was not looked at.
    agrees: as torch and its engines must; int8, which was held against float32 by its score on the
    validation cases, only has to answer numbers.
    Cases have no names here: the folder goes where the data do not.
    """
    model = answers.pipeline.model
    rows: list[dict[str, Any]] = []
    for sample in samples:
        image, placement, target = prepare_sample(sample, preparation)
        if isinstance(target, Events) and not len(target.positions):
            continue
        if predictor.task.output == "map":
            rows.append(_map(image, placement, predictor, answers))
        else:
            rows.append(_table(image, target, predictor, answers))
    differences = [row["difference"] for row in rows if row["difference"] is not None]
    equal = [row["equal"] for row in rows if row["equal"] is not None]
    return {
        "schema": 1,
        "against": "torch fp32",
        "precision": model["precision"],
        "quantization": model.get("quantization"),
        "cases": rows,
        "equal": min(equal, default=None),
        "difference": max(differences, default=None),
        "agrees": all(row["agrees"] for row in rows) if rows else None,
    }


def _map(
    image: np.ndarray, placement: Placement, predictor: Predictor, answers: Answers
) -> dict[str, Any]:
    away, sound = None, True
    if image[0].size * predictor.task.outputs <= WHOLE:
        theirs, mine = predictor.map(image), answers.map(image)
        away, sound = float(np.abs(mine - theirs).max()), bool(np.isfinite(mine).all())
        pair = [labels_of(predictor.task, found) for found in (mine, theirs)]
    else:
        pair = [answers.labels(image), predictor.labels(image)]
        if not cast(MapTask, predictor.task).pointwise:
            pair = [parted(labels) for labels in pair]
    mine, theirs = (restore_labels(labels, placement) for labels in pair)
    equal = float((mine == theirs).mean())
    agrees = sound if _is_int8(answers) else equal >= LABELS
    return {"equal": equal, "difference": away, "agrees": agrees}


def _table(
    image: np.ndarray, target: Any, predictor: Predictor, answers: Answers
) -> dict[str, Any]:
    if isinstance(target, Events):
        moments = target.positions[:BEATS]
        theirs, mine = predictor.windows(image, moments), answers.windows(image, moments)
    else:
        theirs, mine = predictor.case(image), answers.case(image)[None]
    equal = None
    if predictor.task.name == "classify":
        several = getattr(predictor.task, "several", False)
        called = [rows > 0.5 if several else rows.argmax(1) for rows in (mine, theirs)]
        equal = float((called[0] == called[1]).mean())
    away = float(np.abs(mine - theirs).max(initial=0))
    sound = bool(np.isfinite(mine).all())
    agrees = sound if _is_int8(answers) else not disagreement(predictor.task, mine, theirs)
    return {"equal": equal, "difference": away, "agrees": agrees}


def _is_int8(answers: Answers) -> bool:
    return answers.pipeline.model["precision"] == "int8"


def words(document: Mapping[str, Any]) -> str:
    """The same in sentences."""
    quantization = document.get("quantization")
    found = f" {quantization_words(quantization)}" if quantization else ""
    return _compared(document) + found


def quantization_words(document: Mapping[str, Any]) -> str:
    """How a model came to int8, and what it lost, in a sentence."""
    held = document["validation"]
    return (
        f"In int8 ({document['way']}), calibrated on {document['items']} items of "
        f"{document['cases']} training cases, its validation score ({held['score_name']}, "
        f"{held['cases']} cases) is {held['int8']:.4f}, in float32 {held['fp32']:.4f}."
    )


def _compared(document: Mapping[str, Any]) -> str:
    count = len(document["cases"])
    if not count:
        return f"It was not held against the run's own network: {document.get('reason', 'no data')}"
    told = []
    if document["equal"] is not None:
        told.append(f"at least {document['equal']:.4%} of the labels are the same")
    if document["difference"] is not None:
        told.append(f"the largest difference is {document['difference']:.2g}")
    return f"On {count} held-out cases {', '.join(told)}."
