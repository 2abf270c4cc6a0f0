"""BrainVision recordings (.vhdr with .eeg and .vmrk beside it) through MNE (extra `brainvision`).

Voltages come in mV, as from every other recording.
"""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.readers.edf import Annotation
from convivo.data.readers.failures import missing_extra
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES = (".vhdr",)
COMPANION = re.compile(r"^(DataFile|MarkerFile)\s*=\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)
VOLTS_TO_MILLIVOLTS = 1e3


def header(path: Path, index: int | None = None) -> Header:
    """Samples, channels with their names, rate; nothing else is read.

    Raises:
        ReadError: no such format, its files are missing or lie elsewhere.
        UsageError: the package mne is missing.
    """
    return _header(_opened(path))


def read(path: Path, index: int | None = None) -> Raw:
    """The recording as (C, T) float32. Raises as `header` does."""
    recording = _opened(path)
    values = recording.get_data() * VOLTS_TO_MILLIVOLTS
    return Raw(array=np.ascontiguousarray(values, dtype=np.float32), header=_header(recording))


def read_annotations(path: Path) -> list[Annotation]:
    """The markers, ordered by time. Raises as `header` does."""
    recording = _opened(path)
    marks, sample = recording.annotations, 1.0 / float(recording.info["sfreq"])
    rows = zip(marks.onset, marks.duration, marks.description, strict=True)
    # a marker of one sample is a moment
    return [Annotation(float(o), float(d) if d > sample else None, str(t)) for o, d, t in rows]


def _header(recording: Any) -> Header:
    return Header(
        shape=(int(recording.n_times),),
        channels=len(recording.ch_names),
        dtype="float32",
        axes="T",
        spacing=(1.0 / float(recording.info["sfreq"]),),
        spacing_unit="s",
        channel_names=tuple(map(str, recording.ch_names)),
    )


def _opened(path: Path) -> Any:
    _check_companions(path)
    try:
        from mne.io import read_raw_brainvision
    except ImportError as error:
        raise missing_extra("mne", "eeg", str(path)) from error
    with warnings.catch_warnings():  # its doubts about units and dates are no faults of the signal
        warnings.simplefilter("ignore")
        return read_raw_brainvision(path, preload=False, verbose="ERROR")


def _check_companions(path: Path) -> None:
    """Refuse a header that names files outside its folder, and say which file is missing."""
    text = path.read_bytes()[:65536].decode("utf-8", errors="replace")
    for kind, name in COMPANION.findall(text):
        shown = name.replace("$b", path.stem)
        if "/" in shown or "\\" in shown or ".." in shown:
            rule = "a header names files of its own folder"
            raise ReadError(path, rule, f"{kind}={name!r}", "Correct the header")
        if not (path.parent / shown).is_file():
            rule, remedy = f"its {kind} lies beside it", "Put the files in one folder"
            raise ReadError(path, rule, f"no {shown}", remedy)
