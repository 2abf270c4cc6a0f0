"""Objects as numbers: their distance maps to learn, and the way back from maps to objects.

Letters: *S one, two or three spatial axes; F samples of the foreground, b basins.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from scipy import ndimage

from convivo.errors import ShapeError

SMOOTHING = 1.0  # samples: deviation of what smooths a distance map before its peaks are sought
PROMINENCE = 0.15  # what the lower of two peaks stands above their saddle, at least


def numbered(labels: np.ndarray) -> np.ndarray:
    """Any names of objects (*S), 0 none, as 1, 2, ... without gaps, int32.

    Example:
        >>> numbered(np.array([0, 7, 7, 0, 300])).tolist()
        [0, 1, 1, 0, 2]
    """
    names, places = np.unique(labels, return_inverse=True)
    start = 0 if len(names) and names[0] == 0 else 1
    return (places + start).reshape(labels.shape).astype(np.int32)


def pieces(mask: np.ndarray) -> np.ndarray:
    """The pieces of a mask (*S), connected by faces, as 1, 2, ...: (*S) int32.

    Example:
        >>> pieces(np.array([1, 1, 0, 1])).tolist()
        [1, 1, 0, 2]
    """
    return np.asarray(ndimage.label(mask)[0], np.int32)


def outlines(objects: np.ndarray) -> np.ndarray:
    """Where a sample shares a face with one of another object, or of none: (*S) bool.

    The array's own rim is no outline.
    """
    found = np.zeros(objects.shape, bool)
    for axis in range(objects.ndim):
        along, size = np.moveaxis(objects, axis, 0), objects.shape[axis]
        differs = along[1:] != along[:-1]
        view = np.moveaxis(found, axis, 0)
        view[: size - 1] |= differs
        view[1:] |= differs
    return found & (objects != 0)


def distance_map(objects: np.ndarray, spacing: Sequence[float] | None = None) -> np.ndarray:
    """How deep each sample lies in its object: 1 at the deepest place of each, 0 outside of all.

    The distance to the object's outline, whose own samples count one, over the largest distance in
    the object. An object that fills the array is 1 throughout.

    Args:
        objects: (*S) integers, 0 where there is no object.
        spacing: length of a sample along each axis, against the finest. Default: all alike.
    Returns:
        (*S) float32.
    Raises:
        ShapeError: a spacing of other axes.
    Example:
        >>> distance_map(np.array([0, 5, 5, 5, 0, 2])).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 1.0]

    Source: the normalised distance of Graham et al. 2019 (HoVer-Net) and Schmidt et al. 2018
    (StarDist, arXiv:1806.03535), here of one value a sample.
    """
    if spacing is not None and len(spacing) != objects.ndim:
        rule = f"one spacing per axis ({objects.ndim})"
        raise ShapeError("distance_map", rule, tuple(spacing), "Correct it or leave it out")
    objects = numbered(objects)
    outline = outlines(objects)
    if not outline.any():
        return (objects > 0).astype(np.float32)
    depth = 1 + np.asarray(ndimage.distance_transform_edt(~outline, sampling=spacing))
    depth[objects == 0] = 0
    largest = np.ones(int(objects.max()) + 1)
    np.maximum.at(largest, objects.ravel(), depth.ravel())
    return (depth / largest[objects]).astype(np.float32)


def objects_of(
    foreground: np.ndarray,
    distance: np.ndarray,
    *,
    prominence: float = PROMINENCE,
    smallest: int = 1,
) -> np.ndarray:
    """Objects from where the foreground is and how deep each sample lies in its object.

    The watershed of the smoothed distance: every sample of the foreground belongs to the peak that
    the steepest way up ends at. Two basins are one object where the lower peak stands less than
    `prominence` above the saddle between them.

    Args:
        foreground: (*S) bool. distance: (*S) float, about 1 in the middle of an object.
        smallest: objects of fewer samples are left out.
    Returns:
        (*S) int32: 1, 2, ... in order of their first sample, 0 outside.
    Example:
        >>> depth = np.array([0.0, 0.5, 1.0, 0.5, 0.1, 0.5, 1.0, 0.5])
        >>> objects_of(depth > 0, depth).tolist()
        [0, 1, 1, 1, 2, 2, 2, 2]
    """
    found = np.zeros(foreground.shape, np.int32)
    if not foreground.any():
        return found
    heights = ndimage.gaussian_filter(np.asarray(distance, np.float32), SMOOTHING)
    land = _Land(np.where(foreground, heights, -np.inf))
    del heights
    basins = _joined(land.basins(), land, prominence)
    found[foreground] = _in_order(basins, smallest)[basins]
    return found


def _in_order(basins: np.ndarray, smallest: int) -> np.ndarray:
    """Basin -> its object's number, 1, 2, ... in order of first samples; 0 of those too small."""
    first = np.full(int(basins.max()) + 1, len(basins))
    np.minimum.at(first, basins, np.arange(len(basins), dtype=np.int32))
    order = np.argsort(first, kind="stable")
    order = order[np.bincount(basins, minlength=len(first))[order] >= smallest]
    numbers = np.zeros(len(first), np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    return numbers


class _Land:
    """The samples of the foreground in a row, with their neighbours (corners too).

    heights: (*S) float, minus infinity where there is no foreground.
    """

    def __init__(self, heights: np.ndarray) -> None:
        padded = np.pad(heights, 1, constant_values=-np.inf)
        self.flat = padded.reshape(-1)
        numbers = np.int32 if self.flat.size < 2**31 else np.int64
        self.samples = np.flatnonzero(self.flat > -np.inf).astype(numbers)
        self.heights = self.flat[self.samples]
        self.place = np.zeros(self.flat.size, np.int32)
        self.place[self.samples] = np.arange(len(self.samples))
        strides = np.array(padded.strides) // padded.itemsize
        steps = product((-1, 0, 1), repeat=heights.ndim)
        self.steps = [int(np.dot(step, strides)) for step in steps if any(step)]

    def basins(self) -> np.ndarray:
        """(F,) the basin of each sample, 0, 1, ...: by the steepest way up, equals by place."""
        best, top = self.samples.copy(), self.heights.copy()
        for step in self.steps:
            other = self.samples + step
            height = self.flat[other]
            better = (height > top) | ((height == top) & (other > best))
            best[better], top[better] = other[better], height[better]
        up = self.place[best]
        while not np.array_equal(further := up[up], up):
            up = further
        tops = np.zeros(len(up), np.int32)
        tops[up] = 1
        return (np.cumsum(tops, dtype=np.int32) - 1)[up]

    def saddles(self, basins: np.ndarray) -> Iterator[tuple[int, int, float]]:
        """Pairs of neighbouring basins and the highest way between them, the highest first."""
        pairs, ways = np.zeros(0, np.int64), np.zeros(0, self.heights.dtype)
        for step in (step for step in self.steps if step > 0):
            keys, heights = self._beside(basins, step)
            pairs, place = np.unique(np.concatenate([pairs, keys]), return_inverse=True)
            higher = np.full(len(pairs), -np.inf, self.heights.dtype)
            np.maximum.at(higher, place, np.concatenate([ways, heights]))
            ways = higher
        count = int(basins.max()) + 1
        for at in np.argsort(-ways, kind="stable"):
            yield int(pairs[at] // count), int(pairs[at] % count), float(ways[at])

    def _beside(self, basins: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours one step apart in different basins: the pair, and the lower height."""
        there = np.flatnonzero(self.flat[self.samples + step] > -np.inf)
        beside = self.place[self.samples[there] + step]
        apart = basins[there] != basins[beside]
        there, beside = there[apart], beside[apart]
        one, two = basins[there].astype(np.int64), basins[beside]
        keys = np.minimum(one, two) * (int(basins.max()) + 1) + np.maximum(one, two)
        return keys, np.minimum(self.heights[there], self.heights[beside])


def _joined(basins: np.ndarray, land: _Land, prominence: float) -> np.ndarray:
    """(F,) basins after those are joined whose peaks hardly part, the highest saddles first."""
    peaks = np.full(int(basins.max()) + 1, -np.inf)
    np.maximum.at(peaks, basins, land.heights)
    owner = np.arange(len(peaks))

    def root(basin: int) -> int:
        while owner[basin] != basin:
            owner[basin] = owner[owner[basin]]
            basin = int(owner[basin])
        return basin

    for one, two, way in land.saddles(basins):
        lower, higher = sorted((root(one), root(two)), key=peaks.__getitem__)
        if lower != higher and peaks[lower] - way < prominence:
            owner[lower] = higher
    return np.array([root(basin) for basin in range(len(owner))])[basins]


def parted(objects: np.ndarray) -> np.ndarray:
    """A mask (*S) uint8 of all objects, with a gap where two of them touch: to be looked at.

    Example:
        >>> parted(np.array([0, 4, 4, 9, 9, 0])).tolist()
        [0, 1, 1, 0, 1, 0]
    """
    mask = (objects != 0).astype(np.uint8)
    for axis in range(objects.ndim):
        along = np.moveaxis(objects, axis, 0)
        touching = (along[1:] != along[:-1]) & (along[1:] != 0) & (along[:-1] != 0)
        np.moveaxis(mask, axis, 0)[1:][touching] = 0
    return mask
