"""What of a thumbnail stays when it is shifted a little, mirrored or turned: sizes of frequencies.

A shift changes only phases; a mirrored or turned image has the same sizes at other places, which
are sorted within each group of places that such a change can exchange.
Letters: n thumbnails, m samples a side, f features.
"""

from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

REACH = 5 / 16  # highest frequency, in cycles per sample: finer detail does not survive recoding
SHARPNESS = 6 / 32  # of the band that is looked at, in cycles per sample
WINDOW = 0.25  # power of the Hann window: textures end softly, a black surround stays as it is
EVEN = 3.0  # samples over which contrast is made even
FLOOR = 0.1  # of the image's own contrast: below it, noise is not blown up


def spectrum(thumbnails: np.ndarray) -> np.ndarray:
    """(n, m, ...) -> (n, f) float32 of length one.

    Contrast is made even first: the outline of a cell would drown what is inside of it.

    Example:
        >>> images = np.random.default_rng(0).normal(size=(1, 32, 32))
        >>> bool(np.allclose(spectrum(images), spectrum(images[:, ::-1]), atol=1e-3))
        True
    """
    axes = tuple(range(1, thumbnails.ndim))
    even = _even(np.asarray(thumbnails, np.float32), axes)
    window = _window(thumbnails.shape[1], len(axes))
    sizes = np.abs(fft.fftn(even * window, axes=axes)).reshape(len(even), -1)
    groups = _groups(thumbnails.shape[1], len(axes))
    found = np.concatenate([_sorted(sizes[:, group]) for group in groups], axis=1)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def _sorted(sizes: np.ndarray) -> np.ndarray:
    """(n, groups, k) -> (n, groups * k), ascending within each group."""
    return np.sort(sizes, axis=2).reshape(len(sizes), -1)


def _even(images: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    side = images.shape[1]
    band = fft.rfftn(images, axes=axes) * _band(side, len(axes))
    detail = fft.irfftn(band, s=(side,) * len(axes), axes=axes).astype(np.float32)
    power = np.square(detail)
    whole = power.mean(axis=axes, keepdims=True)
    around = ndimage.gaussian_filter(power, (0, *[EVEN] * len(axes)), mode="nearest")
    return detail / np.sqrt(around + FLOOR**2 * whole + 1e-20)


@lru_cache(maxsize=8)
def _band(side: int, dimensions: int) -> np.ndarray:
    """The second derivative of a Gaussian, on the grid of `rfftn`: short, so borders stay."""
    along = [np.fft.fftfreq(side)] * (dimensions - 1) + [np.fft.rfftfreq(side)]
    square = sum(f**2 for f in np.meshgrid(*along, indexing="ij"))
    return (square * np.exp(-square / SHARPNESS**2)).astype(np.float32)


@lru_cache(maxsize=8)
def _window(side: int, dimensions: int) -> np.ndarray:
    one = np.hanning(side + 2)[1:-1].astype(np.float32) ** WINDOW
    whole = one
    for _ in range(dimensions - 1):
        whole = np.multiply.outer(whole, one)
    return whole


@lru_cache(maxsize=8)
def _groups(side: int, dimensions: int) -> tuple[np.ndarray, ...]:
    """Places in the flat spectrum, (groups, k) for each k: those that mirroring can exchange."""
    along = np.rint(np.fft.fftfreq(side) * side).astype(int)
    places = np.stack(np.meshgrid(*[along] * dimensions, indexing="ij"), -1)
    places = places.reshape(-1, dimensions)
    groups: dict[tuple[int, ...], list[int]] = {}
    for flat, place in enumerate(places.tolist()):
        near = 0 < sum(k * k for k in place) <= (REACH * side) ** 2
        if near and place > [-k for k in place]:  # the other half is its mirror image
            groups.setdefault(tuple(sorted(map(abs, place))), []).append(flat)
    sizes = sorted({len(group) for group in groups.values()})
    return tuple(np.array([g for g in groups.values() if len(g) == size]) for size in sizes)
