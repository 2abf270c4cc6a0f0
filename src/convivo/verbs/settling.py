"""What validation cases settle after the training: from which probability on is a border."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from convivo.data.inspection import Inspection
from convivo.evaluation.evaluate import predict_probabilities
from convivo.tasks.membranes import Membranes, best_threshold
from convivo.verbs.setup import build_predictor, build_preparation, build_task


def settled(
    plan: Mapping[str, Any], network: nn.Module, inspection: Inspection, val: Sequence[str]
) -> dict[str, Any]:
    """{"threshold": ...} for `measured` of a plan of membranes, by V-Rand on validation sections.

    Nothing for other plans.
    """
    task = build_task(plan)
    if not isinstance(task, Membranes):
        return {}
    predictor, preparation = build_predictor(plan, network.eval(), task), build_preparation(plan)
    cases = {case.id: case for case in inspection.cases}
    answers = []
    for name in val:
        sample = inspection.load(cases[name])
        found = predict_probabilities(lambda shape, beside: predictor, sample, preparation)
        answers.append({"curve": task.curve(found, np.asarray(sample.target))})
    return {"threshold": best_threshold(answers)}
