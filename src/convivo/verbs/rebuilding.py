"""Predictions that rebuild inputs: images in their own format and units, scores in a table."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from convivo.arrays.channels import select_channels
from convivo.arrays.normalization import denormalize
from convivo.arrays.placement import Placement
from convivo.data.readers import stem_of
from convivo.data.readers.pictures import image_suffix, write_image
from convivo.data.readers.wfdb import beat_positions
from convivo.data.sample import Events, Sample
from convivo.data.store import prepare_sample
from convivo.inference.predictor import Predictor
from convivo.progress import Progress
from convivo.verbs.inputs import Input
from convivo.verbs.predicting import RECORD, Outcome, Worker, reported
from convivo.verbs.tables import Table

SCORES = "_score"  # what the file of a score map is called after its image


def rebuild(worker: Worker, inputs: list[Input], bar: Progress, *, maps: bool) -> Outcome:
    """An image an input, its anomaly score in predictions.csv; with `maps` where the errors are.

    Of a record with beats the windows around them, (n, C, T) as the network saw them, and a row
    a beat.
    """
    beats = worker.predictor.sampling == "window"
    table = Table(worker.out / worker.table_name, worker.predictor.task, beats=beats)
    if not worker.overwrite:
        table.read()
    outcome = Outcome()
    for done, one in enumerate(inputs, 1):
        target = worker.out / _named(one, beats)
        name = one.record if beats else one.id
        if not worker.overwrite and table.has(name) and target.exists():
            outcome.skipped += 1
        else:
            with reported(one, outcome):
                rows = _record(worker, one, target) if beats else _image(worker, one, target, maps)
                table.add(name, rows)
                outcome.done += 1
                table.write()
        bar.update(done)
    if not table.path.exists():
        table.write()
    return outcome


def _named(one: Input, beats: bool) -> str:
    if beats:
        return f"{one.record}.npy"
    suffix = image_suffix(one.path, item=one.index is not None)
    return f"{one.id}{suffix}" if one.index is not None else _stem(one.id) + suffix


def _stem(name: str) -> str:
    return (Path(name).parent / stem_of(name)).as_posix()


def _image(worker: Worker, one: Input, target: Path, maps: bool) -> list[np.ndarray]:
    sample = worker.sample(one)
    image, placement, _ = prepare_sample(sample, worker.preparation)
    predictor = worker.fitting.to(image.shape, 2 * image.nbytes)
    found = predictor.case(image)[0]
    like = one.path if one.index is None else None
    write_image(target, restored(found, placement, sample, worker), like=like)
    if maps:
        errors = _scaled(predictor, found - image) ** 2
        place = target.with_name(f"{stem_of(target)}{SCORES}{_float_suffix(target)}")
        write_image(place, _back(errors.mean(0, keepdims=True), placement), like=like)
    return [_score(predictor, image[None], found[None])[0]]


def restored(found: np.ndarray, placement: Placement, sample: Sample, worker: Worker) -> np.ndarray:
    """A reconstruction (C, *P) on its image's own grid, in the units and dtype stored there.

    What the network did not see of an image too long for it is the mean of its channel.
    """
    seen = worker.preparation
    like = select_channels(
        sample.image, seen.channels, wanted=seen.channel_names, names=sample.channel_names
    )
    return denormalize(
        _back(found, placement), like, seen.normalization, mean=seen.mean, std=seen.std
    )


def _back(values: np.ndarray, placement: Placement) -> np.ndarray:
    """Channel by channel, since channels are no probabilities of which one must be sure."""
    rows = [placement.probabilities_back(channel[None]) for channel in values]
    return np.ascontiguousarray(np.concatenate(rows), np.float32)


def _record(worker: Worker, one: Input, target: Path) -> list[tuple[int, float, np.ndarray]]:
    sample = worker.sample(one)
    positions, _ = beat_positions(one.path)
    nowhere = Events(positions=positions, labels=np.zeros(len(positions), np.int64))
    image, _, events = prepare_sample(replace(sample, target=nowhere), worker.preparation)
    assert isinstance(events, Events), "events stay events"
    shape = (worker.preparation.channels, *worker.predictor.size)
    predictor = worker.fitting.to(shape, sample.image.nbytes + RECORD * sample.image.size)
    found, windows = (call(image, events.positions) for call in (predictor.windows, predictor.cut))
    write_image(target, found.astype(np.float32))
    rate = 1 / sample.spacing[0] if sample.spacing else 1.0
    scores = _score(predictor, windows, found)
    rows = zip(positions.tolist(), (positions / rate).tolist(), scores, strict=True)
    return list(rows)


def _score(predictor: Predictor, images: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(n, 1) the anomaly score of each item, as an evaluation has it."""
    answer = predictor.task.collect(found, None, image=images, quick=True)
    return answer["mse"][:, None]


def _scaled(predictor: Predictor, values: np.ndarray) -> np.ndarray:
    scale = getattr(predictor.task, "scale", None)
    return values if not scale else values * np.reshape(scale, (-1, *[1] * (values.ndim - 1)))


def _float_suffix(target: Path) -> str:
    """A PNG holds no fractions."""
    suffix = image_suffix(target)
    return ".npy" if suffix == ".png" else suffix
