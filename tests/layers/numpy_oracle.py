"""Convolution as its definition reads: one loop over places, in any number of dimensions.

Slow and plain on purpose, and written without any of the code it judges. Letters: x (N, C, *S),
w (D, C / groups, *K), z (N, D, *T); a place is an index into T, a patch the part of x that the
kernel sees there.
"""

from dataclasses import dataclass

import numpy as np

NUMPY_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}


@dataclass(frozen=True)
class Options:
    """stride and dilation: one integer per axis; sides: (before, after) per axis."""

    stride: tuple
    sides: tuple
    dilation: tuple
    groups: int = 1
    mode: str = "zeros"


def padded(x, options):
    return np.pad(x, [(0, 0), (0, 0), *options.sides], mode=NUMPY_MODES[options.mode])


def unpadded(y, size, options):
    """The transpose of `padded`: each sample is added to the one that padding copied it from."""
    places = np.arange(np.prod(size)).reshape(size)
    more = {"constant_values": -1} if options.mode == "zeros" else {}
    origin = np.pad(places, options.sides, mode=NUMPY_MODES[options.mode], **more).ravel()
    flat = y.reshape(*y.shape[:2], -1)
    out = np.zeros((*y.shape[:2], np.prod(size)))
    for sample, target in enumerate(origin):
        if target >= 0:
            out[..., target] += flat[..., sample]
    return out.reshape(*y.shape[:2], *size)


def output_size(padded_size, kernel, options):
    rows = zip(padded_size, kernel, options.stride, options.dilation, strict=True)
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in rows)


def patch_at(place, kernel, options):
    """The slices of the padded input that the kernel sees at `place`."""
    rows = zip(place, options.stride, kernel, options.dilation, strict=True)
    return (..., *(slice(p * s, p * s + d * (k - 1) + 1, d) for p, s, k, d in rows))


def by_group(groups, *arrays):
    """Channels of x and z, and rows of w, of each group."""
    return zip(*(np.split(a, groups, axis) for a, axis in arrays), strict=True)


def turn(w):
    """The kernel turned by 180 degrees."""
    return w[(slice(None), slice(None), *[slice(None, None, -1)] * (w.ndim - 2))]


def correlate(x, w, b, options):
    """z(place) = sum over c, k of x(c, place * stride + k * dilation) w(c, k), plus b."""
    kernel, axes = w.shape[2:], range(1, w.ndim)
    outs = []
    for part, rows in by_group(options.groups, (padded(x, options), 1), (w, 0)):
        size = output_size(part.shape[2:], kernel, options)
        z = np.zeros((x.shape[0], rows.shape[0], *size))
        for place in np.ndindex(size):
            patch = part[patch_at(place, kernel, options)]
            z[(..., *place)] = np.tensordot(patch, rows, (axes, axes))
        outs.append(z)
    return np.concatenate(outs, 1) + b.reshape(-1, *(1,) * len(kernel))


def weight_gradient(x, dz, kernel, options):
    """dL/dw = sum over places of dL/dz(place) * x(patch at place)."""
    outs = []
    for part, error in by_group(options.groups, (padded(x, options), 1), (dz, 1)):
        dw = np.zeros((error.shape[1], part.shape[1], *kernel))
        for place in np.ndindex(error.shape[2:]):
            patch = part[patch_at(place, kernel, options)]
            dw += np.tensordot(error[(..., *place)], patch, (0, 0))
        outs.append(dw)
    return np.concatenate(outs, 0)


def bias_gradient(dz):
    """dL/db = sum over places of dL/dz(place)."""
    return dz.sum(axis=(0, *range(2, dz.ndim)))


def input_gradient(dz, w, size, options):
    """dL/dx, which is also the transposed convolution: every error spread over its patch."""
    kernel = w.shape[2:]
    whole = [n + before + after for n, (before, after) in zip(size, options.sides, strict=True)]
    outs = []
    for error, rows in by_group(options.groups, (dz, 1), (w, 0)):
        dx = np.zeros((dz.shape[0], w.shape[1], *whole))
        for place in np.ndindex(error.shape[2:]):
            dx[patch_at(place, kernel, options)] += np.tensordot(error[(..., *place)], rows, (1, 0))
        outs.append(dx)
    return unpadded(np.concatenate(outs, 1), size, options)
