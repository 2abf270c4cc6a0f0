"""Grey values of every scale -> values around zero that a network can take.

Statistics belong to the case (zscore, robust) or are given (fixed); channels are independent.
"""

from collections.abc import Sequence
from math import gcd

import numpy as np

from convivo.errors import ConfigError, ShapeError, nearest_name

SCHEMES = ("zscore", "robust", "fixed", "none")
BACKGROUND_SHARE = 0.25
"""A minimum that more than this share of a channel has exactly is taken for background."""
BOUND = {"zscore": 10.0, "robust": 100.0}
"""Largest magnitude left, in deviations: one hot pixel must not drown a whole batch."""
_SAMPLE = 1_000_000
"""Statistics of larger channels come from about this many evenly strided values."""
_BLOCK = 2**20
"""Values of a channel that are scaled at once."""


def normalize(
    image: np.ndarray,
    scheme: str,
    *,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    over: bool = False,
) -> np.ndarray:
    """Scale each channel of one case.

    Args:
        image: (C, *S), any real dtype.
        scheme: "zscore": minus mean, over standard deviation, both after values beyond the 0.5
            and 99.5 percentile are pulled in, and without the background where more than a
            quarter of the channel is exactly its minimum. "robust": minus median, over
            interquartile range / 1.349 (signals). "fixed": integers over the largest value of
            their dtype, then minus `mean`, over `std`. "none": only float32.
        mean, std: for "fixed", one per channel, or a single one for all.
        over: the result may be written over a float32 image, which saves a copy.
    Returns:
        (C, *S) float32 without NaN, except that "none" keeps values as they are. A constant
        channel gives zeros; a missing value (NaN, inf) gives 0, the centre.
    Raises:
        ConfigError: an unknown scheme.
        ShapeError: not one mean and one positive std per channel.
    Example:
        >>> normalize(np.array([[1, 2, 3]]), "robust").round(2)
        array([[-1.35,  0.  ,  1.35]], dtype=float32)
    """
    if scheme not in SCHEMES:
        raise ConfigError(
            "normalization", "a known scheme", repr(scheme), nearest_name(scheme, SCHEMES)
        )
    if scheme == "none":
        return np.asarray(image, dtype=np.float32)
    if scheme == "fixed":
        return _fixed(to_unit_range(image), mean, std)
    over = over and image.dtype == np.float32 and image.flags.writeable
    result = image if over else np.empty(image.shape, dtype=np.float32)
    statistics = _zscore_statistics if scheme == "zscore" else _robust_statistics
    for channel, values in enumerate(image):
        centre, scale = statistics(_sample(values))
        _scale_into(result[channel], values, centre, scale)
        np.clip(result[channel], -BOUND[scheme], BOUND[scheme], out=result[channel])
    return result


def to_unit_range(image: np.ndarray) -> np.ndarray:
    """Integers over the largest value of their dtype; other dtypes only become float32.

    Example:
        >>> to_unit_range(np.array([0, 51, 255], dtype=np.uint8))
        array([0. , 0.2, 1. ], dtype=float32)
    """
    values = np.asarray(image, dtype=np.float32)
    if np.issubdtype(image.dtype, np.integer):
        values /= np.float32(np.iinfo(image.dtype).max)
    return values


def _fixed(image: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    channels = image.shape[0]
    fits = all(len(values) in (1, channels) for values in (mean, std))
    if not fits or not all(np.isfinite(mean)) or not all(value > 0 for value in std):
        rule = f"'fixed' takes one mean and one positive std per channel ({channels})"
        got = f"mean={tuple(mean)}, std={tuple(std)}"
        raise ShapeError("normalization", rule, got, "Measure them on the training cases")
    result = np.empty(image.shape, dtype=np.float32)
    for channel, values in enumerate(image):
        pick = [v[0] if len(v) == 1 else v[channel] for v in (mean, std)]
        _scale_into(result[channel], values, pick[0], pick[1])
    return result


def _sample(values: np.ndarray) -> np.ndarray:
    """Finite values of a channel, at most about _SAMPLE of them, as float64."""
    flat = values.reshape(-1)
    step = max(1, flat.size // _SAMPLE)
    # A step that shares a factor with an axis length would visit only some rows or columns.
    while step > 1 and gcd(step, flat.size) > 1:
        step += 1
    sample = flat[::step].astype(np.float64)
    finite = np.isfinite(sample)
    return sample if finite.all() else sample[finite]


def _zscore_statistics(values: np.ndarray) -> tuple[float, float]:
    if values.size == 0 or values.min() == values.max():
        return (float(values[0]) if values.size else 0.0), 0.0
    foreground = values[values > values.min()]
    # Shape masks have a constant foreground: then background is all the contrast there is.
    if values.size - foreground.size > BACKGROUND_SHARE * values.size and np.ptp(foreground) > 0:
        values = foreground
    low, high = np.percentile(values, (0.5, 99.5))
    if low < high:  # equal where almost all values are alike; the few others then count
        values = np.clip(values, low, high)
    return float(values.mean()), float(values.std())


def _robust_statistics(values: np.ndarray) -> tuple[float, float]:
    if values.size == 0 or values.min() == values.max():
        return (float(values[0]) if values.size else 0.0), 0.0
    quarter, median, three_quarters = np.percentile(values, (25, 50, 75))
    spread = (three_quarters - quarter) / 1.349
    return float(median), float(spread if spread > 0 else values.std())


def _scale_into(out: np.ndarray, values: np.ndarray, centre: float, scale: float) -> None:
    """Row by row of the first axis, so that a volume's copies stay small."""
    if scale == 0:
        out[...] = 0.0
        return
    step = max(1, _BLOCK * len(values) // max(1, values.size))
    for start in range(0, len(values), step):
        part, into = values[start : start + step], out[start : start + step]
        if part.dtype.itemsize < 4:  # wider integers are subtracted in float64: no digit is lost
            part = part.astype(np.float32)
        into[...] = (part - centre) / scale
        if not np.isfinite(into).all():
            np.nan_to_num(into, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def denormalize(
    values: np.ndarray,
    like: np.ndarray,
    scheme: str,
    *,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> np.ndarray:
    """Normalised values back in the units and the dtype of an image: the inverse of `normalize`.

    Args:
        values: (C, *P) on any grid. like: (C, *S) the image as stored, of which the statistics are.
        scheme, mean, std: as `normalize` was given them.
    Returns:
        (C, *P): integers are rounded, and kept within their dtype's range; a constant channel is
        that constant.
    Example:
        >>> image = np.array([[1, 2, 3, 9]], np.uint8)
        >>> denormalize(normalize(image, "robust"), image, "robust").tolist()
        [[1, 2, 3, 9]]
    """
    result = np.empty(values.shape, np.float64)
    whole = np.issubdtype(like.dtype, np.integer)
    for channel, part in enumerate(values):
        centre, scale = _scale_of(like[channel], scheme, mean, std, channel)
        result[channel] = part.astype(np.float64) * scale + centre
    if not whole:
        return result.astype(like.dtype if like.dtype.kind == "f" else np.float32)
    limits = np.iinfo(like.dtype)
    return np.rint(result).clip(limits.min, limits.max).astype(like.dtype)


def _scale_of(
    values: np.ndarray, scheme: str, mean: Sequence[float], std: Sequence[float], channel: int
) -> tuple[float, float]:
    """What a channel's normalised zero stands for, and its one, in stored units."""
    if scheme == "none":
        return 0.0, 1.0
    if scheme == "fixed":
        centre, scale = (v[0] if len(v) == 1 else v[channel] for v in (mean, std))
        whole = np.issubdtype(values.dtype, np.integer)
        unit = float(np.iinfo(values.dtype).max) if whole else 1.0
        return centre * unit, scale * unit
    statistics = _zscore_statistics if scheme == "zscore" else _robust_statistics
    return statistics(_sample(values))
