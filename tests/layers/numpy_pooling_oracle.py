"""Pooling, unpooling and local response normalisation as loops over windows, in any dimension.

Written from the definitions, not from the layers: each output names the samples it is made of.
"""

from itertools import product

import numpy as np


def window_starts(size, reach, stride, padding, ceil_mode):
    """Where the windows of one axis begin; the first begins in the padding before the grid."""
    before, after = padding
    starts, start = [], -before
    while start + reach <= size + after:
        starts.append(start)
        start += stride
    # the next one hangs over: if something is left for it, and it starts on a sample
    covered = start - stride + reach
    if ceil_mode and covered < size + after and start < size:
        starts.append(start)
    return starts


def windows(size, kernel, stride, padding, dilation, ceil_mode):
    """Per axis, per window: the positions of its taps, some of them outside of the grid."""
    return [
        [[start + j * d for j in range(k)] for start in window_starts(n, d * (k - 1) + 1, s, p, c)]
        for n, k, s, p, d, c in zip(
            size, kernel, stride, padding, dilation, [ceil_mode] * len(size), strict=True
        )
    ]


def adaptive_windows(size, count):
    return [
        [range(i * n // t, -(-(i + 1) * n // t)) for i in range(t)]
        for n, t in zip(size, count, strict=True)
    ]


def pool(x, axes, kind, counted=None):
    """x (N, C, *S), windows per axis -> values (N, C, *T), where each maximum was (of the flat
    grid; None for an average), and the matrices (N, C, prod T, prod S) that give values from x.

    counted: per axis the positions that an average divides by; default, those of the grid.
    """
    size = x.shape[2:]
    shape = tuple(map(len, axes))
    matrix = np.zeros((*x.shape[:2], int(np.prod(shape)), int(np.prod(size))))
    counted = counted or [range(n) for n in size]
    for row, place in enumerate(np.ndindex(*shape)):
        taps = [axis[i] for axis, i in zip(axes, place, strict=True)]
        inside = [
            t for t in product(*taps) if all(0 <= p < n for p, n in zip(t, size, strict=True))
        ]
        share = sum(all(p in c for p, c in zip(t, counted, strict=True)) for t in product(*taps))
        for item in np.ndindex(*x.shape[:2]):
            chosen = inside
            if kind == "max":
                best = max(x[item][t] for t in inside)
                chosen = [next(t for t in inside if x[item][t] == best)]
            for t in chosen:
                column = np.ravel_multi_index(t, size)
                matrix[(*item, row, column)] = 1 if kind == "max" else 1 / share
    values = np.einsum("ncts,ncs->nct", matrix, x.reshape(*x.shape[:2], -1))
    indices = matrix.argmax(-1).reshape(*x.shape[:2], *shape) if kind == "max" else None
    return values.reshape(*x.shape[:2], *shape), indices, matrix


def gradient(matrix, upstream, size):
    """What arrives at x of `pool`: its matrix, transposed."""
    arrives = np.einsum("ncts,nct->ncs", matrix, upstream.reshape(*upstream.shape[:2], -1))
    return arrives.reshape(*upstream.shape[:2], *size)


def unpool(x, indices, size, upstream):
    """Values and gradient of max-unpooling: of several values for a sample the largest counts."""
    out, arrives = np.zeros((*x.shape[:2], *size)), np.zeros(x.shape)
    for item in np.ndindex(*x.shape[:2]):
        for place in np.ndindex(*size):
            flat = np.ravel_multi_index(place, size)
            aimed = [t for t in np.ndindex(*x.shape[2:]) if indices[item][t] == flat]
            if not aimed:
                continue
            out[item][place] = max(x[item][t] for t in aimed)
            winners = [t for t in aimed if x[item][t] == out[item][place]]
            for t in winners:
                arrives[item][t] = upstream[item][place] / len(winners)
    return out, arrives


def local_response(x, size, alpha, beta, k, upstream):
    """Krizhevsky's formula and its derivative, channel by channel."""
    channels = range(x.shape[1])

    def near(c):
        return [j for j in channels if c - size // 2 <= j <= c + (size - 1) // 2]

    scale = np.stack([k + alpha * sum(x[:, j] ** 2 for j in near(c)) for c in channels], 1)
    arrives = upstream * scale**-beta
    for c in channels:
        for j in near(c):
            slope = -2 * alpha * beta * x[:, c] * x[:, j] * scale[:, c] ** (-beta - 1)
            arrives[:, j] += upstream[:, c] * slope
    return x * scale**-beta, arrives
