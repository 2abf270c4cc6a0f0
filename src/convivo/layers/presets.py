"""Kernels that people designed, by name and in any dimension: what a convolution can do, untrained.

As NumPy arrays of one channel, to be slid over the image as they are drawn (`Conv`).
"""

import inspect
import math
from collections.abc import Callable, Sequence

import numpy as np

from convivo.errors import ConfigError, nearest_name
from convivo.layers.kernels import check_choice, check_dimensions


def _grid(spatial_dims: int, size: int) -> np.ndarray:
    """Positions of the taps from the middle one, (spatial_dims, *S)."""
    if size < 1 or size % 2 == 0:
        remedy = "Give 3, 5, 7 ..."
        raise ConfigError("preset size", "an odd number, so that there is a middle", size, remedy)
    return np.indices((size,) * spatial_dims, dtype=np.float64) - size // 2


def _at_least(value: float, least: float, where: str) -> None:
    if not least < value < math.inf:
        raise ConfigError(where, f"a number above {least:g}", value, "Give a larger one")


def _axis(axis: int, spatial_dims: int) -> int:
    if axis in range(-spatial_dims, spatial_dims):
        return axis % spatial_dims
    rule = f"one of the {spatial_dims} axes, counted from 0"
    raise ConfigError("preset axis", rule, axis, "Give a smaller one")


def identity(spatial_dims: int = 2, *, size: int = 3) -> np.ndarray:
    """One in the middle: the image as it is. Shape: (size,) per axis, as of all presets."""
    return np.all(_grid(spatial_dims, size) == 0, axis=0).astype(np.float64)


def smoothing(spatial_dims: int = 2, *, size: int = 3) -> np.ndarray:
    """The mean of the window: ones, divided by their number, 1/9 in a window of 3 x 3."""
    return np.ones_like(_grid(spatial_dims, size)[0]) / size**spatial_dims


def sharpening(spatial_dims: int = 2, *, size: int = 3) -> np.ndarray:
    """What a sample has beyond the mean of its neighbours: centre 1, in 3 x 3 the others -1/8.

    Its sum is 0: flat parts vanish and details stay. Added to the image it sharpens it.

    Raises:
        ConfigError: a size that is even, or below 3.
    Example:
        >>> sharpening(1).tolist()
        [-0.5, 1.0, -0.5]
    """
    middle = identity(spatial_dims, size=size)
    _at_least(size, 1, "preset size")
    return middle - (1 - middle) / (size**spatial_dims - 1)


def gaussian(spatial_dims: int = 2, *, sigma: float = 1.0, size: int | None = None) -> np.ndarray:
    """A bell of standard deviation `sigma` in samples, sum 1; by default cut at 3 sigma.

    Raises:
        ConfigError: `sigma` not positive, an even size.
    """
    _at_least(sigma, 0, "preset sigma")
    taps = 2 * math.ceil(3 * sigma) + 1 if size is None else size
    bell = np.exp(-(_grid(spatial_dims, taps) ** 2).sum(axis=0) / (2 * sigma**2))
    return bell / bell.sum()


def derivative(spatial_dims: int = 2, *, axis: int = -1) -> np.ndarray:
    """The slope along one axis, per sample, from both neighbours: -1/2, 0, 1/2.

    Shape: 3 along `axis`, 1 along the others.

    Raises:
        ConfigError: no such axis.
    """
    shape = [1] * spatial_dims
    shape[_axis(axis, spatial_dims)] = 3
    return np.array([-0.5, 0.0, 0.5]).reshape(shape)


def sobel(spatial_dims: int = 2, *, axis: int = -1) -> np.ndarray:
    """-1, 0, 1 along one axis, smoothed by 1, 2, 1 along the others.

    Raises:
        ConfigError: no such axis.
    Example:
        >>> sobel().astype(int).tolist()
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]

    Source: Sobel & Feldman 1968.
    """
    along, at = _axis(axis, spatial_dims), _grid(spatial_dims, 3)
    across = np.delete(at, along, axis=0)
    return at[along] * np.prod(2 - np.abs(across), axis=0)


def laplacian(spatial_dims: int = 2) -> np.ndarray:
    """The sum of the second derivatives: 1 at the direct neighbours, sum 0; -4 in the middle in 2D.

    Example:
        >>> laplacian(1).tolist()
        [1.0, -2.0, 1.0]
    """
    away = np.abs(_grid(spatial_dims, 3)).sum(axis=0)
    return np.where(away == 1, 1.0, 0.0) - 2 * spatial_dims * (away == 0)


def gabor(
    spatial_dims: int = 2,
    *,
    frequency: float = 0.25,
    orientation: float | Sequence[float] = 0.0,
    sigma: float | None = None,
    phase: float = 0.0,
    size: int | None = None,
) -> np.ndarray:
    """A wave under a bell: answers to stripes of one width and direction, as simple cells do.

    cos(2 pi frequency u.x + phase) exp(-|x|^2 / 2 sigma^2), less as much of the bell as brings the
    sum to 0, so that flat parts vanish; scaled so that absolute values add up to 1, so that no
    answer exceeds the largest absolute value of the image.

    Args:
        spatial_dims: 1, 2 or 3.
        frequency: waves per sample, above 0 and at most 1/2.
        orientation: where the wave runs, in radians: from the first axis towards the second, and
            in 3D a second angle from there towards the third. One number: the others are 0.
        sigma: standard deviation of the bell in samples. Default: 0.5 / frequency, two such
            deviations to a wave, about one octave of bandwidth.
        phase: in radians; 0 answers to lines, pi / 2 to edges.
        size: taps per axis, odd. Default: cut at 2 sigma.
    Raises:
        ConfigError: a number that cannot be, more angles than needed, or a window so small that
            nothing is left of the wave.
    Example:
        >>> gabor(1, frequency=0.5, size=3).round(2).tolist()
        [-0.25, 0.5, -0.25]

    Source: Daugman 1985, J. Opt. Soc. Am. A 2(7), doi:10.1364/JOSAA.2.001160.
    """
    _at_least(frequency, 0, "preset frequency")
    if frequency > 0.5:
        rule = "at most half a wave per sample can be told apart"
        raise ConfigError("preset frequency", rule, frequency, "Give 0.5 or less")
    sigma = 0.5 / frequency if sigma is None else sigma
    taps = 2 * math.ceil(2 * sigma) + 1 if size is None else size
    at, bell = _grid(spatial_dims, taps), gaussian(spatial_dims, sigma=sigma, size=taps)
    along = np.tensordot(_direction(orientation, spatial_dims), at, axes=1)
    wave = np.cos(2 * math.pi * frequency * along + phase)
    kernel = bell * (wave - (bell * wave).sum())
    total = np.abs(kernel).sum()
    if total < 1e-9:
        got = f"size={taps}, frequency={frequency}, phase={phase}"
        raise ConfigError("gabor", "the window must hold a part of the wave", got, "Change phase")
    return kernel / total


def _direction(orientation: float | Sequence[float], spatial_dims: int) -> np.ndarray:
    """The unit vector of the angles, (spatial_dims,)."""
    angles = [orientation] if isinstance(orientation, int | float) else list(orientation)
    if spatial_dims > 1 and len(angles) > spatial_dims - 1:
        rule = f"{spatial_dims - 1} angles in {spatial_dims} dimensions"
        raise ConfigError("preset orientation", rule, angles, "Leave some out")
    angles = (angles + [0.0] * spatial_dims)[: spatial_dims - 1]
    sines = np.cumprod([1.0, *np.sin(angles)])
    return sines * np.array([*np.cos(angles), 1.0])


PRESETS: dict[str, Callable[..., np.ndarray]] = {
    "identity": identity,
    "smoothing": smoothing,
    "sharpening": sharpening,
    "gaussian": gaussian,
    "derivative": derivative,
    "sobel": sobel,
    "laplacian": laplacian,
    "gabor": gabor,
}


def preset(name: str, spatial_dims: int = 2, **settings: object) -> np.ndarray:
    """The kernel called `name`, float64, with the settings of its own function.

    Raises:
        UsageError: `spatial_dims` other than 1, 2 and 3.
        ConfigError: an unknown name or setting, with the nearest one, or a value that cannot be.
    Example:
        >>> preset("smoothing", 1).round(2).tolist()
        [0.33, 0.33, 0.33]
    """
    make = PRESETS[check_choice(name, tuple(PRESETS), "preset")]
    known = [p for p in inspect.signature(make).parameters if p != "spatial_dims"]
    for key in settings:
        if key not in known:
            rule = f"a setting of {name}: {', '.join(known) or 'it has none'}"
            raise ConfigError(f"preset {name}", rule, repr(key), nearest_name(key, known))
    return make(check_dimensions(spatial_dims, "preset"), **settings)
