"""A small picture of an image, whatever its size, type and brightness: what duplicates share.

About a kilobyte an item, so that a hundred thousand images are compared without being kept.
Letters: C channels, *S spatial axes, m samples a side.
"""

from functools import lru_cache

import numpy as np

SIDES = (1024, 32, 16)  # samples a side of a signal, an image, a volume
LEAST = {2: 16, 3: 8}  # samples along the shortest axis: smaller images all look alike
CLIP = 8.0  # standard deviations; a hot pixel shall not flatten everything else
LEVELS = 127  # of int8
MOST_WEIGHTS, FINE = 2**23, 4  # values; axes that need more are binned to 4 times the side first
AT_ONCE = 2**22  # values converted at a time, so that a large volume needs little memory beside it


def thumbnail(image: np.ndarray, finer: int = 1) -> np.ndarray | None:
    """(C, *S) -> (m, ...) int8 about its mean, as steep as fits; None where nothing shows, and of
    images and volumes too small to be told apart.

    Every axis becomes m samples long (means of neighbourhoods, or in between), so that size and
    aspect do not matter; gain and offset do not either. Several channels are added up: bytes
    (colours) as they are, anything else each by its own spread.

    Args:
        finer: times as many samples along every axis, for a closer look.

    Example:
        >>> ramp = np.arange(40.0).reshape(1, 40)
        >>> bool((thumbnail(ramp) == thumbnail(7 * ramp - 3)).all()), thumbnail(0 * ramp) is None
        (True, True)
    """
    if min(image.shape[1:], default=0) < LEAST.get(image.ndim - 1, 1):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        small = np.stack([_reduced(channel, finer) for channel in image])
        small -= small.reshape(len(small), -1).mean(axis=1).reshape(-1, *[1] * (small.ndim - 1))
        spread = np.sqrt(np.square(small).reshape(len(small), -1).mean(axis=1))
    if not np.isfinite(spread).all():
        return None
    if len(small) > 1 and image.dtype != np.uint8:
        kept = spread > 1e-6 * max(float(spread.max()), 1e-30)
        small = small[kept] / spread[kept].reshape(-1, *[1] * (small.ndim - 1))
    one = small[0] if len(small) == 1 else small.sum(axis=0)
    deviation = float(spread[0] if len(spread) == 1 else one.std())
    if deviation <= 1e-6 * float(np.abs(image).max()):
        return None
    one = np.clip(one, -CLIP * deviation, CLIP * deviation)
    return np.rint(one * (LEVELS / np.abs(one).max())).astype(np.int8)


def _reduced(channel: np.ndarray, finer: int) -> np.ndarray:
    """(*S) -> (m, ...) float32, slab by slab along the first axis."""
    side = SIDES[channel.ndim - 1] * finer
    rows = max(1, AT_ONCE // max(1, channel[0].size)) if channel.ndim > 1 else len(channel)
    slabs = []
    for start in range(0, len(channel), rows):
        slab = channel[start : start + rows].astype(np.float32)
        for axis in range(channel.ndim - 1, 0, -1):
            slab = _along(slab, axis, side)
        slabs.append(slab)
    return _along(np.concatenate(slabs), 0, side)


def _along(array: np.ndarray, axis: int, side: int) -> np.ndarray:
    if array.shape[axis] * side > MOST_WEIGHTS:
        array = binned(array, axis, FINE * side)
    weights = _weights(array.shape[axis], side)
    if axis == 0:
        return (weights @ array.reshape(len(array), -1)).reshape(side, *array.shape[1:])
    if axis == array.ndim - 1:  # of an image the only other one; `moveaxis` takes as long as it all
        return array @ weights.T
    return np.moveaxis(np.moveaxis(array, axis, -1) @ weights.T, -1, axis)


def binned(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    """Means of `count` stretches of an axis, of at least one sample each.

    Example:
        >>> binned(np.array([1.0, 3.0, 5.0, 6.0]), 0, 2).tolist()
        [2.0, 5.5]
    """
    edges = np.arange(count + 1) * array.shape[axis] // count
    widths = np.diff(edges).reshape(-1, *[1] * (array.ndim - 1 - axis)).astype(np.float32)
    return np.add.reduceat(array, edges[:-1], axis=axis) / widths


@lru_cache(maxsize=4)
def _weights(size: int, side: int) -> np.ndarray:
    """(m, size) tents as wide as the step, at least one sample; rows add up to one."""
    places = ((np.arange(side) + 0.5) * size / side - 0.5).astype(np.float32)
    width = np.float32(max(size / side, 1.0))
    weights = np.arange(size, dtype=np.float32) - places[:, np.newaxis]
    weights = np.maximum(0.0, 1.0 - np.abs(weights) / width)
    return weights / weights.sum(axis=1, keepdims=True)
