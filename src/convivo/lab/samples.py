"""Arrays to begin with, all made by seed: an ECG, an EEG, cells, a slice and a volume; few numbers.

The signals, images and volumes are the phantoms of `data.phantoms`; none shows a person.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convivo.data.phantoms.images import draw_field
from convivo.data.phantoms.signals import LEADS, RATE_HZ, draw_record
from convivo.data.phantoms.volumes import SPACING_MM, draw_scan
from convivo.data.sample import Header
from convivo.lab.intake import KINDS, save

EEG_HZ = 128
BANDS_HZ = {"delta": (2.0, 20.0), "theta": (6.0, 8.0), "alpha": (10.0, 25.0), "beta": (20.0, 5.0)}


class Sample(NamedTuple):
    """What the picker shows, and how it is made: array (C, *S) and header."""

    title: str
    about: str
    dims: int
    make: Callable[[], tuple[np.ndarray, Header]]


def _ecg() -> tuple[np.ndarray, Header]:
    signal, _, _ = draw_record(np.random.default_rng([0, 1, 3]), 8.0)
    signal = np.rint(signal * 1000) / 1000  # microvolts, as recorders store them
    return signal, _signal(signal, RATE_HZ, LEADS)


def _eeg() -> tuple[np.ndarray, Header]:
    """Rhythms of wandering strength over noise that falls with frequency."""
    generator = np.random.default_rng([0, 7])
    time = np.arange(8 * EEG_HZ) / EEG_HZ
    noise = np.fft.rfft(generator.normal(size=(2, len(time))), axis=1)
    noise /= np.sqrt(np.maximum(1, np.arange(noise.shape[1])))
    signal = 60 * np.fft.irfft(noise, len(time), axis=1)
    for hertz, microvolts in BANDS_HZ.values():
        strength = np.interp(time, np.arange(9), generator.uniform(0, 1, size=9))
        phase = generator.uniform(0, 2 * np.pi, size=(2, 1))
        signal += microvolts * strength * np.sin(2 * np.pi * hertz * time + phase)
    signal = np.rint(signal * 10) / 10
    return signal, _signal(signal, EEG_HZ, ("O1", "O2"))


def _cells() -> tuple[np.ndarray, Header]:
    image, _ = draw_field(np.random.default_rng([0, 3, 5]), (128, 128))
    image = np.moveaxis(image, -1, 0)
    names = ("red", "green", "blue")
    header = Header(
        shape=(128, 128), channels=3, dtype="uint8", axes="YX", channel_names=names
    )  # fmt: skip
    return image, header


def _slice() -> tuple[np.ndarray, Header]:
    scan, _ = draw_scan(np.random.default_rng([0, 4, 2]), (128, 112, 12), lesion=True)
    image = scan[::-1, ::-1, 6].T[None]
    header = Header(
        shape=image.shape[1:], channels=1, dtype="int16", axes="YX", spacing=SPACING_MM[:2],
        spacing_unit="mm",
    )  # fmt: skip
    return image, header


def _volume() -> tuple[np.ndarray, Header]:
    scan, _ = draw_scan(np.random.default_rng([0, 4, 1]), (64, 64, 64), lesion=True)
    volume = scan[::-1, ::-1].transpose(2, 1, 0)[None]
    header = Header(
        shape=volume.shape[1:], channels=1, dtype="int16", axes="ZYX", spacing=SPACING_MM[::-1],
        spacing_unit="mm",
    )  # fmt: skip
    return volume, header


def _lecture() -> tuple[np.ndarray, Header]:
    rows = ["22333", "01303", "23013", "33212", "33023"]
    return _numbers([[int(letter) for letter in row] for row in rows])


def _impulse() -> tuple[np.ndarray, Header]:
    return _numbers((np.indices((7, 7)) == 3).all(axis=0))


def _corner() -> tuple[np.ndarray, Header]:
    """Two edges and a corner: what a derivative answers to."""
    return _numbers(9 * (np.indices((8, 8)) > 3).all(axis=0))


def _steps() -> tuple[np.ndarray, Header]:
    return _numbers([0, 0, 1, 2, 3, 3, 3, 0, 0, 5, 0, 0, -2, -2, -2, 0])


def _cube() -> tuple[np.ndarray, Header]:
    at = np.indices((5, 6, 7))
    return _numbers((3 * at[0] + 5 * at[1] + 2 * at[2]) % 7 - 2)


def _numbers(values: object) -> tuple[np.ndarray, Header]:
    array = np.array(values, dtype=np.int64)[None]
    return array, Header(shape=array.shape[1:], channels=1, dtype="int64", axes="")


def _signal(signal: np.ndarray, rate_hz: float, names: tuple[str, ...]) -> Header:
    return Header(
        shape=signal.shape[1:], channels=len(signal), dtype="float64", axes="T",
        spacing=(1 / rate_hz,), spacing_unit="s", channel_names=names,
    )  # fmt: skip


SAMPLES: dict[str, Sample] = {
    "ecg": Sample("ECG strip", "two leads, 8 s at 360 Hz, in mV", 1, _ecg),
    "eeg": Sample("EEG", "two electrodes, 8 s at 128 Hz, in µV", 1, _eeg),
    "cells": Sample("Stained cells", "a field of a slide, 128 × 128, RGB", 2, _cells),
    "slice": Sample("Scan, one slice", "a CT-like slice, 112 × 128", 2, _slice),
    "volume": Sample("Scan, volume", "64 × 64 × 64", 3, _volume),
    "lecture": Sample("Lecture’s 5 × 5", "whole numbers 0 … 3", 2, _lecture),
    "impulse": Sample("Impulse", "one in the middle of 7 × 7", 2, _impulse),
    "corner": Sample("Corner", "two edges of a bright square", 2, _corner),
    "steps": Sample("Steps", "16 whole numbers", 1, _steps),
    "cube": Sample("Small cube", "5 × 6 × 7 whole numbers", 3, _cube),
}


def listed() -> list[dict]:
    """What the picker shows."""
    return [
        {"name": name, "title": s.title, "about": s.about, "kind": KINDS[s.dims]}
        for name, s in SAMPLES.items()
    ]


def make(name: str, out: Path) -> dict:
    """Write a sample to the .npy file `out`; its card, with `sample` for links."""
    sample = SAMPLES[name]
    values, header = sample.make()
    return {**save(values, out, sample.title, header), "sample": name}
