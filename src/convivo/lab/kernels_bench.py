"""The kernels that view 1 offers: those of `layers.presets`, and some that are made for looking.

All of any number of axes, float32; a size that a kernel does not have is ignored.
"""

from collections.abc import Callable
from math import pi

import numpy as np

from convivo.layers import preset

Maker = Callable[[int, int, int], np.ndarray]
"""(spatial_dims, size, seed) -> kernel"""


def _sobel(axis: int) -> Maker:
    return lambda dims, size, seed: preset("sobel", dims, axis=axis)


def _gabor(angle: float, phase: float = 0.0) -> Maker:
    def make(dims: int, size: int, seed: int) -> np.ndarray:
        size = max(size, 5)
        return preset(
            "gabor", dims, frequency=0.25, orientation=angle, sigma=size / 5, phase=phase,
            size=size,
        )  # fmt: skip

    return make


def _log(dims: int, size: int, seed: int) -> np.ndarray:
    """The Laplacian of a Gaussian, its sum brought to 0."""
    size = max(size, 5)
    sigma = size / 6
    at = np.indices((size,) * dims) - size // 2
    away = (at**2).sum(axis=0) / sigma**2
    kernel = (away - dims) * np.exp(-away / 2) / sigma**2
    kernel -= kernel.mean()
    return kernel / np.abs(kernel).sum()


def _sharpen(dims: int, size: int, seed: int) -> np.ndarray:
    """The image, and its details once more."""
    return preset("identity", dims, size=3) - preset("laplacian", dims)


def _shifted(dims: int, size: int, seed: int) -> np.ndarray:
    """One at the first tap: shows best what turning the kernel does."""
    kernel = np.zeros((size,) * dims)
    kernel[(0,) * dims] = 1
    return kernel


def _random(dims: int, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size,) * dims).round(2)


KERNELS: dict[str, tuple[str, Maker]] = {
    "identity": ("identity", lambda d, k, s: preset("identity", d, size=k)),
    "box": ("box: mean", lambda d, k, s: preset("smoothing", d, size=k)),
    "gauss": ("Gauss", lambda d, k, s: preset("gaussian", d, sigma=k / 5, size=k)),
    "sharpen": ("sharpen", _sharpen),
    "details": ("differential: 1, −1/8", lambda d, k, s: preset("sharpening", d, size=3)),
    "sobel_x": ("Sobel, last axis", _sobel(-1)),
    "sobel_y": ("Sobel, axis before", _sobel(-2)),
    "sobel_z": ("Sobel, first axis", _sobel(0)),
    "edge": ("derivative, last axis", lambda d, k, s: preset("derivative", d, axis=-1)),
    "laplace": ("Laplace", lambda d, k, s: preset("laplacian", d)),
    "log": ("Laplace of Gauss", _log),
    "gabor_0": ("Gabor, first axis", _gabor(0.0)),
    "gabor_45": ("Gabor, diagonal", _gabor(pi / 4)),
    "gabor_90": ("Gabor, second axis", _gabor(pi / 2)),
    "gabor_edge": ("Gabor, edges", _gabor(0.0, pi / 2)),
    "shift": ("shifted impulse", _shifted),
    "random": ("random, by seed", _random),
}
LEAST_DIMS = {"sobel_y": 2, "sobel_z": 3, "gabor_45": 2, "gabor_90": 2}


def offered(dims: int) -> list[dict]:
    """Names and titles of the kernels that there are in so many dimensions."""
    names = [name for name in KERNELS if LEAST_DIMS.get(name, 1) <= dims]
    return [{"name": name, "title": KERNELS[name][0]} for name in names]


def made(name: str, dims: int, size: int, seed: int) -> np.ndarray:
    """A kernel by name, float32; an even size becomes the odd one above it."""
    return KERNELS[name][1](dims, size | 1, seed).astype(np.float32)
