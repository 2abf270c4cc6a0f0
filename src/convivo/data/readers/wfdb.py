"""WFDB records (`.hea` beside its signal files) and their annotation files.

First step of the road for PhysioNet data: path -> Header or Raw, annotation path -> Events.
Everything is read from the folder of the header; nothing is ever fetched.
"""

import re
import tempfile
import threading
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.sample import Events, Header, Raw
from convivo.errors import ConvivoError, ReadError, UsageError

SUFFIXES: tuple[str, ...] = (".hea",)

# ANSI/AAMI EC57 classes of the beat symbols. B n r ? are not in MIT-BIH and follow the mapping of
# the WFDB library (ecgmap.h). Symbols that are not here are rhythm, noise and signal marks.
AAMI: dict[str, str] = {
    **dict.fromkeys("NLRejBn", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VEr", "V"),
    "F": "F",
    **dict.fromkeys("/fQ?", "Q"),
}

# Annotators whose marks are beats, in order of trust: audited first, automatic last.
BEAT_ANNOTATORS = ("atr", "man", "ecg", "ari", "qrs", "qrsc")
_RHYTHM_LEADS = ("MLII", "II")
_TO_MILLIVOLT = {"V": 1e3, "uV": 1e-3, "µV": 1e-3, "μV": 1e-3, "nV": 1e-6}
# Compressed formats (508, 516, 524) are absent: their size does not follow from their length.
_BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}
_SUBJECT = re.compile(
    r"(?:patient|subject)(?:[ _-]?(?:id|no|number|code))?\.?(?:\s*[:=]\s*|\s+)([\w-]*\d[\w-]*)$",
    re.I,
)
# The package is not safe to silence from several threads at once (warning filters are global).
_QUIET = threading.RLock()


def header(path: Path, index: int | None = None) -> Header:
    """The header of a record, checked against the size of its signal files.

    Returns:
        shape (n_samples,), spacing in seconds, leads as channel names, subject where a comment
        of the header plainly names one ("Patient ID: 17").
    Raises:
        ReadError: no such record, a damaged header, a missing or truncated signal file.
        UsageError: the package wfdb is missing.
    """
    record, length = _record(Path(path))
    return Header(
        shape=(length,),
        channels=record.n_sig,
        dtype="float32",
        axes="T",
        spacing=(1.0 / float(record.fs),),
        spacing_unit="s",
        channel_names=tuple(str(name) for name in record.sig_name or ()),
        subject=_subject(record.comments),
    )


def read(path: Path, index: int | None = None) -> Raw:
    """A record in physical units: (C, T) float32, voltages in mV, missing samples as NaN.

    Signals of a higher rate are averaged to the frame rate; the segments of a multi-segment
    record are joined.

    Raises:
        ReadError: as in `header`, or signal files that cannot be decoded.
    """
    path = Path(path)
    head = header(path)
    with _quiet(path) as wfdb:
        record = wfdb.rdrecord(_stem(path), return_res=32)
        signal = np.array(record.p_signal.T, dtype=np.float32, order="C")
    for lead, unit in zip(signal, record.units, strict=True):
        lead *= np.float32(_TO_MILLIVOLT.get(unit, 1.0))
    if signal.shape != (head.channels, *head.shape):
        rule = f"the header promises {head.channels} signals of {head.shape[0]} samples"
        raise ReadError(path, rule, f"{signal.shape[0]} of {signal.shape[1]}", "Fetch it again")
    return Raw(array=signal, header=head)


def segments(path: Path) -> tuple[str, ...]:
    """Names of the segment headers that a multi-segment record joins; () for a plain one.

    Raises:
        ReadError: no such record or a damaged header.
    """
    record = _bare_header(Path(path))
    return tuple(name for name in getattr(record, "seg_name", None) or () if name != "~")


def read_beats(path: Path) -> tuple[np.ndarray, list[str]]:
    """The beats of an annotation file: positions (n,) int64 in samples, and their symbols.

    Positions are at the rate of the record beside the file, sorted.

    Raises:
        ReadError: a missing, truncated or damaged annotation file.
    """
    path = Path(path)
    _check_annotation(path)
    with _quiet(path) as wfdb:
        marks = wfdb.rdann(_stem(path), path.suffix[1:])
    kept = [i for i, symbol in enumerate(marks.symbol) if symbol in AAMI]
    positions = np.asarray(marks.sample, dtype=np.int64)[kept] * _rate_ratio(path, marks.fs)
    order = np.argsort(positions, kind="stable")
    symbols = [marks.symbol[kept[i]] for i in order]
    return np.rint(positions[order]).astype(np.int64), symbols


def read_events(path: str | Path, classes: Sequence[str]) -> Events:
    """The beats of an annotation file as class indices; -1 for a class that is not in `classes`.

    Raises:
        ReadError: as in `read_beats`.
    Source: ANSI/AAMI EC57, classes N S V F Q.
    """
    positions, symbols = read_beats(Path(path))
    place = {name: i for i, name in enumerate(classes)}
    labels = [place.get(AAMI[symbol], -1) for symbol in symbols]
    return Events(positions=positions, labels=np.asarray(labels, dtype=np.int64))


def beat_positions(record: Path) -> tuple[np.ndarray, str]:
    """Where the beats of a record are, and which source says so.

    Returns:
        positions (n,) int64 in samples, and the annotator ("atr", "qrs", ...) found beside the
        record, or "xqrs" where the detector found them itself on lead MLII or II, else the first.
    Raises:
        ReadError: the record or its annotation cannot be read.
    """
    record = Path(record)
    for annotator in BEAT_ANNOTATORS:
        path = record.with_name(f"{Path(_stem(record)).name}.{annotator}")
        if path.is_file():
            positions, _ = read_beats(path)
            if positions.size:
                return positions, annotator
    raw = read(record)
    names = [name.upper() for name in raw.header.channel_names]
    lead = next((names.index(name) for name in _RHYTHM_LEADS if name in names), 0)
    return detect_beats(raw.array[lead], 1.0 / (raw.header.spacing or (1.0,))[0]), "xqrs"


def detect_beats(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    """QRS positions (n,) int64 of one ECG lead (T,), by the detector XQRS of wfdb.

    Gaps (NaN) are bridged by straight lines; a flat or very short lead has no beats.

    Raises:
        UsageError: the package wfdb is missing.
    """
    known = np.isfinite(signal)
    # The detector learns its thresholds from ten seconds and fails on less than a few windows.
    if known.sum() < 2 * rate_hz or np.ptp(signal[known]) == 0:
        return np.zeros(0, dtype=np.int64)
    times = np.arange(signal.size)
    filled = np.interp(times, times[known], signal[known].astype(np.float64))
    with _quiet("XQRS"):
        from wfdb import processing

        found = processing.xqrs_detect(filled, fs=rate_hz, verbose=False)
    return np.sort(np.asarray(found, dtype=np.int64))


def write_annotation(
    record_name: str,
    positions: np.ndarray,
    symbols: Sequence[str],
    fs: float,
    out_dir: Path,
    extension: str = "cvo",
) -> Path:
    """Write beats as `out_dir/record_name.extension`, whole or not at all.

    Args:
        positions: (n,) sample indices, ascending. symbols: one beat symbol (or AAMI class) each.
        fs: samples per second. extension: name of the annotator, letters only.
    Returns:
        The path of the file.
    Raises:
        UsageError: positions and symbols differ in number, positions descend or are negative.
    """
    positions = np.asarray(positions, dtype=np.int64)
    _check_marks(record_name, positions, symbols)
    target = Path(out_dir) / f"{record_name}.{extension}"
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".annotation-") as folder:
        # The package allows no dots or blanks in names, so it writes under a plain one.
        made = Path(folder) / f"record.{extension}"
        if positions.size:
            with _quiet(target) as wfdb:
                wfdb.wrann(
                    "record", extension, positions, symbol=list(symbols), fs=fs, write_dir=folder
                )
        else:
            made.write_bytes(b"\0\0")  # the end mark alone: a file without annotations
        made.replace(target)
    return target


def _check_marks(name: str, positions: np.ndarray, symbols: Sequence[str]) -> None:
    if positions.ndim != 1 or positions.size != len(symbols):
        got = f"{positions.size} positions and {len(symbols)} symbols"
        raise UsageError(name, "an annotation needs one symbol per position", got, "Match them")
    if positions.size and (positions[0] < 0 or np.any(np.diff(positions) < 0)):
        remedy = "Sort positions and symbols together"
        raise UsageError(name, "positions ascend from 0", positions[:8].tolist(), remedy)
    unknown = sorted(set(symbols) - set(AAMI))
    if unknown:
        raise UsageError(name, "symbols are beat symbols", unknown, f"Known: {' '.join(AAMI)}")


def _record(path: Path) -> tuple[Any, int]:
    """The wfdb header object and the number of samples per signal."""
    record = _bare_header(path)
    parts = [record]
    if segments_ := getattr(record, "seg_name", None):
        _check_names(path, segments_)
        with _quiet(path) as wfdb:
            record = wfdb.rdheader(_stem(path), rd_segments=True)
        parts = [part for part in record.segments if part is not None]
    if not record.n_sig or not record.fs:
        got = f"{record.n_sig} signals at {record.fs} Hz"
        raise ReadError(path, "a record needs signals and a rate", got, "Leave it out")
    lengths = [_check_files(path, part) for part in parts]
    return record, int(lengths[0] if record.sig_len is None else record.sig_len)


def _bare_header(path: Path) -> Any:
    if not path.is_file():
        raise ReadError(path, "a WFDB record needs its header", "no such file", "Check the path")
    with _quiet(path) as wfdb:
        return wfdb.rdheader(_stem(path))


def _check_names(path: Path, names: Iterable[str]) -> None:
    """Refuse names that lead out of the folder, or to a network address of the package's."""
    for name in names:
        if "::" in name or "://" in name or ".." in name or Path(name).is_absolute():
            rule = "a header names files of its own folder"
            raise ReadError(path, rule, repr(name), "Correct the header")


def _check_files(path: Path, record: Any) -> int:
    """Compare the signal files with the header; the length in samples it implies."""
    names = record.file_name or []
    _check_names(path, names)
    length = record.sig_len
    for name in dict.fromkeys(name for name in names if name != "~"):
        first = names.index(name)
        file = path.parent / name
        if not file.is_file():
            raise ReadError(path, "its signal file must be there", f"no {name}", "Add the file")
        bits = _BITS.get(record.fmt[first])
        if bits is None:
            continue
        rates = zip(record.samps_per_frame, names, strict=True)
        per_frame = sum(count for count, owner in rates if owner == name)
        offset, size = record.byte_offset[first] or 0, file.stat().st_size
        if length is None:
            length = (size - offset) * 8 // (bits * per_frame)
        needed = offset + -(-length * per_frame * bits // 8)
        if size < needed:
            got = f"{name} truncated at {size} bytes"
            raise ReadError(path, f"{name} must hold {needed} bytes", got, "Fetch the file again")
    return int(length or 0)


def _check_annotation(path: Path) -> None:
    """An annotation file ends with a pair of zero bytes; without them its tail is lost."""
    if not path.is_file():
        raise ReadError(path, "an annotation file must be there", "no such file", "Check the path")
    content = path.read_bytes()
    if len(content) % 2 or content[-2:] != b"\0\0":
        got = f"{len(content)} bytes without it (truncated)"
        raise ReadError(path, "an annotation file ends with an end mark", got, "Fetch it again")


def _rate_ratio(path: Path, rate_hz: float | None) -> float:
    """Samples of the record per tick of the annotation file."""
    head = path.with_name(f"{path.stem}.hea")
    if not rate_hz or not head.is_file():
        return 1.0
    own = _bare_header(head).fs
    return float(own) / float(rate_hz) if own else 1.0


def _subject(comments: Iterable[str] | None) -> str | None:
    """The patient or subject id that a header comment plainly states.

    Example:
        >>> _subject(["75 F 1011", "Patient ID: 17"]), _subject(["subject age: 54"])
        ('17', None)
    """
    found = (_SUBJECT.match(comment.strip()) for comment in comments or ())
    return next((match.group(1) for match in found if match), None)


def _stem(path: Path) -> str:
    """The record name as the package wants it: the path without its suffix, dots kept."""
    return str(path.absolute())[: -len(path.suffix)] if path.suffix else str(path.absolute())


@contextmanager
def _quiet(where: object) -> Generator[Any, None, None]:
    """The package wfdb without its warnings, any exception of it as a ReadError."""
    try:
        with _QUIET, warnings.catch_warnings():
            # Importing is inside: the package's own imports warn as well.
            warnings.simplefilter("ignore")
            import wfdb

            yield wfdb
    except ConvivoError:
        raise
    except ImportError as error:
        remedy = "Run: pip install 'convivo[signals]'"
        raise UsageError(where, "WFDB records need the package wfdb", error, remedy) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        got = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise ReadError(where, "not a readable WFDB file", got, "Fetch it again") from error
