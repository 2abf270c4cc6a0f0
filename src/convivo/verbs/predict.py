"""predict: a trained run applied to new files.

Label maps come back on each input's own grid, everything else in a table.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.loading import load
from convivo.data.sample import Case, Index, Sample
from convivo.data.store import prepare_sample
from convivo.errors import ConvivoError, UsageError
from convivo.inference.predictor import Predictor
from convivo.progress import Progress
from convivo.verbs.beat_files import predict_record
from convivo.verbs.fixing import set_threads
from convivo.verbs.inputs import Input, find_inputs
from convivo.verbs.run import Run, as_run
from convivo.verbs.setup import build_predictor, build_preparation, build_task, pick_device
from convivo.verbs.tables import Table

CHUNK = 128  # small images predicted together


@dataclass
class Outcome:
    """What happened to the inputs. positions: record -> where its beats' places came from."""

    done: int = 0
    skipped: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    positions: dict[str, str] = field(default_factory=dict)


def predict(
    run: Run | str | Path,
    inputs: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    overwrite: bool = False,
    shard: str | None = None,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Predict files.

    Args:
        run: a run or its folder.
        inputs: a file, files, or folders.
        out: the folder to write to. Finished outputs in it are skipped unless `overwrite`.
        shard: "I/N": the I-th of N equal parts of the inputs, counted from 1.
        backend: "auto" or "torch".
    Returns:
        {"schema": 1, "done", "skipped", "failed": [{"path", "error"}], "backend", "seconds"}.
        A bad input is reported there and the rest go on.
    Raises:
        ReadError: no input at all. UsageError: a bad option.
    """
    began = time.monotonic()
    run, out = as_run(run), Path(out)
    _check_options(backend, out)
    plan = run.plan
    found = find_inputs([inputs] if isinstance(inputs, str | Path) else list(inputs))
    mine = _shard(found, shard)
    set_threads(threads or plan["threads"])
    network = run.network.to(pick_device(device))
    task = build_task(plan)
    predictor = build_predictor(plan, network, task)
    if task.output == "map":
        _check_targets(found, out)
    bar = Progress("predicting", len(mine), unit="inputs", quiet=quiet)
    worker = _Worker(plan=plan, predictor=predictor, out=out, overwrite=overwrite, shard=shard)
    outcome = worker.maps(mine, bar) if task.output == "map" else worker.tables(mine, bar)
    bar.close()
    document = {
        "schema": 1,
        "done": outcome.done,
        "skipped": outcome.skipped,
        "failed": outcome.failed,
        "backend": "torch",
        "seconds": round(time.monotonic() - began, 3),
    }
    return document | ({"beat_positions": outcome.positions} if outcome.positions else {})


def _check_options(backend: str, out: Path) -> None:
    if backend not in ("auto", "torch"):
        raise UsageError("--backend", "auto or torch", repr(backend), "Use --backend torch")
    if out.exists() and not out.is_dir():
        raise UsageError(out, "--out must be a folder", "a file", "Name another one")


def _shard(found: list[Input], shard: str | None) -> list[Input]:
    if shard is None:
        return found
    part, _, parts = shard.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise UsageError("--shard", "I/N with 1 <= I <= N", repr(shard), "Write for example 2/4")
    return found[int(part) - 1 :: int(parts)]


def _check_targets(found: list[Input], out: Path) -> None:
    """Refuse to write two maps to one file, or a map over an image."""
    targets = {one.id: (out / one.map_name).resolve() for one in found}
    sources = {one.path.resolve() for one in found}
    over = next((name for name, target in targets.items() if target in sources), None)
    if over is not None:
        remedy = "Name another folder"
        raise UsageError("--out", "label maps are not written over images", repr(over), remedy)
    taken: dict[Path, str] = {}
    for name, target in targets.items():
        if target in taken:
            rule, got = "inputs need label maps of different names", f"{taken[target]!r}, {name!r}"
            remedy = f"Both would be {target.name}: predict them into two folders"
            raise UsageError("predict", rule, got, remedy)
        taken[target] = name


@dataclass(kw_only=True)
class _Worker:
    """One prediction run: the parts that every input shares."""

    plan: Any
    predictor: Predictor
    out: Path
    overwrite: bool
    shard: str | None

    def __post_init__(self) -> None:
        self.preparation = build_preparation(self.plan)
        self.index = Index(
            layout="array", root=Path(), task=self.plan["task"], cases=(),
            spatial_dims=self.preparation.spatial_dims,
        )  # fmt: skip

    def _sample(self, one: Input) -> Sample:
        return load(Case(id=one.id, image=(str(one.path),), index=one.index), self.index)

    def maps(self, inputs: list[Input], bar: Progress) -> Outcome:
        """A label map a file, in the file's own format and grid."""
        from convivo.arrays.preparation import restore_labels
        from convivo.data.readers import write_labels

        values = np.asarray(self.plan.get("label_values") or range(self.predictor.task.outputs))
        outcome = Outcome()
        for number, one in enumerate(inputs, 1):
            target = self.out / one.map_name
            if not self.overwrite and target.exists():
                outcome.skipped += 1
                bar.update(number)
                continue
            try:
                image, placement, _ = prepare_sample(self._sample(one), self.preparation)
                labels = restore_labels(self.predictor.map(image).argmax(axis=0), placement)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_labels(target, values[labels], like=one.path)
                outcome.done += 1
            except (ConvivoError, OSError) as error:
                outcome.failed.append({"path": str(one.path), "error": str(error)})
            bar.update(number)
        return outcome

    def tables(self, inputs: list[Input], bar: Progress) -> Outcome:
        """Rows of probabilities in one predictions.csv; of a record with beats a row a beat."""
        beats = self.predictor.sampling == "window"
        name = "predictions.csv"
        if self.shard is not None:
            name = f"predictions_{self.shard.replace('/', '_of_')}.csv"
        table = Table(self.out / name, list(self.predictor.task.classes), beats=beats)
        if not self.overwrite:
            table.read()
        outcome, answered = Outcome(), 0
        for chunk in _chunks(inputs, 1 if beats else CHUNK):
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
            try:
                folder = (self.out / one.record).parent
                rows, source = predict_record(
                    self.predictor, self.preparation, self._sample(one), one.path, folder
                )
                outcome.positions[one.id] = source
                yield one, rows
            except (ConvivoError, OSError) as error:
                outcome.failed.append({"path": str(one.path), "error": str(error)})

    def _rows(self, inputs: list[Input], outcome: Outcome) -> Iterator[tuple[Input, list]]:
        ready: list[tuple[Input, np.ndarray]] = []
        for one in inputs:
            try:
                ready.append((one, prepare_sample(self._sample(one), self.preparation)[0]))
            except (ConvivoError, OSError) as error:
                outcome.failed.append({"path": str(one.path), "error": str(error)})
        if not ready:
            return
        if self.predictor.sampling == "whole":
            together = self.predictor.run(np.stack([image for _, image in ready]))
        else:
            together = np.concatenate([self.predictor.case(image) for _, image in ready])
        yield from ((one, [row]) for (one, _), row in zip(ready, together, strict=True))


def _name(one: Input, beats: bool) -> str:
    return one.record if beats else one.id


def _chunks(inputs: list[Input], size: int) -> Iterator[list[Input]]:
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]
