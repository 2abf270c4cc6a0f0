"""Points of a recording that are found again in any other window of the same recording.

They sit where the signal bends most, wherever the window begins, so that two windows that share a
stretch share the points in it. Letters: C channels, T samples, l landmarks, w samples of a patch.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

WIDTH = 64  # samples of the patch about a landmark
BEND = 2.0  # samples over which bending is looked at
APART = 48  # samples between landmarks, at least: more would tell the same
MOST = 4_096  # of one recording, the strongest


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Of one recording, the strongest first.

    positions: (l,) samples. patches: (l, w) int8, mean 0. length: T.
    """

    positions: np.ndarray
    patches: np.ndarray
    length: int


def landmarks(signal: np.ndarray) -> Landmarks:
    """(C, T) -> its landmarks; none where it is shorter than two patches or says nothing.

    Example:
        >>> walk = np.cumsum(np.random.default_rng(0).normal(size=(1, 2000)), axis=1)
        >>> whole, later = landmarks(walk), landmarks(walk[:, 300:])
        >>> len(set(whole.positions) & set(later.positions + 300)) > 10
        True
    """
    one = _one_channel(signal)
    length = len(one)
    if length < 2 * WIDTH or not one.any():
        return Landmarks(positions=np.zeros(0, np.int64), patches=_none(), length=length)
    bend = np.abs(ndimage.gaussian_laplace(one, BEND, mode="nearest"))
    peak = (bend == ndimage.maximum_filter1d(bend, APART, mode="nearest")) & (bend > 0)
    half = WIDTH // 2
    peak[:half] = peak[length - half :] = False
    places = np.flatnonzero(peak)
    places = places[np.argsort(-bend[places], kind="stable")[:MOST]]
    patches = one[places[:, None] + np.arange(-half, half)]
    return Landmarks(positions=places, patches=_whole_numbers(patches), length=length)


def _one_channel(signal: np.ndarray) -> np.ndarray:
    """(C, T) -> (T,) float32: the first channel that moves; zeros where none does."""
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.ptp(signal, axis=1).astype(np.float64)
    usable = np.isfinite(spread) & (spread != 0)
    if not usable.any():
        return np.zeros(signal.shape[1], np.float32)
    channel = signal[np.argmax(usable)]
    return (channel - channel.mean()).astype(np.float32)  # a large offset would eat the digits


def _whole_numbers(patches: np.ndarray) -> np.ndarray:
    centered = patches - patches.mean(axis=1, keepdims=True)
    most = np.abs(centered).max(axis=1, keepdims=True, initial=0)
    return np.rint(127 * centered / np.maximum(most, 1e-30)).astype(np.int8)


def _none() -> np.ndarray:
    return np.zeros((0, WIDTH), np.int8)
