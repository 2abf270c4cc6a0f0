"""Annotations of recordings (EDF+, BrainVision) -> labelled moments, where their texts are classes.

Sleep stages of any length become the epochs of 30 s in which they were scored.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from convivo.data.readers import reader_for
from convivo.data.readers.edf import Annotation
from convivo.data.sample import Events, Header
from convivo.errors import ReadError

EPOCH_S = 30.0  # of sleep scoring: Rechtschaffen & Kales 1968, AASM 2007
STAGE = "sleep stage"
NO_STAGE = ("sleep stage ?", "sleep stage u")
FEWEST = 5  # of a text over all recordings; rarer ones are remarks
MOST_CLASSES = 20


def read_annotations(path: Path) -> list[Annotation]:
    """The annotations of a recording, or of a file of annotations alone.

    Raises:
        ReadError: a format without annotations, a damaged file.
    """
    module = reader_for(path)
    if module is None or not hasattr(module, "read_annotations"):
        raise ReadError(path, "annotations are in EDF+ or BrainVision", path.suffix, "Convert it")
    return module.read_annotations(path)


def classes_in(lists: Iterable[Sequence[Annotation]]) -> tuple[str, ...]:
    """The texts that are classes, by name: sleep stages where there are any, else texts that occur
    at least five times in all; () where those are fewer than two or more than twenty.

    Example:
        >>> classes_in([[Annotation(float(i), None, t) for i, t in enumerate("ababababab!")]])
        ('a', 'b')
    """
    counts = Counter(mark.text for marks in lists for mark in marks)
    stages = {t for t in counts if t.lower().startswith(STAGE) and t.lower() not in NO_STAGE}
    found = stages or {text for text, count in counts.items() if count >= FEWEST}
    return tuple(sorted(found)) if 2 <= len(found) <= MOST_CLASSES else ()


def read_moments(path: Path, classes: Sequence[str], header: Header) -> Events:
    """The annotations of a class as moments of the recording whose header is given.

    An annotation without duration is where it begins, a short one in its middle; one longer than
    an epoch is cut into epochs of 30 s, the middle of each. Moments beyond the recording's end
    are left out.

    Raises:
        ReadError: as `read_annotations`.
    """
    place = {name: i for i, name in enumerate(classes)}
    rate = 1.0 / (header.spacing or (1.0,))[0]
    rows = [
        (round(second * rate), place[mark.text])
        for mark in read_annotations(path)
        if mark.text in place
        for second in _middles(mark)
    ]
    rows = sorted((at, label) for at, label in rows if 0 <= at < header.shape[0])
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Events(positions=table[:, 0].copy(), labels=table[:, 1].copy())


def _middles(mark: Annotation) -> list[float]:
    if not mark.duration_s:
        return [mark.onset_s]
    if mark.duration_s <= EPOCH_S:
        return [mark.onset_s + mark.duration_s / 2]
    epochs = int(mark.duration_s // EPOCH_S)
    return [mark.onset_s + EPOCH_S * (i + 0.5) for i in range(epochs)]
