"""Phantom ECG records with annotated beats, as a folder of WFDB files.

Every record is a patient: own morphology, rate, noise and number of premature beats. Beats are
sums of Gaussians around the R peak, after McSharry et al. 2003, doi:10.1109/TBME.2003.808805.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from convivo.data.readers.wfdb import write_annotation

RATE_HZ = 360
LEADS = ("MLII", "V1")
_UNITS_PER_MV = 200
_BASELINE = 1024
_MAINS_HZ = 60.0

# Rows of a wave: amplitude in mV on MLII and V1, centre and width (standard deviation) in s.
_P = ((0.13, 0.07, -0.170, 0.022),)
_QRS = (
    (-0.10, 0.05, -0.026, 0.008),
    (1.15, 0.22, 0.000, 0.010),
    (-0.22, -0.85, 0.028, 0.011),
)
_T = ((0.28, 0.09, 0.270, 0.042), (0.06, 0.02, 0.345, 0.030))
# A beat that starts in a ventricle: wide, notched, its T wave against its QRS, and no P wave.
_VENTRICULAR = (
    (0.55, -0.45, -0.040, 0.022),
    (1.05, -0.95, 0.012, 0.028),
    (-0.35, 0.30, 0.085, 0.030),
    (-0.45, 0.38, 0.300, 0.062),
)


@dataclass(frozen=True)
class _Patient:
    """What does not change within a record: waves (n, 4) as in the tables above, and rates."""

    p: np.ndarray
    p_atrial: np.ndarray
    qrs: np.ndarray
    t: np.ndarray
    ventricular: np.ndarray
    interval_s: float
    respiration_hz: float
    premature: tuple[float, float]


def make_signals(out: Path, *, seed: int = 0, records: int = 12, seconds: float = 60) -> Path:
    """Write ECG records (two leads, 360 Hz) with normal and premature beats.

    About 85 % of the beats are normal (N), the rest come early: supraventricular (S: another
    P wave, the usual QRS) or ventricular (V: wide, without P wave, then a pause). The same seed
    writes the same bytes.

    Args:
        out: folder to write `ecg01.hea`, `.dat`, `.atr`, ... into; made if missing.
        seconds: length of each record.
    Returns:
        The folder.
    Raises:
        UsageError: the package wfdb is missing.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for number in range(1, records + 1):
        signal, times, symbols = draw_record(np.random.default_rng([seed, 1, number]), seconds)
        name = f"ecg{number:0{max(2, len(str(records)))}d}"
        _write_record(out, name, signal, seed)
        positions = np.rint(times * RATE_HZ).astype(np.int64)
        write_annotation(name, positions, symbols, RATE_HZ, out, extension="atr")
    return out


def draw_record(
    generator: np.random.Generator, seconds: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """A record of a patient of its own: signal (2, n) in mV, and times (s) and kinds of beats."""
    patient = _draw_patient(generator)
    times, symbols = _rhythm(generator, patient, seconds)
    clean = _render(generator, patient, times, symbols, round(seconds * RATE_HZ))
    return clean + _noise(generator, clean.shape[1], patient.respiration_hz), times, symbols


def _draw_patient(generator: np.random.Generator) -> _Patient:
    gains = generator.normal(1.0, 0.15, size=2).clip(0.6, 1.5)
    wide = generator.uniform(0.9, 1.25)

    def vary(waves: tuple, spread: float) -> np.ndarray:
        table = np.array(waves, dtype=np.float64)
        table[:, :2] *= gains * generator.lognormal(0.0, spread, size=(len(table), 2))
        table[:, 2:] *= wide * generator.normal(1.0, 0.05, size=(len(table), 2))
        return table

    p = vary(_P, 0.25)
    ectopic = p * (generator.choice([-0.9, -0.5, 0.4, 1.6], size=1).item(), 1.0, 1.0, 1.0)
    ectopic[:, 1] = -p[:, 1]
    ectopic[:, 2] += 0.045  # the other site is nearer: a shorter way to the ventricles
    ventricular = vary(_VENTRICULAR, 0.2)
    ventricular[:, :2] *= generator.choice([-1.0, 1.0], size=2, p=[0.25, 0.75])
    return _Patient(
        p=p,
        p_atrial=ectopic,
        qrs=vary(_QRS, 0.2),
        t=vary(_T, 0.25),
        ventricular=ventricular,
        interval_s=generator.uniform(0.65, 1.0),
        respiration_hz=generator.uniform(0.2, 0.33),
        premature=tuple(generator.gamma(3.0, 0.028, size=2).clip(0.03, 0.2).tolist()),
    )


def _rhythm(
    generator: np.random.Generator, patient: _Patient, seconds: float
) -> tuple[np.ndarray, list[str]]:
    """R times (n,) in s and beat symbols; every early beat is followed by its pause."""
    phase = generator.uniform(0, 2 * np.pi, size=2)
    early = sum(patient.premature)
    time, kind, pause = generator.uniform(0.4, 0.8), "N", 0.0
    times, symbols = [], []
    while time < seconds - 0.4:
        times.append(time)
        symbols.append(kind)
        # Breathing and the waves of blood pressure make the sinus rate vary.
        swing = 0.04 * np.sin(2 * np.pi * patient.respiration_hz * time + phase[0])
        swing += 0.03 * np.sin(2 * np.pi * 0.1 * time + phase[1])
        sinus = patient.interval_s * (1 + swing + generator.normal(0, 0.01))
        if kind != "N":
            kind, step = "N", pause
        else:
            kind = str(generator.choice(["S", "V", "N"], p=[*patient.premature, 1 - early]))
            step, pause = _intervals(generator, kind, sinus)
        time += step
    return np.array(times), symbols


def _intervals(generator: np.random.Generator, kind: str, sinus: float) -> tuple[float, float]:
    """Seconds before and after a beat of this kind."""
    if kind == "S":  # it resets the sinus node
        return sinus * generator.uniform(0.55, 0.78), sinus * generator.uniform(1.0, 1.15)
    if kind == "V":  # the sinus node goes on: the pause makes up for what came early
        step = sinus * generator.uniform(0.5, 0.72)
        return step, 2 * sinus - step
    return sinus, sinus


def _render(
    generator: np.random.Generator,
    patient: _Patient,
    times: np.ndarray,
    symbols: list[str],
    length: int,
) -> np.ndarray:
    """The noiseless record in mV, (2, length)."""
    signal = np.zeros((len(LEADS), length))
    breathing = 1 + 0.06 * np.sin(2 * np.pi * patient.respiration_hz * times)
    for time, symbol, gain in zip(times, symbols, breathing, strict=True):
        waves = _waves(generator, patient, symbol)
        first = max(0, int((time - 0.5) * RATE_HZ))
        last = min(length, int((time + 0.75) * RATE_HZ))
        at = np.arange(first, last) / RATE_HZ - time
        bumps = np.exp(-0.5 * ((at - waves[:, 2:3]) / waves[:, 3:4]) ** 2)
        signal[:, first:last] += gain * waves[:, :2].T @ bumps
    return signal


def _waves(generator: np.random.Generator, patient: _Patient, symbol: str) -> np.ndarray:
    """The waves (n, 4) of one beat, no two alike."""
    stretch = np.sqrt(patient.interval_s / 0.85)  # QT follows the rate (Bazett)
    if symbol == "V":
        waves = patient.ventricular.copy()
    else:
        p = patient.p_atrial if symbol == "S" else patient.p
        waves = np.concatenate([p, patient.qrs, patient.t])
        late = waves[:, 2] > 0.15
        waves[late, 2:] *= stretch
    waves[:, :2] *= generator.normal(1.0, 0.05, size=(len(waves), 1))
    waves[:, 2] += generator.normal(0.0, 0.002, size=len(waves)) * (waves[:, 2] != 0)
    return waves


def _noise(generator: np.random.Generator, length: int, respiration_hz: float) -> np.ndarray:
    """Wander, mains hum and muscle noise in mV, (2, length)."""
    time = np.arange(length) / RATE_HZ
    drift = generator.normal(size=(len(LEADS), length))
    wander = _filtered(drift, [0.05, 0.5]) * generator.uniform(0.04, 0.12)
    phase = generator.uniform(0, 2 * np.pi, size=(len(LEADS), 1))
    wander += 0.05 * np.sin(2 * np.pi * respiration_hz * time + phase)
    mains = generator.uniform(0.002, 0.02) * np.sin(2 * np.pi * _MAINS_HZ * time + phase)
    muscle = _filtered(generator.normal(size=(len(LEADS), length)), [20.0, 110.0])
    effort = np.abs(_filtered(generator.normal(size=(1, length)), [0.05, 0.4]))
    return wander + mains + muscle * (0.008 + generator.uniform(0.005, 0.03) * effort)


def _filtered(noise: np.ndarray, band_hz: list[float]) -> np.ndarray:
    """Noise within a band, at unit variance."""
    sections = butter(2, band_hz, btype="bandpass", fs=RATE_HZ, output="sos")
    within = sosfiltfilt(sections, noise, axis=1, padlen=min(noise.shape[1] - 1, 1000))
    return within / within.std(axis=1, keepdims=True)


def _write_record(out: Path, name: str, signal: np.ndarray, seed: int) -> None:
    """One record in WFDB format 16, with the resolution of the MIT-BIH recorders (11 bit)."""
    units = np.rint(signal * _UNITS_PER_MV + _BASELINE).clip(0, 2047).astype("<i2")
    lines = [f"{name} {len(LEADS)} {RATE_HZ} {units.shape[1]}"]
    for lead, values in zip(LEADS, units, strict=True):
        total = (int(values.sum(dtype=np.int64)) + 32768) % 65536 - 32768
        start = f"{_UNITS_PER_MV}({_BASELINE})/mV 11 {_BASELINE} {values[0]} {total} 0 {lead}"
        lines.append(f"{name}.dat 16 {start}")
    lines.append(f"# Phantom, made by convivo from seed {seed}")
    (out / f"{name}.dat").write_bytes(units.T.tobytes())
    (out / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
