"""Sounds of heart and lungs in WAV files, through SciPy; whole numbers as stored, a time axis.

The heads of the chunks are read here: SciPy would take a file that ends early for a shorter one.
"""

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convivo.data.readers.failures import truncated
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES = (".wav",)
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
DTYPES = {
    (PCM, 8): "uint8",
    (PCM, 16): "int16",
    (PCM, 24): "int32",  # in the upper three bytes
    (PCM, 32): "int32",
    (FLOAT, 32): "float32",
    (FLOAT, 64): "float64",
}
UNTOLD = (0, 2**32 - 1)  # lengths of a recording that was written while it went on


@dataclass(frozen=True)
class _Format:
    channels: int
    rate: int
    dtype: str
    frames: int


def header(path: Path, index: int | None = None) -> Header:
    """Samples, channels, rate; the sound itself is not read.

    Raises:
        ReadError: no RIFF file, a coding that is no plain numbers, or it ends early.
    """
    found = _format(path)
    return Header(
        shape=(found.frames,),
        channels=found.channels,
        dtype=found.dtype,
        axes="T",
        spacing=(1.0 / found.rate,),
        spacing_unit="s",
    )


def read(path: Path, index: int | None = None) -> Raw:
    """The sound as (C, T). Raises as `header` does."""
    from scipy.io import wavfile

    head = header(path)
    with warnings.catch_warnings():  # of chunks that say who recorded it
        warnings.simplefilter("ignore", wavfile.WavFileWarning)
        _, values = wavfile.read(path)
    array = np.ascontiguousarray(values.reshape(len(values), -1).T)
    return Raw(array=array, header=head)


def _format(path: Path) -> _Format:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            rule = "a WAV file begins with RIFF and WAVE"
            raise ReadError(path, rule, repr(start)[2:-1] or "nothing", "Check the format")
        fields: tuple[int, ...] = ()
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"fmt ":
                fields = _fields(path, file.read(length))
                file.seek(length % 2, 1)
            elif name == b"data":
                return _checked(path, fields, length, size - file.tell())
            else:
                file.seek(length + length % 2, 1)
    raise truncated(path, "no chunk of data")


def _fields(path: Path, body: bytes) -> tuple[int, ...]:
    """Coding, channels, rate, bytes a frame, bits."""
    if len(body) < 16:
        raise truncated(path, f"{len(body)} bytes of its format")
    coding, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", body[:16])
    if coding == EXTENSIBLE and len(body) >= 26:
        (coding,) = struct.unpack("<H", body[24:26])
    return coding, channels, rate, frame, bits


def _checked(path: Path, fields: tuple[int, ...], length: int, there: int) -> _Format:
    if not fields:
        raise ReadError(path, "a WAV file says its format first", "data", "Check the file")
    coding, channels, rate, frame, bits = fields
    dtype = DTYPES.get((coding, bits))
    if dtype is None or not (channels and rate and frame):
        rule, got = "sounds are plain numbers (PCM or float)", f"coding {coding}, {bits} bits"
        raise ReadError(path, rule, got, "Save it as PCM of 16 bits")
    length = there if length in UNTOLD else length
    if length > there:
        raise truncated(path, f"{there} of {length} bytes")
    return _Format(channels, rate, dtype, length // frame)
