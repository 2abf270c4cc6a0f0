"""Whether two thumbnails show the same picture: mirrored or turned, shifted, brighter, blurred.

First the best of all orientations and shifts (`align`), on the coarse half of the spectrum; then
what is left of one after fitting the other to it (`residual`).
Letters: n pairs, m samples a side, d spatial axes, k frequencies.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from convivo.arrays.orientations import orientations, oriented

BAND = 1 / 4  # cycles per sample where the weight has fallen to 1/e: finer detail is recoding's
TILT = 0.5  # power of the frequency: detail says more than the broad shape, which look-alikes share
FARTHEST = 1 / 8  # of a side: how far two pictures may be shifted against each other
MARGIN = 3  # samples at the border, where the filter has seen what lies outside
ROUNDS = 2  # of improving the shift
STEP = 0.7  # samples, most in one round
HOPELESS = 0.4  # residual of a round after which no other is tried: further ones mend a shift of
# less than a sample, and of 660 pairs of planted digits none that ended below 0.12 began above 0.13


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How to lay the first of each pair on the second.

    score: (n,) correlation there, of the weighted spectra. orientation: (n,) place among
    `orientations(d)`. shift: (n, d) samples.
    """

    score: np.ndarray
    orientation: np.ndarray
    shift: np.ndarray

    def chosen(self, which: np.ndarray) -> "Alignment":
        """The same of some of the pairs."""
        return Alignment(
            score=self.score[which],
            orientation=self.orientation[which],
            shift=self.shift[which],
        )


def coarse(thumbnails: np.ndarray) -> np.ndarray:
    """(n, m, ...) -> (n, k, ...) complex64: weighted frequencies about the middle, of length one.

    What `align` compares; places are counted from the picture's middle, so that mirroring the
    picture mirrors the spectrum.
    """
    side, d = thumbnails.shape[1], thumbnails.ndim - 1
    axes = tuple(range(1, d + 1))
    kept = _coarse_frequencies(side)
    found = fft.fftn(np.asarray(thumbnails, np.float32), axes=axes)
    for axis in axes:
        found = found.take(kept, axis=axis)
    found = found * _coarse_weights(side, d)
    length = np.sqrt(np.square(np.abs(found)).sum(axis=axes, keepdims=True))
    return (found / np.maximum(length, 1e-12)).astype(np.complex64)


def align(first: np.ndarray, second: np.ndarray, side: int) -> tuple[Alignment, Alignment]:
    """Two (n, k, ...) of `coarse` -> the best orientation and whole shift of each pair, and the
    best of the other orientations (round cells look much the same however they are turned).

    Example:
        >>> image = np.random.default_rng(1).normal(size=(1, 32, 32)).astype(np.float32)
        >>> found, _ = align(coarse(image), coarse(np.roll(image[:, ::-1], 2, axis=1)), 32)
        >>> orientations(2)[found.orientation[0]], found.shift[0].tolist()
        (((0, 1), (-1, 1)), [2, 0])
    """
    count, d = len(first), first.ndim - 1
    reach = int(side * FARTHEST)
    steps = np.arange(-reach, reach + 1)
    waves = np.exp(2j * np.pi * np.outer(steps, _coarse_frequencies(side)) / side)
    waves = waves.astype(np.complex64)
    changes = orientations(d)
    score = np.empty((count, len(changes)), np.float32)
    place = np.empty((count, len(changes)), np.int64)
    for number, change in enumerate(changes):
        product = np.conj(oriented(first, change)) * second
        for _ in range(d):  # the axis that is summed over comes back as the last one
            product = np.tensordot(product, waves, axes=(1, 1))
        flat = product.real.reshape(count, -1)
        place[:, number] = flat.argmax(axis=1)
        score[:, number] = np.take_along_axis(flat, place[:, number, None], axis=1)[:, 0]
    order = np.argsort(-score, axis=1, kind="stable")
    rows = np.arange(count)

    def ranked(number: np.ndarray) -> Alignment:
        shifts = np.unravel_index(place[rows, number], (len(steps),) * d)
        shift = steps[np.stack(shifts, axis=1)]
        return Alignment(score=score[rows, number], orientation=number, shift=shift)

    return ranked(order[:, 0]), ranked(order[:, 1])


def residual(first: np.ndarray, second: np.ndarray, found: Alignment) -> np.ndarray:
    """Two (n, m, ...) -> (n,) what the fit leaves of the second's spread: 0 same, 1 unrelated.

    The sharper of the two is shifted, blurred, and given another gain and offset, to come as near
    to the other as it can, over the part that both show. Its square is one minus the square of
    their correlation there. A negative of a picture is not the same picture: 1.
    """
    d = first.ndim - 1
    laid = np.empty(first.shape, np.float32)
    for number in np.unique(found.orientation):
        which = found.orientation == number
        laid[which] = oriented(first[which], orientations(d)[number])
    one, other = _filtered(laid), _filtered(np.asarray(second, np.float32))
    swap = _sharpness(other) > _sharpness(one)
    where = swap.reshape(-1, *[1] * d)
    shift = np.where(swap[:, None], -found.shift, found.shift).astype(np.float32)
    sharper, blurrer = np.where(where, other, one), np.where(where, one, other)
    return _fit(sharper, _pictures(blurrer, first.shape[1]), shift)


def _fit(spectra: np.ndarray, target: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Spectra of the sharper, the blurrer pictures -> (n,) least residual over rounds.

    Past `HOPELESS` it is that of the rounds until then.
    """
    d, side = target.ndim - 1, target.shape[1]
    goal = target.reshape(len(target), -1)
    reach = int(side * FARTHEST) + 1
    best = np.ones(len(goal), np.float32)
    some = np.arange(len(goal))  # that are worth another round
    for _ in range(ROUNDS + 1):
        terms = _terms(spectra[some], shift, side)
        left, factors = _least_squares(terms, goal[some], _overlap(shift, side))
        best[some] = np.minimum(best[some], np.where(factors[:, 0] > 0, left, 1.0))
        gain = np.where(np.abs(factors[:, :1]) > 1e-6, factors[:, :1], 1e-6)
        shift = shift + np.clip(factors[:, 1 : d + 1] / gain, -STEP, STEP)
        hopeful = best[some] <= HOPELESS
        some, shift = some[hopeful], np.clip(shift, -reach, reach)[hopeful].astype(np.float32)
        if not len(some):
            break
    return best


def _terms(spectra: np.ndarray, shift: np.ndarray, side: int) -> np.ndarray:
    """(n, d + 2, m ** d): the shifted picture, its slope along each axis, its blur."""
    along = _frequencies(side, spectra.ndim - 1)
    turns = sum(shift[:, axis].reshape(-1, *[1] * len(along)) * f for axis, f in enumerate(along))
    moved = spectra * np.exp(-2j * np.pi * turns).astype(np.complex64)
    slopes = [moved * (-2j * np.pi * f).astype(np.complex64) for f in along]
    blur = moved * -sum(np.square(2 * np.pi * f) for f in along)
    parts = [_pictures(part, side) for part in (moved, *slopes, blur)]
    return np.stack([part.reshape(len(part), -1) for part in parts], axis=1)


def _least_squares(
    terms: np.ndarray, goal: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) share of the goal's spread that is left inside the mask, and (n, t) factors."""
    count = mask.sum(axis=1, keepdims=True)
    goal = (goal - (goal * mask).sum(axis=1, keepdims=True) / count) * mask
    means = np.einsum("ntp,np->nt", terms, mask) / count
    terms = (terms - means[:, :, None]) * mask[:, None]
    normal = terms @ terms.transpose(0, 2, 1)
    ridge = 1e-6 * np.trace(normal, axis1=1, axis2=2) / normal.shape[1] + 1e-12
    normal = normal + ridge[:, None, None] * np.eye(normal.shape[1], dtype=np.float32)
    right = np.einsum("ntp,np->nt", terms, goal)
    factors = np.linalg.solve(normal, right[..., None])[..., 0]
    spread = np.square(goal).sum(axis=1)
    explained = (factors * right).sum(axis=1) / np.maximum(spread, 1e-12)
    return np.sqrt(np.clip(1.0 - explained, 0.0, 1.0)), factors


def _overlap(shift: np.ndarray, side: int) -> np.ndarray:
    """(n, m ** d) 1 where both pictures are, away from their borders."""
    count, d = shift.shape
    places = np.arange(side, dtype=np.float32)
    mask = np.ones((count, *[1] * d), np.float32)
    for axis in range(d):
        start = np.maximum(shift[:, axis, None], 0) + MARGIN
        stop = side - 1 - MARGIN + np.minimum(shift[:, axis, None], 0)
        inside = (places >= start) & (places <= stop)
        shape = [count, *[side if other == axis else 1 for other in range(d)]]
        mask = mask * inside.reshape(shape)
    return mask.reshape(count, -1)


def _filtered(pictures: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, pictures.ndim))
    return fft.rfftn(pictures, axes=axes) * _weights(pictures.shape[1], len(axes))


def _pictures(spectra: np.ndarray, side: int) -> np.ndarray:
    d = spectra.ndim - 1
    return fft.irfftn(spectra, s=(side,) * d, axes=tuple(range(1, d + 1)))


def _sharpness(spectra: np.ndarray) -> np.ndarray:
    """(n,) mean square frequency."""
    d = spectra.ndim - 1
    side = spectra.shape[1] if d > 1 else 2 * (spectra.shape[1] - 1)
    power = np.square(np.abs(spectra))
    square = sum(np.square(f) for f in _frequencies(side, d))
    axes = tuple(range(1, d + 1))
    return (power * square).sum(axis=axes) / np.maximum(power.sum(axis=axes), 1e-12)


@lru_cache(maxsize=8)
def _frequencies(side: int, d: int) -> tuple[np.ndarray, ...]:
    """Cycles per sample along each axis, on the grid of `rfftn`."""
    along = [np.fft.fftfreq(side)] * (d - 1) + [np.fft.rfftfreq(side)]
    return tuple(f.astype(np.float32) for f in np.meshgrid(*along, indexing="ij"))


def _weight(square: np.ndarray) -> np.ndarray:
    return (square ** (TILT / 2) * np.exp(-square / BAND**2)).astype(np.float32)


@lru_cache(maxsize=8)
def _weights(side: int, d: int) -> np.ndarray:
    return _weight(np.sum([np.square(f) for f in _frequencies(side, d)], axis=0))


@lru_cache(maxsize=8)
def _coarse_frequencies(side: int) -> np.ndarray:
    """Whole cycles a side, -k to k."""
    most = int(side * BAND) - 1
    return np.arange(-most, most + 1)


@lru_cache(maxsize=8)
def _coarse_weights(side: int, d: int) -> np.ndarray:
    """Weights, with the phase that counts places from the middle."""
    cycles = np.meshgrid(*[_coarse_frequencies(side)] * d, indexing="ij")
    square = np.sum([np.square(k / side) for k in cycles], axis=0)
    phase = np.exp(2j * np.pi * sum(cycles) * (side - 1) / 2 / side)
    return (_weight(square) * phase).astype(np.complex64)
