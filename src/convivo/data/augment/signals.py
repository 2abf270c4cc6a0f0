"""What spoils recordings from a body: silent leads, swapped electrodes, drift, mains, muscles.

Letters: N items, C channels, T samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from convivo.data.augment.settings import Augmentation

MAINS_HZ = (50.0, 60.0)


@dataclass(frozen=True)
class Disturbance:
    """factors: (N, C) float32, 0 silent, -1 turned over. waves: (M, C, T) float32, drift and
    mains to be added to `waved` (M,) items. bursts: (B, T) float32 envelopes of the noise added
    to `noisy` (B,) items, each channel its own noise from `seed`."""

    factors: np.ndarray
    waved: np.ndarray
    waves: np.ndarray
    noisy: np.ndarray
    bursts: np.ndarray
    seed: int


def draw_disturbance(
    augmentation: Augmentation,
    batch: int,
    channels: int,
    length: int,
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Disturbance:
    """Random choices for N signals (C, T); `spacing` in seconds gives mains their frequency."""
    time = (np.arange(length) + 0.5) / length
    drift = _draw_drift(augmentation, batch, channels, rng)
    mains = _draw_mains(augmentation, batch, channels, rng, spacing=spacing)
    waved = np.flatnonzero((drift.size != 0).any(axis=1) | (mains.size != 0).any(axis=1))
    waves = drift.over(time, waved) + mains.over(np.arange(length), waved)
    noisy = np.flatnonzero(rng.random(batch) < augmentation.p_muscle * (augmentation.muscle > 0))
    centre, width = rng.uniform(0, 1, (batch, 1)), rng.uniform(0.05, 0.3, (batch, 1))
    height = rng.uniform(0, augmentation.muscle, (batch, 1))
    bursts = height[noisy] * np.exp(-0.5 * ((time - centre[noisy]) / width[noisy]) ** 2)
    return Disturbance(
        factors=_factors(augmentation, batch, channels, rng),
        waved=waved,
        waves=waves.astype(np.float32),
        noisy=noisy,
        bursts=bursts.astype(np.float32),
        seed=int(rng.integers(2**62)),
    )


def apply_disturbance(images: torch.Tensor, drawn: Disturbance) -> None:
    """Disturb signals (N, C, T) in place; silent leads stay silent."""
    device = images.device
    if len(drawn.waved):
        rows = torch.from_numpy(drawn.waved).to(device)
        images[rows] += torch.from_numpy(drawn.waves).to(device)
    if len(drawn.noisy):
        rows = torch.from_numpy(drawn.noisy).to(device)
        generator = torch.Generator(device).manual_seed(drawn.seed)
        shape = (len(drawn.noisy), *images.shape[1:])
        field = torch.randn(shape, generator=generator, device=device)
        images[rows] += field.mul_(torch.from_numpy(drawn.bursts).to(device).unsqueeze(1))
    changed = np.flatnonzero((drawn.factors != 1).any(axis=1))
    if len(changed):
        rows = torch.from_numpy(changed).to(device)
        images[rows] *= torch.from_numpy(drawn.factors[changed]).to(device).unsqueeze(-1)


def _factors(
    augmentation: Augmentation, batch: int, channels: int, rng: np.random.Generator
) -> np.ndarray:
    silent = rng.random((batch, channels)) < augmentation.p_lead_drop
    kept = rng.integers(channels, size=batch)  # one channel always speaks
    silent[np.arange(batch), kept] = False
    sign = np.where(rng.random((batch, 1)) < augmentation.p_polarity, -1.0, 1.0)
    return np.where(silent, 0.0, sign).astype(np.float32)


@dataclass(frozen=True)
class _Sines:
    """size: (N, C), 0 where none is drawn. cycles: (N,) per unit of time. phase: (N,) radians."""

    size: np.ndarray
    cycles: np.ndarray
    phase: np.ndarray

    def over(self, time: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(M, C, T) waves of the items named."""
        turns = 2 * np.pi * self.cycles[items, None] * time + self.phase[items, None]
        return self.size[items, :, None] * np.sin(turns)[:, None]


def _draw_drift(
    augmentation: Augmentation, batch: int, channels: int, rng: np.random.Generator
) -> _Sines:
    """Slow waves of half a period to three over the signal, as breathing makes."""
    chosen = rng.random((batch, 1)) < augmentation.p_baseline_wander
    cycles, phase = rng.uniform(0.5, 3.0, batch), rng.uniform(0, 2 * np.pi, batch)
    size = rng.uniform(-1, 1, (batch, channels)) * augmentation.baseline_wander
    return _Sines(chosen * size, cycles, phase)


def _draw_mains(
    augmentation: Augmentation,
    batch: int,
    channels: int,
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None,
) -> _Sines:
    """50 or 60 Hz, a sample the unit; nothing where the rate is unknown or too low to hold it."""
    chosen = rng.random((batch, 1)) < augmentation.p_powerline
    frequency, phase = rng.choice(MAINS_HZ, batch), rng.uniform(0, 2 * np.pi, batch)
    size = rng.uniform(0, 1, (batch, channels)) * augmentation.powerline
    per_sample = frequency * (np.inf if spacing is None else spacing[0])
    held = per_sample < 0.5
    return _Sines(chosen * held[:, None] * size, np.where(held, per_sample, 0.0), phase)
