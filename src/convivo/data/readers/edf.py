"""EDF, EDF+ and BDF recordings (.edf .bdf): every channel at one rate, in mV where it is a voltage.

Channels of another rate than the commonest (of equals, the highest) are resampled to it with
`scipy.signal.resample_poly`; gaps of a discontinuous file are NaN, so that time stays true.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from pathlib import Path

import numpy as np

from convivo.data.readers.edf_header import EdfHeader, Signal, annotation_lists, edf_header
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES = (".edf", ".bdf")
TO_MILLIVOLT = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
MOST_SPREAD = 4  # times its recorded length that a discontinuous file may span


@dataclass(frozen=True)
class Annotation:
    """A text of a recording: onset_s from its first sample, duration_s None where unsaid."""

    onset_s: float
    duration_s: float | None
    text: str


def header(path: Path, index: int | None = None) -> Header:
    """Samples at the common rate, channels and their labels; the patient's code as subject.

    Raises:
        ReadError: no EDF, no ordinary signal in it (annotations only), less data than promised,
            gaps longer than the recording is worth.
    """
    head = edf_header(path)
    samples = _common(head)
    return Header(
        shape=(_length(head, samples),),
        channels=len(head.signals),
        dtype="float32",
        axes="T",
        spacing=(head.record_s / samples,),
        spacing_unit="s",
        channel_names=_unlike([signal.label for signal in head.signals]),
        subject=head.subject,
    )


def read(path: Path, index: int | None = None) -> Raw:
    """The recording as (C, T) float32. Raises ReadError as `header` does."""
    head, own = edf_header(path), header(path)
    samples = _common(head)
    starts = _starts(head, samples)
    array = np.full((own.channels, *own.shape), np.nan, dtype=np.float32)
    stored = np.memmap(path, np.uint8, "r", head.start, (head.records, head.record_bytes))
    for first, last in _stretches(starts, samples):
        for row, signal in zip(array, head.signals, strict=True):
            values = _physical(stored[first:last], signal, head.width)
            values = _at_rate(values, signal.samples, samples)
            row[starts[first] : starts[first] + values.size] = values
    return Raw(array=array, header=own)


def read_annotations(path: Path) -> list[Annotation]:
    """The annotations of a file, ordered by time; [] where it has none.

    Raises:
        ReadError: no EDF, or an annotation signal that is none.
    """
    head = edf_header(path)
    lists = list(annotation_lists(head)) if head.notes else []
    zero = lists[0][0][0] if lists and lists[0] else 0.0  # a start within a second
    marks = [Annotation(on - zero, long, text) for one in lists for on, long, text in one if text]
    return sorted(marks, key=lambda mark: mark.onset_s)


def doubts(path: Path) -> list[tuple[str, str]]:
    """Codes and messages of what is odd in a recording that can be read: labels that two channels
    share (the second is called `label (2)`), rates that differ.

    Raises:
        ReadError: as `header`.
    """
    head = edf_header(path)
    found = []
    labels = Counter(signal.label for signal in head.signals)
    twice = [label for label, count in labels.items() if count > 1]
    if twice:
        shown = ", ".join(map(repr, twice))
        found.append(("duplicate-channels", f"{shown} names several channels of the recording"))
    rates = sorted({signal.samples / head.record_s for signal in head.signals})
    if len(rates) > 1:
        shown = ", ".join(f"{rate:g}" for rate in rates)
        common = _common(head) / head.record_s
        message = f"channels are sampled at {shown} Hz; all are resampled to {common:g} Hz"
        found.append(("mixed-rates", message))
    return found


def _unlike(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels made different: the second of a kind is `label (2)`.

    Example:
        >>> _unlike(["F1", "F2", "F1"])
        ('F1', 'F2', 'F1 (2)')
    """
    seen: Counter[str] = Counter()
    names = []
    for label in labels:
        seen[label] += 1
        names.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return tuple(names)


def _common(head: EdfHeader) -> int:
    """Samples per record of the commonest rate, of equals the highest."""
    if not head.signals or not head.records:
        got = "annotations only" if head.notes and head.records else "no record of a signal"
        remedy = "Give the recording it belongs to; this file may lie beside it as labels"
        raise ReadError(head.path, "a recording holds ordinary signals", got, remedy)
    counts = Counter(signal.samples for signal in head.signals)
    return max(counts, key=lambda samples: (counts[samples], samples))


def _length(head: EdfHeader, samples: int) -> int:
    return int(_starts(head, samples)[-1]) + samples


def _starts(head: EdfHeader, samples: int) -> np.ndarray:
    """The sample at which each record begins (records,); consecutive in a continuous file."""
    plain = np.arange(head.records, dtype=np.int64) * samples
    if head.continuous or not head.notes:
        return plain
    lists = list(annotation_lists(head))
    if not all(lists):
        rule = "every record of a discontinuous file says when it begins"
        raise ReadError(head.path, rule, "a record without", "Export it as a continuous file")
    seconds = np.array([one[0][0] for one in lists])
    starts = np.rint((seconds - seconds[0]) * samples / head.record_s).astype(np.int64)
    if (np.diff(starts) < samples).any():
        rule = "the records of a file follow each other in time"
        raise ReadError(head.path, rule, "records that overlap", "Export the file again")
    if starts[-1] + samples > MOST_SPREAD * (plain[-1] + samples):
        rule = f"a discontinuous file spans at most {MOST_SPREAD} times its recorded length"
        got = f"{seconds[-1] - seconds[0] + head.record_s:g} s for {head.records} records"
        raise ReadError(head.path, rule, got, "Save its parts as files")
    return starts


def _stretches(starts: np.ndarray, samples: int) -> Iterator[tuple[int, int]]:
    """First and past-the-last record of each stretch without a gap."""
    breaks = np.flatnonzero(np.diff(starts) != samples) + 1
    edges = [0, *breaks.tolist(), len(starts)]
    yield from pairwise(edges)


def _physical(records: np.ndarray, signal: Signal, width: int) -> np.ndarray:
    """(records, bytes) -> (T,) float64 in mV, or in the signal's own unit."""
    data = records[:, signal.offset : signal.offset + signal.samples * width]
    if width == 2:
        digital = np.ascontiguousarray(data).view("<i2").reshape(-1)
    else:
        wide = np.zeros((data.shape[0] * signal.samples, 4), np.uint8)
        wide[:, 1:] = np.ascontiguousarray(data).reshape(-1, 3)
        digital = wide.view("<i4").reshape(-1) >> 8  # the sign of 24 bits
    values = (digital - signal.digital[0]) * signal.gain + signal.physical[0]
    return values * TO_MILLIVOLT.get(signal.unit.lower(), 1.0)


def _at_rate(values: np.ndarray, own: int, wanted: int) -> np.ndarray:
    if own == wanted:
        return values
    from scipy.signal import resample_poly

    part = gcd(own, wanted)
    return resample_poly(values, wanted // part, own // part, padtype="line")
