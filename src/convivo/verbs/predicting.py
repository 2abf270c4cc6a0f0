"""A prediction at work: input by input or in chunks, each as large as memory allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from convivo.arrays.preparation import restore_labels
from convivo.data.loading import load
from convivo.data.readers import write_labels
from convivo.data.sample import Case, Index, Sample
from convivo.data.store import prepare_read, prepare_sample
from convivo.errors import ConvivoError, PlanError
from convivo.geometry import Axes
from convivo.inference.backends.engine import Unavailable
from convivo.inference.fitting import Fitting
from convivo.inference.predictor import Predictor
from convivo.progress import Progress
from convivo.shortage import is_shortage
from convivo.verbs.beat_files import predict_record
from convivo.verbs.inputs import Input
from convivo.verbs.prediction_memory import must_hold_input
from convivo.verbs.setup import build_preparation
from convivo.verbs.tables import Table

CHUNK, TOGETHER = 128, 64 * 2**20  # small images predicted together, and their bytes
RECORD = 12  # bytes a value of a record: in float64 while it is resampled, and prepared


@dataclass
class Outcome:
    """What happened to the inputs. positions: record -> where its beats' places came from."""

    done: int = 0
    skipped: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    positions: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Worker:
    """One prediction run: the parts that every input shares."""

    plan: Any
    fitting: Fitting
    out: Path
    overwrite: bool
    shard: str | None
    keep_identifiers: bool = False

    def __post_init__(self) -> None:
        self.predictor = self.fitting.predictor
        self.weights = sum(p.nbytes for p in self.predictor.network.parameters())
        self.preparation = build_preparation(self.plan)
        self.index = Index(
            layout="array", root=Path(), task=self.plan["task"], cases=(),
            spatial_dims=self.preparation.spatial_dims,
        )  # fmt: skip

    def use(self, predictor: Predictor) -> None:
        """From now on this one, the same but for what computes its passes."""
        self.predictor = self.fitting.predictor = predictor

    def left(self, inputs: list[Input]) -> list[Input]:
        """Those without an output yet."""
        if self.overwrite:
            return inputs
        if self.predictor.task.output == "map":
            return [one for one in inputs if not (self.out / one.map_name).exists()]
        beats = self.predictor.sampling == "window"
        table = Table(self.out / self.table_name, self.predictor.task, beats=beats)
        table.read()
        return [one for one in inputs if not table.has(_name(one, beats))]

    def sample(self, one: Input) -> Sample:
        """Raises ReadError, ShapeError, and PlanError where memory would not hold it."""
        index = self.index
        if one.case is not None:
            one.case.require_whole()
            index = replace(index, extra={"channel_names": one.case.names})
        must_hold_input(
            one.files, one.index, self.preparation, self.fitting.limit,
            weights=self.weights, least_of=self._least,
        )  # fmt: skip
        return load(Case(id=one.id, image=tuple(map(str, one.files)), index=one.index), index)

    @property
    def table_name(self) -> str:
        """The file of the table; each shard has its own."""
        if self.shard is None:
            return "predictions.csv"
        return f"predictions_{self.shard.replace('/', '_of_')}.csv"

    def _least(self, shape: Axes) -> int:
        seen = shape
        if self.predictor.sampling in ("window", "crop"):
            seen = (self.preparation.channels, *self.predictor.size)
        return self.fitting.least(seen, 4 * prod(shape))

    def maps(self, inputs: list[Input], bar: Progress) -> Outcome:
        """A label map a file, in the file's own format and grid."""
        outcome = Outcome()
        for number, one in enumerate(inputs, 1):
            target = self.out / one.map_name
            if not self.overwrite and target.exists():
                outcome.skipped += 1
                bar.update(number)
                continue
            with reported(one, outcome):
                labels, names = self._written(self._labels(one))
                target.parent.mkdir(parents=True, exist_ok=True)
                write_labels(
                    target, labels, like=one.path, like_index=one.index, names=names,
                    keep_identifiers=self.keep_identifiers,
                )  # fmt: skip
                outcome.done += 1
            bar.update(number)
        return outcome

    def _written(self, labels: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
        """Class indices or numbers of objects (*S) -> stored values, and the names of these."""
        classes = self.predictor.task.classes
        if self.plan["task_fields"].get("instances"):
            return labels, {n: f"{classes[1]} {n}" for n in np.unique(labels).tolist() if n}
        values = np.asarray(self.plan.get("label_values") or range(len(classes)))
        values = values.astype(np.result_type(*map(np.min_scalar_type, values.tolist())))
        names = dict(zip(values.tolist(), classes, strict=True))
        return values[labels], {value: name for value, name in names.items() if value}

    def _labels(self, one: Input) -> np.ndarray:
        """Class indices, or numbers of objects, (*S) on the file's own grid."""
        image, placement = prepare_read(lambda: self.sample(one), self.preparation)
        labels = self.fitting.to(image.shape, image.nbytes).labels(image)
        del image
        return restore_labels(labels, placement)

    def tables(self, inputs: list[Input], bar: Progress) -> Outcome:
        """Rows of probabilities in one predictions.csv; of a record with beats a row a beat."""
        beats = self.predictor.sampling == "window"
        table = Table(self.out / self.table_name, self.predictor.task, beats=beats)
        if not self.overwrite:
            table.read()
        outcome, answered = Outcome(), 0
        for chunk in _chunks(inputs, self._together()):
            fresh = [one for one in chunk if not table.has(_name(one, beats))]
            outcome.skipped += len(chunk) - len(fresh)
            for one, rows in self._beats(fresh, outcome) if beats else self._rows(fresh, outcome):
                table.add(_name(one, beats), rows)
                outcome.done += 1
            answered += len(chunk)
            bar.update(answered)
            if beats and outcome.done:
                table.write()  # a record is much work: keep each as it is done
        if outcome.done or not table.path.exists():
            table.write()
        return outcome

    def _beats(self, inputs: list[Input], outcome: Outcome) -> Iterator[tuple[Input, list]]:
        for one in inputs:
            found: list = []
            with reported(one, outcome):
                folder = (self.out / one.record).parent
                sample = self.sample(one)
                shape = (self.preparation.channels, *self.predictor.size)
                predictor = self.fitting.to(shape, sample.image.nbytes + RECORD * sample.image.size)
                rows, source = predict_record(predictor, self.preparation, sample, one.path, folder)
                outcome.positions[one.id] = source
                found.append(rows)
            yield from ((one, rows) for rows in found)

    def _together(self) -> int:
        """Inputs that are read before they are predicted: whole batches of small images."""
        if self.predictor.sampling != "whole":
            return 1
        size, batch = self.preparation.size or self.predictor.size, self.predictor.batch
        several = TOGETHER // (4 * self.preparation.channels * prod(size))
        return batch * ceil(max(1, min(CHUNK, several)) / batch)

    def _rows(self, inputs: list[Input], outcome: Outcome) -> Iterator[tuple[Input, list]]:
        ready: list[tuple[Input, np.ndarray]] = []
        for one in inputs:
            with reported(one, outcome):
                ready.append((one, prepare_sample(self.sample(one), self.preparation)[0]))
        if not ready:
            return
        try:
            together = self._answers(ready)
        except PlanError as error:  # memory does not hold the smallest pass
            outcome.failed += [{"path": str(one.path), "error": str(error)} for one, _ in ready]
            return
        yield from ((one, [row]) for (one, _), row in zip(ready, together, strict=True))

    def _answers(self, ready: list[tuple[Input, np.ndarray]]) -> np.ndarray:
        """A row for each prepared image."""
        held = sum(image.nbytes for _, image in ready)
        if self.predictor.sampling == "whole":
            predictor = self.fitting.to(ready[0][1].shape, 2 * held)
            return predictor.run(np.stack([image for _, image in ready]))
        return np.concatenate([self.fitting.to(i.shape, held).case(i) for _, i in ready])


@contextmanager
def reported(one: Input, outcome: Outcome) -> Iterator[None]:
    """What is wrong with one input, or too large of it, does not keep the others from going on."""
    try:
        yield
    except Unavailable:  # no other input would fare better
        raise
    except (ConvivoError, OSError) as error:
        outcome.failed.append({"path": str(one.path), "error": str(error)})
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        rule, remedy = "an input must fit into memory", "Free memory, or cut the input into parts"
        told = PlanError(one.path, rule, "out of memory while reading or writing it", remedy)
        outcome.failed.append({"path": str(one.path), "error": str(told)})


def _name(one: Input, beats: bool) -> str:
    return one.record if beats else one.id


def _chunks(inputs: list[Input], size: int) -> Iterator[list[Input]]:
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]
