"""A record's beats: found, classified, and written under its name as a WFDB annotation."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from convivo.arrays.preparation import Preparation
from convivo.data.readers.wfdb import beat_positions, write_annotation
from convivo.data.sample import Events, Sample
from convivo.data.store import prepare_sample
from convivo.inference.predictor import Predictor

EXTENSION = "cvo"
Row = tuple[int, float, np.ndarray]


def predict_record(
    predictor: Predictor, preparation: Preparation, sample: Sample, path: Path, out: Path
) -> tuple[list[Row], str]:
    """Rows (sample index, seconds, probabilities) of a record's beats; writes `out/<record>.cvo`.

    Beat positions come from an annotation beside the record where there is one, else from a beat
    detector; the second value names the source ("atr", "qrs", "xqrs").
    """
    positions, source = beat_positions(path)
    nowhere = Events(positions=positions, labels=np.zeros(len(positions), np.int64))
    image, _, events = prepare_sample(replace(sample, target=nowhere), preparation)
    if not isinstance(events, Events):
        raise TypeError("events stay events")
    probabilities = predictor.windows(image, events.positions)
    rate = 1 / sample.spacing[0] if sample.spacing else 1.0
    symbols = [predictor.task.classes[int(p.argmax())] for p in probabilities]
    out.mkdir(parents=True, exist_ok=True)
    write_annotation(path.stem, positions, symbols, rate, out, extension=EXTENSION)
    rows = zip(positions.tolist(), (positions / rate).tolist(), probabilities, strict=True)
    return list(rows), source
