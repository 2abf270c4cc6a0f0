"""Other grey values for the same picture: gain, contrast, gamma, blur, coarseness, bias, noise.

Letters: N items, C channels, d spatial axes of sizes *S, K control points along an axis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from convivo.data.augment.lattice import cubic_basis, intervals_of, spread
from convivo.data.augment.settings import LARGE, Augmentation
from convivo.data.augment.softness import soften

BIAS_INTERVALS = 2  # along the longest axis: coils and lamps are far away


@dataclass(frozen=True)
class Intensity:
    """One row per item, neutral where nothing was drawn.

    gain, contrast, gamma (N, C): factors, 1 neutral. brightness (N, C): 0 neutral.
    noise (N,): deviation. blur (N, d): deviation of the kernel in samples. shrink (N, d): factor.
    bias (N, *K): factors at the control points of a field for all channels; None: no item has one.
    """

    gain: np.ndarray
    contrast: np.ndarray
    brightness: np.ndarray
    gamma: np.ndarray
    noise: np.ndarray
    blur: np.ndarray
    shrink: np.ndarray
    seed: int
    bias: np.ndarray | None = None


def draw_intensity(
    augmentation: Augmentation,
    batch: int,
    channels: int,
    shape: Sequence[int],
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Intensity:
    """Random choices for N items; along axes coarser than the finest, blur and shrink less."""
    a, dims = augmentation, len(shape)
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
        bias=_draw_bias(a, batch, np.asarray(shape) * steps, rng.spawn(1)[0]),
    )


def _draw_bias(
    augmentation: Augmentation, batch: int, extent: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    a = augmentation
    if not a.bias or not a.p_bias:
        return None
    counts = [n + 3 for n in intervals_of(extent, BIAS_INTERVALS)]
    chosen = (rng.random(batch) < a.p_bias).reshape(batch, *[1] * len(counts))
    points = (1 + a.bias) ** rng.uniform(-1, 1, (batch, *counts))
    return np.where(chosen, points, 1.0).astype(np.float32)


def apply_intensity(images: torch.Tensor, drawn: Intensity) -> None:
    """Change the grey values of images (N, C, *S) in place, item by item as drawn."""
    soft = np.asarray((drawn.blur > 0).any(axis=1) | (drawn.shrink > 1).any(axis=1))
    _on(images, soft, lambda v, at: v.copy_(soften(v, drawn.blur[at], drawn.shrink[at])))
    if drawn.bias is not None:
        field = drawn.bias
        biased = (field != 1).reshape(len(field), -1).any(axis=1)
        _on(images, biased, lambda v, at: _bias(v, field[at]))
    generator = torch.Generator(images.device).manual_seed(drawn.seed)
    _on(images, drawn.noise > 0, lambda v, at: _noise(v, drawn.noise[at], generator))
    bent = (drawn.gamma != 1).any(axis=1)
    _on(images, bent, lambda v, at: _bend(v, drawn.gamma[at]))
    changed = (drawn.gain != 1) | (drawn.contrast != 1) | (drawn.brightness != 0)
    _on(images, changed.any(axis=1), lambda v, at: _straight(v, drawn, at))


def _on(
    images: torch.Tensor,
    chosen: np.ndarray,
    change: Callable[[torch.Tensor, np.ndarray], object],
) -> None:
    """Let `change` alter the chosen items in place, told their places: all at once, or each.

    Large items are views, so that nothing is copied and one of them stays near the processor.
    """
    at = np.flatnonzero(chosen)
    if images[0].numel() >= LARGE:
        for item in at:
            change(images[item : item + 1], at[at == item])
    elif len(at) == len(images):
        change(images, at)
    elif len(at):
        rows = torch.from_numpy(at).to(images.device)
        values = images[rows]
        change(values, at)
        images[rows] = values


def _per_item(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(M,) or (M, C) -> broadcastable to (M, C, *S)."""
    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(like.device)
    return tensor.reshape(*tensor.shape, *[1] * (like.ndim - tensor.ndim))


def _darkest(values: torch.Tensor) -> torch.Tensor:
    return values.amin(tuple(range(2, values.ndim)), keepdim=True)


def _bias(values: torch.Tensor, points: np.ndarray) -> None:
    """Brighter here, darker there; black stays black: each channel's darkest value is kept."""
    bases = [cubic_basis(s, k - 3) for s, k in zip(values.shape[2:], points.shape[1:], strict=True)]
    field = spread(torch.from_numpy(points).to(values.device).unsqueeze(-1), bases)
    low = _darkest(values)
    values.sub_(low).mul_(field.squeeze(-1).unsqueeze(1)).add_(low)


def _noise(values: torch.Tensor, deviation: np.ndarray, generator: torch.Generator) -> None:
    field = torch.randn(values.shape, generator=generator, device=values.device)
    values.addcmul_(field, _per_item(deviation, values))


def _bend(values: torch.Tensor, gamma: np.ndarray) -> None:
    """Gamma between each channel's own extremes."""
    low = _darkest(values)
    # A constant channel has no range; any positive one leaves it where it is.
    span = (values.amax(tuple(range(2, values.ndim)), keepdim=True) - low).clamp_(min=1e-6)
    values.sub_(low).div_(span).clamp_(0, 1).pow_(_per_item(gamma, values)).mul_(span).add_(low)


def _straight(values: torch.Tensor, drawn: Intensity, at: np.ndarray) -> None:
    """Contrast around the mean, gain and brightness at once."""
    contrast, gain = _per_item(drawn.contrast[at], values), _per_item(drawn.gain[at], values)
    centre = values.mean(tuple(range(2, values.ndim)), keepdim=True)
    offset = (1 - contrast) * centre * gain + _per_item(drawn.brightness[at], values)
    values.mul_(contrast * gain).add_(offset)
