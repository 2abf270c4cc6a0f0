"""int8 of a run: quantised on training items, held against float32 on the validation cases."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from convivo.data.store import Store
from convivo.errors import UsageError
from convivo.evaluation.answers import validation_answers
from convivo.inference.backends.engine import unavailable
from convivo.inference.backends.openvino_engine import OpenVINO, sized
from convivo.inference.backends.program import Program, Programs
from convivo.inference.backends.quantizing import WAYS, quantized
from convivo.inference.predictor import Predictor
from convivo.progress import Progress
from convivo.tasks.task import Task
from convivo.verbs.calibration_items import read_parts
from convivo.verbs.quantized_models import keep, place_of, remembered
from convivo.verbs.run import Run

MOST_LOST = {"map": 0.002, "table": 0.005}  # of the validation score
SHARE_LOST = 0.01  # of an error, where that is the score


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A quantised network.

    predictor: what it answers through, of no other tiles than its program takes. model: OpenVINO's.
    program: of which it is. document: {"way", "items", "cases", "validation": {"cases",
    "score_name", "fp32", "int8", "most_lost"}}.
    """

    predictor: Predictor
    model: Any
    program: Program
    document: dict[str, Any]

    def engine(self, programs: Programs) -> OpenVINO:
        """What computes with it."""
        return _engine(programs, self.program, self.model)


def quantize(run: Run, predictor: Predictor, programs: Programs, *, quiet: bool) -> Quantized:
    """A run's network in int8; one that was made before is taken from the cache.

    Args:
        predictor: of the run, through torch.
    Raises:
        UsageError: the run's own cases are not there, or too much of the validation score is lost
        whatever the way. Unavailable: the network cannot be converted.
    """
    shape = (predictor.batch, run.plan["network"]["in_channels"], *predictor.size)
    program = programs.of(shape)
    if program.bounds[0][0] == program.bounds[0][1]:
        raise unavailable("int8", "a network that takes one number of items only")
    if predictor.sampling == "patch" and any(low == high for low, high in program.bounds[2:]):
        predictor = replace(predictor, multiple=None)  # then it takes tiles of one size
    place = place_of(run, program)
    found = remembered(place)
    if found is None:
        found = _made(run, predictor, programs, program, quiet)
        keep(place, *found)
    return Quantized(predictor=predictor, program=program, model=found[0], document=found[1])


def most_lost(task: Task, score: float) -> float:
    """How much of a validation score int8 may lose."""
    return MOST_LOST.get(task.output, SHARE_LOST * abs(score))


def _made(
    run: Run, predictor: Predictor, programs: Programs, program: Program, quiet: bool
) -> tuple[Any, dict[str, Any]]:
    """The model in the first way that keeps the score, and what is told of it.

    Raises:
        UsageError: no way does.
    """
    model = sized(program)  # what cannot be converted costs no reading

    def bar(label: str, total: int) -> Progress:
        return Progress(label, total, unit="cases", quiet=quiet)

    items, validation = read_parts(run, predictor.margin, bar)
    say = bar("", 0).say
    say(f"int8: calibrating on {len(items)} items of {len(items.batches.store)} training cases")
    before = _score(predictor, validation)
    told: dict[str, Any] = {
        "cases": len(validation), "score_name": predictor.task.score_name, "fp32": before,
        "most_lost": most_lost(predictor.task, before),
    }  # fmt: skip
    document = {"items": len(items), "cases": len(items.batches.store), "validation": told}
    for way in WAYS:
        made = quantized(model, items, way)
        told["int8"] = _score(predictor, validation, _engine(programs, program, made))
        if before - told["int8"] <= told["most_lost"]:
            return made, {"way": way, **document}
        say(f"int8, {way}: {_words(told)}")
    remedy = "Leave --precision out"
    rule = f"int8 may lose {told['most_lost']:.3g} of the validation score"
    raise UsageError("--precision", rule, _words(told), remedy)


def _words(told: Mapping[str, Any]) -> str:
    return f"{told['score_name']} {told['int8']:.4f} instead of {told['fp32']:.4f}"


def _engine(programs: Programs, program: Program, model: Any) -> OpenVINO:
    def only(asked: Program) -> Any:
        if asked is not program:
            raise unavailable("int8", "images of another size than it was calibrated on")
        return model

    threads = torch.get_num_threads()
    return OpenVINO(programs, precision="int8", threads=threads, model_of=only)


def _score(predictor: Predictor, store: Store, engine: OpenVINO | None = None) -> float:
    return predictor.task.score(validation_answers(replace(predictor, engine=engine), store))
