"""The gradients of one layer in plain NumPy loops, float64: no torch, none of the lab's code."""

from dataclasses import dataclass, field
from itertools import product as places
from typing import Any

import numpy as np

NUMPY = {"reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}
EPS = 2.0**-24


@dataclass
class Found:
    """Gradients, and beside each the number of its terms and the sum of their magnitudes."""

    z: np.ndarray
    dx: np.ndarray
    dw: np.ndarray
    db: float
    terms: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, np.ndarray] = field(default_factory=dict)

    def bound(self, name: str) -> np.ndarray:
        """What rounding may do to a float32 sum: n * 2^-24 * sum of magnitudes."""
        return self.terms[name] * EPS * self.sizes[name]


def sources(layer: dict[str, Any]) -> np.ndarray:
    """For every place of the padded grid the flat sample that stands there, -1 for a zero."""
    size, pad = layer["size"], layer["pad"]
    flat = np.arange(int(np.prod(size))).reshape(size)
    amounts = list(zip(pad["lo"], pad["hi"], strict=True))
    if pad["mode"] == "zeros":
        return np.pad(flat, amounts, constant_values=-1)
    return np.pad(flat, amounts, mode=NUMPY[pad["mode"]])


def windows(layer: dict[str, Any]) -> list[list[tuple[tuple[int, ...], int]]]:
    """Per output, in order: (tap, source) of every tap."""
    grid = sources(layer)
    rows = zip(grid.shape, layer["kernel"], layer["stride"], layer["dilation"], strict=True)
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in rows]
    found = []
    for out in places(*map(range, counts)):
        starts = [o * s for o, s in zip(out, layer["stride"], strict=True)]
        taps = []
        for tap in places(*map(range, layer["kernel"])):
            at = tuple(b + t * d for b, t, d in zip(starts, tap, layer["dilation"], strict=True))
            taps.append((tap, int(grid[at])))
        found.append(taps)
    return found


def links(layer: dict[str, Any], x: np.ndarray, places_of: np.ndarray) -> list[list[tuple]]:
    """Per output: (source, weight's flat index or None, factor)."""
    if layer["op"] == "relu":
        return [[(i, None, float(v > 0))] for i, v in enumerate(x)]
    if layer["op"] == "unpool":
        return unpooled(layer, x, places_of)
    shape = layer["kernel"]
    result = []
    for taps in windows(layer):
        if layer["op"] == "conv":
            turned = [tuple(k - 1 - t for k, t in zip(shape, tap, strict=True)) for tap, _ in taps]
            names = turned if layer["flip"] else [tap for tap, _ in taps]
            pairs = zip(taps, names, strict=True)
            result.append([(s, int(np.ravel_multi_index(n, shape)), 1.0) for (_, s), n in pairs])
        elif layer["kind"] == "avg":
            inside = [s for _, s in taps if s >= 0]
            count = len(taps) if layer["counted"] else len(inside)
            result.append([(s, None, 1 / count) for s in inside])
        else:
            inside = [s for _, s in taps if s >= 0]
            result.append([(inside[int(np.argmax(x[inside]))], None, 1.0)])
    return result


def unpooled(layer: dict[str, Any], x: np.ndarray, places_of: np.ndarray) -> list[list[tuple]]:
    fine, size, kernel = layer["fine"], layer["size"], layer["kernel"]
    result = []
    for out, place in enumerate(places(*map(range, fine))):
        if layer["kind"] == "max":
            here = np.flatnonzero(places_of == out)
            best = [i for i in here if x[i] == x[here].max()]
            result.append([(int(i), None, 1 / len(best)) for i in best])
            continue
        from_ = [min(p // k, n - 1) for p, k, n in zip(place, kernel, size, strict=True)]
        first = all(p == f * k for p, f, k in zip(place, from_, kernel, strict=True))
        keep = layer["kind"] == "nearest" or first
        result.append([(int(np.ravel_multi_index(from_, size)), None, 1.0)] if keep else [])
    return result


def stored_places(layer: dict[str, Any], before: np.ndarray) -> np.ndarray:
    """Where pooling found each maximum of the grid before it."""
    pool = layer | {"op": "pool", "kind": "max", "size": layer["fine"]}
    return np.array([row[0][0] for row in links(pool, before, before)])


def reference(
    layer: dict[str, Any], x: np.ndarray, w: np.ndarray, bias: float, g: np.ndarray,
    before: np.ndarray | None = None,
) -> Found:  # fmt: skip
    """Forward and backward, output by output."""
    kept = stored_places(layer, before) if layer["op"] == "unpool" and before is not None else x
    rows = links(layer, x, kept)
    z, dx, dw = np.full(len(rows), float(bias)), np.zeros(len(x)), np.zeros(len(w))
    found = Found(z, dx, dw, float(g.sum()))
    for name, like in (("dx", dx), ("dw", dw)):
        found.terms[name], found.sizes[name] = np.zeros_like(like), np.zeros_like(like)
    for out, row in enumerate(rows):
        for source, weight, factor in row:
            value = x[source] if source >= 0 else 0.0
            slope = factor if weight is None else w[weight]
            z[out] += slope * value
            if weight is not None:
                add(found, "dw", dw, weight, g[out] * value)
            if source >= 0:
                add(found, "dx", dx, source, g[out] * slope)
    found.terms["db"], found.sizes["db"] = np.array(len(g)), np.abs(g).sum()
    return found


def add(found: Found, name: str, grid: np.ndarray, at: int, term: float) -> None:
    grid[at] += term
    found.terms[name][at] += 1
    found.sizes[name][at] += abs(term)
