"""The operations of the bench once more, in NumPy and float64, and the real layers beside them.

`reference` is written from the definitions alone: numpy.pad and loops over taps. `engine` calls
the layers. Both take a case as `cases.draw` makes it.
"""

from itertools import product

import numpy as np
import torch

from convivo.layers import Conv, Pool, TrueConv, Unpool, UpConv

NUMPY_MODE = {
    "zeros": "constant", "replicate": "edge", "reflect": "reflect", "symmetric": "symmetric",
    "circular": "wrap",
}  # fmt: skip


def _padded(x: np.ndarray, case: dict, **fill: float) -> np.ndarray:
    sides = list(zip(case["lo"], case["hi"], strict=True))
    mode = NUMPY_MODE[case["mode"]]
    return np.pad(x, sides, mode=mode, **fill)  # type: ignore[call-overload]


def _windows(wide: np.ndarray, case: dict) -> np.ndarray:
    """All windows, (taps, *T)."""
    axes = list(zip(wide.shape, case["kernel"], case["stride"], case["dilation"], strict=True))
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]
    taps = []
    for tap in product(*(range(k) for k in case["kernel"])):
        starts = [t * d for t, d in zip(tap, case["dilation"], strict=True)]
        rows = zip(starts, out, case["stride"], strict=True)
        taps.append(wide[tuple(slice(a, a + (n - 1) * s + 1, s) for a, n, s in rows)])
    return np.array(taps)


def reference(x: np.ndarray, case: dict) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (*T) in float64, and how far float32 may be from each."""
    x = x.astype(np.float64)
    return {"conv": _conv, "pool": _pool, "unpool": _unpool, "transposed": _transposed}[case["op"]](
        x, case
    )


def _bound(count: np.ndarray | int, size: np.ndarray) -> np.ndarray:
    return np.asarray(count) * 2.0**-24 * size


def _weights(case: dict) -> np.ndarray:
    return np.array(case["weights"], dtype=np.float32).astype(np.float64)


def _conv(x: np.ndarray, case: dict) -> tuple[np.ndarray, np.ndarray]:
    w = _weights(case)
    w = w[::-1] if case["flip"] else w  # the flat order reversed is a turn by 180 degrees
    bias = float(np.float32(case["bias"]))
    seen = _windows(_padded(x, case), case)
    weights = w.reshape(-1, *(1,) * x.ndim)
    size = np.abs(seen * weights).sum(axis=0) + abs(bias)
    return (seen * weights).sum(axis=0) + bias, _bound(len(w) + 1, size)


def _pool(x: np.ndarray, case: dict) -> tuple[np.ndarray, np.ndarray]:
    if case["kind"] == "max":
        out = _windows(_padded(x, case, constant_values=-np.inf), case).max(axis=0)
        return out, np.zeros_like(out)
    seen = _windows(_padded(x, case), case)
    real = _windows(_padded(np.ones_like(x), case), case).sum(axis=0)
    count = len(seen) if case["count_padding"] else real
    size = np.abs(seen).sum(axis=0) / count
    return seen.sum(axis=0) / count, _bound(len(seen) + 2, size)


def _unpool(x: np.ndarray, case: dict) -> tuple[np.ndarray, np.ndarray]:
    if case["kind"] == "max":
        return _put_back(x, case)
    out = x
    for axis, factor in enumerate(case["kernel"]):
        out = np.repeat(out, factor, axis=axis)
    if case["kind"] == "bed_of_nails":
        at = np.indices(out.shape)
        factors = np.array(case["kernel"]).reshape(-1, *(1,) * x.ndim)
        out = np.where((at % factors == 0).all(axis=0), out, 0.0)
    return out, np.zeros_like(out)


def _put_back(x: np.ndarray, case: dict) -> tuple[np.ndarray, np.ndarray]:
    values = _windows(_padded(x, case, constant_values=-np.inf), case)
    places = np.arange(x.size, dtype=np.float64).reshape(x.shape)
    where = _windows(_padded(places, case, constant_values=-1), case)
    best = values.argmax(axis=0)  # the first of equals, as in the order of the taps
    largest = np.take_along_axis(values, best[None], axis=0)[0]
    to = np.take_along_axis(where, best[None], axis=0)[0].astype(int)
    if case["middle"] == "count":
        largest = np.arange(1.0, largest.size + 1).reshape(largest.shape)
    out = np.full(x.size, -np.inf)
    np.maximum.at(out, to.reshape(-1), largest.reshape(-1))
    out = np.where(out == -np.inf, 0.0, out).reshape(x.shape)
    return out, np.zeros_like(out)


def _transposed(x: np.ndarray, case: dict) -> tuple[np.ndarray, np.ndarray]:
    """The adjoint, written out: what a cell of the padded output gets, folded onto the inside."""
    w = _weights(case).reshape(case["kernel"])
    axes = list(zip(x.shape, case["stride"], case["kernel"], case["dilation"], strict=True))
    full = [(n - 1) * s + d * (k - 1) + 1 for n, s, k, d in axes]
    full = [n + extra for n, extra in zip(full, case["extra"], strict=True)]
    sums, sizes = np.zeros(full), np.zeros(full)
    counts = np.zeros(full)
    for cell in np.ndindex(*x.shape):
        for tap in np.ndindex(*w.shape):
            rows = zip(cell, case["stride"], tap, case["dilation"], strict=True)
            at = tuple(c * s + t * d for c, s, t, d in rows)
            sums[at] += x[cell] * w[tap]
            sizes[at] += abs(x[cell] * w[tap])
            counts[at] += 1
    folded = [_folded(a, case) for a in (sums, sizes, counts)]
    bias = float(np.float32(case["bias"]))
    return folded[0] + bias, _bound(folded[2] + 2, folded[1] + abs(bias))


def _folded(full: np.ndarray, case: dict) -> np.ndarray:
    sides = list(zip(case["lo"], case["hi"], strict=True))
    size = [n - lo - hi for n, (lo, hi) in zip(full.shape, sides, strict=True)]
    inside = tuple(slice(lo, n - hi) for n, (lo, hi) in zip(full.shape, sides, strict=True))
    if case["mode"] == "zeros":
        return full[inside]
    places = np.pad(np.arange(np.prod(size)).reshape(size), sides, mode=NUMPY_MODE[case["mode"]])  # type: ignore[call-overload]
    out = np.zeros(int(np.prod(size)))
    np.add.at(out, places.reshape(-1), full.reshape(-1))
    return out.reshape(size)


def engine(x: np.ndarray, case: dict) -> np.ndarray:
    """The same by the layers, float32."""
    dims = x.ndim
    batch = torch.from_numpy(x.astype(np.float32))[None, None]
    padding = tuple(zip(case["lo"], case["hi"], strict=True))
    if case["op"] in ("conv", "transposed"):
        kind = UpConv if case["op"] == "transposed" else TrueConv if case["flip"] else Conv
        more = {"output_padding": tuple(case["extra"])} if case["op"] == "transposed" else {}
        layer = kind(
            1, 1, tuple(case["kernel"]), spatial_dims=dims, stride=tuple(case["stride"]),
            padding=padding, dilation=tuple(case["dilation"]), padding_mode=case["mode"], **more,
        )  # fmt: skip
        layer.weight.data = torch.tensor(case["weights"]).view(1, 1, *case["kernel"])
        layer.bias.data = torch.tensor([float(case["bias"])])
        return layer(batch)[0, 0].detach().numpy()
    if case["op"] == "unpool" and case["kind"] != "max":
        unpool = Unpool(tuple(case["kernel"]), kind=case["kind"], spatial_dims=dims)
        return unpool(batch)[0, 0].numpy()
    kind = "max" if case["op"] == "unpool" else case["kind"]
    pool = Pool(
        tuple(case["kernel"]), kind=kind, spatial_dims=dims, stride=tuple(case["stride"]),
        padding=padding, dilation=tuple(case["dilation"]),
        count_padding=case["count_padding"] if kind == "avg" else True,
        return_indices=case["op"] == "unpool",
    )  # fmt: skip
    if case["op"] == "pool":
        return pool(batch)[0, 0].numpy()
    values, places = pool(batch)
    if case["middle"] == "count":
        values = torch.arange(1, values.numel() + 1, dtype=torch.float32).view(values.shape)
    return Unpool(pool=pool)(values, places, x.shape)[0, 0].numpy()
