"""Time of signals stretched, cropped, shifted and bent, in one linear interpolation.

Letters: N items, C channels, T samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from convivo.data.augment.settings import Augmentation
from convivo.data.augment.spatial import draw_crop

WAVES = 3
"""Bends are sums of this many sine waves, of 1, 2, ... half periods over the signal."""


@dataclass(frozen=True)
class Warp:
    """flips: (N,) bool. items: (M,) which items move. places: (M, T) float32, where on the old
    time axis each new sample is taken, in samples, within the signal."""

    flips: np.ndarray
    items: np.ndarray
    places: np.ndarray


def draw_warp(
    augmentation: Augmentation,
    batch: int,
    shape: Sequence[int],
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Warp:
    """Random choices for N signals of T samples; time keeps its direction within an item."""
    a, length = augmentation, int(shape[0])
    flips = (rng.random(batch) < 0.5) & (0 in a.flip_axes)
    moved = rng.random(batch) < a.p_spatial * bool(a.scale or a.shift or a.time_warp)
    stretch = (1 + a.scale) ** rng.uniform(-1, 1, (batch, 1))
    shift = rng.uniform(-1, 1, (batch, 1)) * a.shift
    # Amplitude over wave number: the slope of the bends stays below pi * time_warp < 1, so that
    # time keeps its direction.
    amplitudes = rng.uniform(-1, 1, (batch, WAVES)) * a.time_warp / WAVES
    kept, corner = draw_crop(a, batch, 1, rng.spawn(1)[0])
    items = np.flatnonzero(moved | (kept < 1))
    time = (np.arange(length) + 0.5) / length
    order = np.arange(1, WAVES + 1)
    bends = (amplitudes[items] / order) @ np.sin(np.pi * order[:, None] * time)
    moving = moved[items, None]
    places = (time - 0.5 + bends * moving) / stretch[items] ** moving + shift[items] * moving
    places = 0.5 + places * kept[items, None] + corner[items] / 2
    samples = np.clip(places * length - 0.5, 0, length - 1)
    return Warp(flips, items, samples.astype(np.float32))


def apply_warp(images: torch.Tensor, targets: torch.Tensor | None, drawn: Warp) -> None:
    """Warp signals (N, C, T) and label maps (N, T) in place, alike; only items drawn to move."""
    flipped = np.flatnonzero(drawn.flips)
    if len(flipped):
        rows = torch.from_numpy(flipped).to(images.device)
        images[rows] = images[rows].flip(-1)
        if targets is not None:
            targets[rows] = targets[rows].flip(-1)
    if not len(drawn.items):
        return
    rows = torch.from_numpy(drawn.items).to(images.device)
    places = torch.from_numpy(drawn.places).to(images.device)
    left = places.floor()
    right_share = (places - left).unsqueeze(1)
    first = left.long()
    second = (first + 1).clamp(max=images.shape[-1] - 1)
    values = images[rows]
    size = (-1, images.shape[1], -1)
    low = values.gather(2, first.unsqueeze(1).expand(size))
    high = values.gather(2, second.unsqueeze(1).expand(size))
    images[rows] = torch.lerp(low, high, right_share)
    if targets is not None:
        targets[rows] = targets[rows].gather(1, (places + 0.5).floor().long())
