"""Other grey values for the same picture: gain, contrast, gamma, blur, coarseness, noise.

Letters: N items, C channels, d spatial axes of sizes *S.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F

from convivo.data.augment.settings import Augmentation

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Intensity:
    """One row per item, neutral where nothing was drawn.

    gain, contrast, gamma (N, C): factors, 1 neutral. brightness (N, C): 0 neutral.
    noise (N,): deviation. blur (N, d): deviation of the kernel in samples. shrink (N, d): factor.
    """

    gain: np.ndarray
    contrast: np.ndarray
    brightness: np.ndarray
    gamma: np.ndarray
    noise: np.ndarray
    blur: np.ndarray
    shrink: np.ndarray
    seed: int


def draw_intensity(
    augmentation: Augmentation,
    batch: int,
    channels: int,
    dims: int,
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Intensity:
    """Random choices for N items; along axes coarser than the finest, blur and shrink less."""
    a = augmentation
    # Signals share an amplifier, and the ratio of leads means something; colours drift apart.
    columns = 1 if dims == 1 else channels

    def factor(strength: float, chance: float) -> np.ndarray:
        drawn = (1 + strength) ** rng.uniform(-1, 1, (batch, columns))
        drawn = np.where(rng.random((batch, 1)) < chance, drawn, 1.0)
        return np.broadcast_to(drawn, (batch, channels)).astype(np.float32)

    def amount(low: float, high: float, chance: float, neutral: float = 0.0) -> np.ndarray:
        drawn = rng.uniform(low, high, batch)
        return np.where(rng.random(batch) < chance, drawn, neutral).astype(np.float32)

    offset = rng.uniform(-1, 1, (batch, columns)) * a.brightness
    offset = np.where(rng.random((batch, 1)) < a.p_brightness, offset, 0.0)
    steps = np.ones(dims) if spacing is None else np.asarray(spacing, dtype=np.float64)
    fineness = steps.min() / steps
    softness = amount(a.blur / 2, a.blur, a.p_blur)  # kernels much narrower change nothing
    shrink = (
        1 + (amount(1.0, a.low_resolution, a.p_low_resolution, neutral=1.0) - 1)[:, None] * fineness
    )
    return Intensity(
        gain=factor(a.gain, a.p_gain),
        contrast=factor(a.contrast, a.p_contrast),
        brightness=np.broadcast_to(offset, (batch, channels)).astype(np.float32),
        gamma=factor(a.gamma, a.p_gamma),
        noise=amount(0.0, a.noise, a.p_noise),
        blur=(softness[:, None] * fineness).astype(np.float32),
        shrink=shrink.astype(np.float32),
        seed=int(rng.integers(2**62)),
    )


def apply_intensity(images: torch.Tensor, drawn: Intensity) -> None:
    """Change the grey values of images (N, C, *S) in place, item by item as drawn."""
    _blur(images, drawn.blur)
    _coarsen(images, drawn.shrink)
    _noise(images, drawn.noise, drawn.seed)
    _curve(images, drawn)


def _rows(chosen: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero(chosen)).to(device)


def _per_item(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(M,) or (M, C) -> broadcastable to (M, C, *S)."""
    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(like.device)
    return tensor.reshape(*tensor.shape, *[1] * (like.ndim - tensor.ndim))


def _curve(images: torch.Tensor, drawn: Intensity) -> None:
    """Gamma between the channel's own extremes, then contrast, gain and brightness at once."""
    axes = tuple(range(2, images.ndim))
    bent = (drawn.gamma != 1).any(axis=1)
    if bent.any():
        rows = _rows(bent, images.device)
        values = images[rows]
        low = values.amin(axes, keepdim=True)
        # A constant channel has no range; any positive one leaves it where it is.
        span = (values.amax(axes, keepdim=True) - low).clamp(min=1e-6)
        share = ((values - low) / span).clamp_(0, 1)
        images[rows] = share.pow_(_per_item(drawn.gamma[bent], values)) * span + low
    changed = (drawn.gain != 1) | (drawn.contrast != 1) | (drawn.brightness != 0)
    straight = np.asarray(changed.any(axis=1))
    if straight.any():
        rows = _rows(straight, images.device)
        values = images[rows]
        contrast = _per_item(drawn.contrast[straight], values)
        gain = _per_item(drawn.gain[straight], values)
        centre = values.mean(axes, keepdim=True)
        offset = (1 - contrast) * centre * gain + _per_item(drawn.brightness[straight], values)
        images[rows] = values * (contrast * gain) + offset


def _noise(images: torch.Tensor, deviation: np.ndarray, seed: int) -> None:
    chosen = deviation > 0
    if chosen.any():
        generator = torch.Generator(images.device).manual_seed(seed)
        shape = (int(chosen.sum()), *images.shape[1:])
        field = torch.randn(shape, generator=generator, device=images.device)
        images[_rows(chosen, images.device)] += field * _per_item(deviation[chosen], images)


def _blur(images: torch.Tensor, sigma: np.ndarray) -> None:
    """Gaussian along one axis after the other, edges repeated; each item its own width."""
    chosen: np.ndarray = np.asarray((sigma > 0).any(axis=1))
    if not chosen.any():
        return
    rows = _rows(chosen, images.device)
    values = images[rows]
    for axis in range(2, images.ndim):
        values = _blur_axis(values, axis, sigma[chosen, axis - 2])
    images[rows] = values


def _blur_axis(values: torch.Tensor, axis: int, sigma: np.ndarray) -> torch.Tensor:
    radius = max(1, ceil(2.5 * float(sigma.max())))
    taps = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (taps / np.maximum(sigma[:, None], 1e-3)) ** 2)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    size = values.shape[axis]
    place = torch.arange(-radius, size + radius, device=values.device).clamp_(0, size - 1)
    wide = values.index_select(axis, place)
    result = torch.zeros_like(values)
    for tap in range(len(taps)):
        result += wide.narrow(axis, tap, size) * _per_item(weights[:, tap], values)
    return result


def _coarsen(images: torch.Tensor, shrink: np.ndarray) -> None:
    """Averaged down and interpolated back up, as from a coarser scanner."""
    shape = images.shape[2:]
    for item in np.flatnonzero((shrink > 1).any(axis=1)):
        small = [max(1, round(n / float(f))) for n, f in zip(shape, shrink[item], strict=True)]
        coarse = F.interpolate(images[item : item + 1], small, mode="area")
        mode = MODES[len(shape)]
        images[item] = F.interpolate(coarse, shape, mode=mode, align_corners=False)[0]
