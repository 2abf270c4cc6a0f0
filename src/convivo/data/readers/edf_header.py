"""The header and the annotation signal of EDF, EDF+ and BDF files, checked against the file.

Source: Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), www.edfplus.info.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convivo.data.readers.failures import truncated
from convivo.errors import ReadError

FIXED = 256  # bytes of the header, and again for every signal
FIELDS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # label ... samples per record, reserved
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
STATUS = "Status"  # triggers of BioSemi, bits and no signal
MOST_SIGNALS = 9999
REMEDY = "Replace the file or export it again"
TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14((?:[^\x00]*\x14)?)\x00")


@dataclass(frozen=True)
class Signal:
    """A channel: samples per record, byte offset in a record, calibration digital -> physical."""

    label: str
    unit: str
    samples: int
    offset: int
    physical: tuple[float, float]
    digital: tuple[float, float]

    @property
    def gain(self) -> float:
        """Physical units per digital step."""
        return (self.physical[1] - self.physical[0]) / (self.digital[1] - self.digital[0])


@dataclass(frozen=True)
class EdfHeader:
    """What the header says. width: bytes per sample; signals: ordinary ones; notes: annotations'.

    subject: the patient's code of EDF+; the patient's name is not kept anywhere.
    """

    path: Path
    width: int
    start: int
    records: int
    record_bytes: int
    record_s: float
    continuous: bool
    subject: str | None
    signals: tuple[Signal, ...]
    notes: tuple[Signal, ...]


def edf_header(path: Path) -> EdfHeader:
    """The header of a file.

    Raises:
        ReadError: no EDF or BDF, a broken header, less data than it promises.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(FIXED)
        _check_magic(path, fixed, size)
        count = _whole(path, fixed[252:256], "the number of signals", 1, MOST_SIGNALS)
        table = file.read(FIXED * count)
    if len(table) < FIXED * count:
        raise truncated(path, f"{size} bytes, within the header")
    width = 3 if fixed[0] == 0xFF else 2
    plus = fixed[192:236].decode("latin-1").strip()
    signals = _signals(path, table, count, width)
    record_bytes = width * sum(signal.samples for signal in signals)
    start = FIXED * (count + 1)
    records = _records(path, fixed, size - start, record_bytes)
    bare = tuple(s for s in signals if s.label not in ANNOTATIONS)
    if width == 3:
        bare = tuple(s for s in bare if s.label != STATUS)
    notes = tuple(s for s in signals if s.label in ANNOTATIONS)
    record_s = _number(path, fixed[244:252], "the duration of a record")
    if bare and record_s <= 0:
        rule = "a record of signals lasts more than 0 s"
        raise ReadError(path, rule, f"{record_s:g} s", REMEDY)
    return EdfHeader(
        path, width, start, records, record_bytes, record_s,
        continuous=not plus.startswith(("EDF+D", "BDF+D")),
        subject=_subject(fixed[8:88]) if plus.startswith(("EDF+", "BDF+")) else None,
        signals=bare, notes=notes,
    )  # fmt: skip


def annotation_lists(head: EdfHeader) -> Iterator[list[tuple[float, float | None, str]]]:
    """Per record its annotations (onset s, duration s or None, text); the first keeps the time.

    Raises:
        ReadError: an annotation signal that is none.
    """
    with head.path.open("rb") as file:
        for record in range(head.records):
            found: list[tuple[float, float | None, str]] = []
            for note in head.notes:
                file.seek(head.start + record * head.record_bytes + note.offset)
                found += _texts(head.path, file.read(note.samples * head.width), record)
            yield found


def _texts(path: Path, data: bytes, record: int) -> Iterator[tuple[float, float | None, str]]:
    matches = list(TAL.finditer(data))
    if not matches and data.strip(b"\0"):
        rule = "annotations are lists of onset, duration and text"
        raise ReadError(path, rule, f"{data[:20]!r} in record {record}", REMEDY)
    for match in matches:
        onset = float(match[1])
        duration = float(match[2]) if match[2] else None
        for text in match[3].split(b"\x14")[: -1 if match[3] else 1]:
            yield onset, duration, text.decode("utf-8", errors="replace").strip()


def _check_magic(path: Path, fixed: bytes, size: int) -> None:
    if not size:
        raise ReadError(path, "must be an EDF or BDF file", "an empty file", REMEDY)
    if fixed[:8].strip() not in (b"0", b"\xffBIOSEMI"):
        rule = "must be an EDF or BDF file (it begins with 0, or with 255 and BIOSEMI)"
        raise ReadError(path, rule, repr(fixed[:8]), REMEDY)
    if len(fixed) < FIXED:
        raise truncated(path, f"{size} bytes, within the header")


def _signals(path: Path, table: bytes, count: int, width: int) -> tuple[Signal, ...]:
    columns, place = [], 0
    for length in FIELDS:
        column = table[place : place + length * count]
        columns.append([column[i * length : (i + 1) * length] for i in range(count)])
        place += length * count
    signals, offset = [], 0
    for i in range(count):
        label = columns[0][i].decode("latin-1").strip()
        numbers = [_number(path, columns[k][i], f"the range of {label!r}") for k in (3, 4, 5, 6)]
        samples = _whole(path, columns[8][i], f"the samples of {label!r}", 1, 2**31)
        if label not in ANNOTATIONS and (numbers[2] >= numbers[3] or numbers[0] == numbers[1]):
            rule = f"signal {label!r} has a range from low to high"
            got = "physical {:g} to {:g}, digital {:g} to {:g}".format(*numbers)
            raise ReadError(path, rule, got, REMEDY)
        unit = columns[2][i].decode("latin-1").strip()
        physical, digital = (numbers[0], numbers[1]), (numbers[2], numbers[3])
        signals.append(Signal(label, unit, samples, offset, physical, digital))
        offset += samples * width
    return tuple(signals)


def _records(path: Path, fixed: bytes, held: int, record_bytes: int) -> int:
    """The number of records; -1 means that the recording was not closed: what is there counts."""
    records = _whole(path, fixed[236:244], "the number of records", -1, 2**40)
    if records < 0:
        return held // record_bytes
    if held < records * record_bytes:
        got = f"{held} bytes where {records} records of {record_bytes} are promised"
        raise truncated(path, got)
    return records


def _subject(patient: bytes) -> str | None:
    """The first of the fields code, sex, birthdate, name; X is unknown."""
    code = patient.decode("latin-1").split(" ")[0]
    return None if code in ("", "X") else code


def _number(path: Path, field: bytes, what: str) -> float:
    text = field.decode("latin-1").strip(" \0").replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ReadError(path, f"{what} is a number", repr(text[:16]), REMEDY)
    return value


def _whole(path: Path, field: bytes, what: str, low: int, high: int) -> int:
    value = _number(path, field, what)
    if value != int(value) or not low <= value <= high:
        rule = f"{what} is a whole number from {low} to {high}"
        raise ReadError(path, rule, f"{value:g}", REMEDY)
    return int(value)
