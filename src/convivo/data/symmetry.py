"""Which mirrorings leave the data looking like itself: measured on training images, not assumed.

Cells have no left and right, digits and chests do. An axis may be flipped in augmentation when
mirrored images cannot be told from the originals.
"""

from collections.abc import Sequence

import numpy as np

from convivo.arrays.resampling import resample

GRID = 12  # samples per axis: enough to see what is up, few enough to learn from 40 images
TOLD_APART = 0.65  # share of held-out images whose mirroring is recognised; 0.5 is guessing


def natural_flips(
    images: Sequence[np.ndarray], units: Sequence[str], spatial_dims: int
) -> tuple[int, ...]:
    """Spatial axes along which the images look as natural mirrored as they do upright.

    For each axis a linear discriminant on the odd part (image minus mirror image, on a coarse
    grid) is learnt on half the units and tried on the other half.

    Args:
        images: (C, *S) training images, prepared. units: the unit of each. spatial_dims: 1, 2, 3.
    """
    return flips_of([coarse_grid(image) for image in images], units, spatial_dims)


def coarse_grid(image: np.ndarray) -> np.ndarray:
    """An image (C, *S) as its channels' mean on the coarse grid: all that flips are told from."""
    grid = (GRID,) * (image.ndim - 1)
    return resample(np.asarray(image, np.float32), grid, order=1).mean(0)


def flips_of(
    grids: Sequence[np.ndarray], units: Sequence[str], spatial_dims: int
) -> tuple[int, ...]:
    """`natural_flips`, from the coarse grids of the images."""
    if spatial_dims == 1 or len(grids) < 8:  # time runs one way; with few images nothing is sure
        return ()
    coarse = np.stack(grids)
    coarse -= coarse.mean(axis=tuple(range(1, coarse.ndim)), keepdims=True)
    names = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    half = np.array([names[unit] % 2 for unit in units])
    shares = [told_apart(coarse, axis + 1, half) for axis in range(spatial_dims)]
    return tuple(axis for axis, share in enumerate(shares) if share < TOLD_APART)


def told_apart(images: np.ndarray, axis: int, half: np.ndarray) -> float:
    """Share of images whose mirroring along `axis` a discriminant recognises, cross-fitted.

    Args:
        images: (n, *S). axis: of that array, so 1 is the first spatial one.
        half: (n,) 0 or 1; what is learnt on either half is tried on the other.
    """
    odd = (images - np.flip(images, axis)).reshape(len(images), -1)
    if not (0 < half.sum() < len(half)):
        half = np.arange(len(images)) % 2
    right = np.zeros(len(images))
    for fold in (0, 1):
        seen, unseen = odd[half != fold], odd[half == fold]
        mean = seen.mean(0)
        # Ridge-regularised Fisher direction in the span of the images (their number is small).
        centred = seen - mean
        gram = centred @ centred.T
        ridge = np.trace(gram) / len(seen) + 1e-9
        inner = np.linalg.solve(gram + ridge * np.eye(len(seen)), centred @ mean)
        direction = (mean - centred.T @ inner) / ridge
        right[half == fold] = (unseen @ direction > 0) + 0.5 * (unseen @ direction == 0)
    return float(right.mean())
