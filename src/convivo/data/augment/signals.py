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
    drift = _drift(augmentation, batch, channels, time, rng)
    mains = _mains(augmentation, batch, channels, length, rng, spacing=spacing)
    waves = drift + mains
    waved = np.flatnonzero(np.abs(waves).max(axis=(1, 2), initial=0.0) > 0)
    noisy = np.flatnonzero(rng.random(batch) < augmentation.p_muscle * (augmentation.muscle > 0))
    centre, width = rng.uniform(0, 1, (batch, 1)), rng.uniform(0.05, 0.3, (batch, 1))
    height = rng.uniform(0, augmentation.muscle, (batch, 1))
    bursts = height * np.exp(-0.5 * ((time - centre) / width) ** 2)
    return Disturbance(
        factors=_factors(augmentation, batch, channels, rng),
        waved=waved,
        waves=waves[waved].astype(np.float32),
        noisy=noisy,
        bursts=bursts[noisy].astype(np.float32),
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
        images[rows] += field * torch.from_numpy(drawn.bursts).to(device).unsqueeze(1)
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


def _drift(
    augmentation: Augmentation,
    batch: int,
    channels: int,
    time: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(N, C, T) slow waves of half a period to three over the signal, as breathing makes."""
    chosen = rng.random((batch, 1, 1)) < augmentation.p_baseline_wander
    cycles = rng.uniform(0.5, 3.0, (batch, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (batch, 1, 1))
    size = rng.uniform(-1, 1, (batch, channels, 1)) * augmentation.baseline_wander
    return chosen * size * np.sin(2 * np.pi * cycles * time + phase)


def _mains(
    augmentation: Augmentation,
    batch: int,
    channels: int,
    length: int,
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None,
) -> np.ndarray:
    """(N, C, T) 50 or 60 Hz; nothing where the rate is unknown or too low to hold it."""
    chosen = rng.random((batch, 1, 1)) < augmentation.p_powerline
    frequency = rng.choice(MAINS_HZ, (batch, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (batch, 1, 1))
    size = rng.uniform(0, 1, (batch, channels, 1)) * augmentation.powerline
    if spacing is None:
        return np.zeros((batch, channels, length))
    per_sample = frequency * spacing[0]
    held = chosen & (per_sample < 0.5)
    return held * size * np.sin(2 * np.pi * per_sample * np.arange(length) + phase)
