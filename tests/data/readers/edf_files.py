"""Writes EDF, EDF+ and BDF files byte by byte, so that tests can break each field of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Channel:
    """One signal: digital samples (T,), samples per record, label, unit, physical range."""

    samples: np.ndarray
    per_record: int
    label: str = "ECG"
    unit: str = "uV"
    physical: tuple[float, float] = (-3276.8, 3276.7)


def tal(onset: float, *texts: str, duration: float | None = None) -> bytes:
    """One annotation list as stored."""
    long = b"" if duration is None else f"\x15{duration:g}".encode()
    return (
        f"{onset:+g}".encode()
        + long
        + b"\x14"
        + b"".join(t.encode() + b"\x14" for t in texts or ("",))
        + b"\0"
    )


def save_edf(
    path: Path,
    channels: list[Channel],
    *,
    notes: list[bytes] | None = None,
    kind: str = "",
    patient: str = "X X X X",
    record_s: float = 1.0,
) -> Path:
    """notes: per record the bytes of its annotation lists (EDF+)."""
    width = 3 if path.suffix == ".bdf" else 2
    low, high = -(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1
    size = 0 if notes is None else -(-max(map(len, notes)) // width)
    rows = [(c.label, c.unit, *c.physical, c.per_record) for c in channels]
    if notes is not None:
        rows.append(("EDF Annotations" if width == 2 else "BDF Annotations", "", -1, 1, size))
    records = (
        len(notes) if notes is not None else channels[0].samples.size // channels[0].per_record
    )
    first = b"\xffBIOSEMI" if width == 3 else b"0       "
    fields = [(patient, 80), ("recording", 80), ("01.01.20", 8), ("10.00.00", 8)]
    fields += [(256 * (len(rows) + 1), 8), (kind, 44), (records, 8), (f"{record_s:g}", 8)]
    fields += [(len(rows), 4)]
    for place, length in ((0, 16), (None, 80), (1, 8), (2, 8), (3, 8)):
        fields += [("" if place is None else row[place], length) for row in rows]
    fields += [(low, 8)] * len(rows) + [(high, 8)] * len(rows) + [("", 80)] * len(rows)
    fields += [(row[4], 8) for row in rows] + [("", 32)] * len(rows)
    head = first + b"".join(str(text)[:n].ljust(n).encode("latin-1") for text, n in fields)
    body = bytearray()
    for record in range(records):
        for c in channels:
            part = c.samples[record * c.per_record : (record + 1) * c.per_record].astype("<i4")
            body += part.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
        if notes is not None:
            body += notes[record].ljust(size * width, b"\0")
    path.write_bytes(head + bytes(body))
    return path
