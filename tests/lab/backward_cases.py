"""Random backward passes as states of the view: operation, dimension, padding, stride, dilation."""

from typing import Any

import numpy as np

LARGEST = {1: 14, 2: 8, 3: 5}
PADDINGS = ("none", "zeros", "reflect", "symmetric", "replicate", "circular")


def numbers(values: Any) -> str:
    return ",".join(str(v) for v in values)


def random_case(number: int) -> dict[str, str]:
    """A state that has outputs; every choice follows from its number."""
    rng = np.random.default_rng(1000 + number)
    dims = 1 + number % 3
    op = ("conv", "conv", "conv", "pool", "unpool", "relu")[rng.integers(6)]
    size = rng.integers(4, LARGEST[dims] + 1, dims)
    upstream = ("random", "mse", "bce", "ones", "one-hot")[rng.integers(5)]
    state: dict[str, Any] = {
        "view": "backward", "src": "random", "dims": dims, "size": numbers(size), "seed": number,
        "op": op, "all": 1, "tab": 1, "g": upstream, "hot": 0,
        "read": ("accumulate", "gather")[rng.integers(2)],
    }  # fmt: skip
    state |= {"conv": _conv, "pool": _pool, "unpool": _unpool}.get(op, lambda *_: {})(
        rng, dims, size
    )
    return {name: str(value) for name, value in state.items()}


def _conv(rng: np.random.Generator, dims: int, size: np.ndarray) -> dict[str, Any]:
    kernel = rng.integers(1, 4, dims)
    dilation = np.minimum(rng.integers(1, 3, dims), (size - 1) // np.maximum(kernel - 1, 1))
    weights = rng.integers(-16, 17, int(kernel.prod())) / 8
    return {
        "k": f"{'x'.join(map(str, kernel))}:{numbers(weights)}",
        "s": numbers(rng.integers(1, 4, dims)),
        "dl": numbers(np.maximum(dilation, 1)),
        "pad": PADDINGS[rng.integers(6)],
        "lo": numbers(rng.integers(0, 4, dims)),
        "hi": numbers(rng.integers(0, 4, dims)),
        "flip": int(rng.integers(2)),
        "b": rng.integers(-8, 9) / 8,
        "of": ("w", "x", "b")[rng.integers(3)],
    }


def _pool(rng: np.random.Generator, dims: int, size: np.ndarray) -> dict[str, Any]:
    window = rng.integers(2, 4, dims)
    room = window - 1
    return {
        "pool": ("max", "avg")[rng.integers(2)],
        "pk": numbers(window),
        "ps": numbers(rng.integers(1, 4, dims)),
        "plo": numbers(np.minimum(rng.integers(0, 2, dims), room)),
        "phi": numbers(np.minimum(rng.integers(0, 2, dims), room)),
        "cp": int(rng.integers(2)),
    }


def _unpool(rng: np.random.Generator, dims: int, size: np.ndarray) -> dict[str, Any]:
    return {
        "up": ("nearest", "bed_of_nails", "max")[rng.integers(3)],
        "pk": numbers(rng.integers(2, 4, dims)),
        "ps": numbers(rng.integers(1, 4, dims)),
    }


def layer_of(state: dict[str, str], sizes: dict[str, list[int]]) -> dict[str, Any]:
    """The layer that a state describes. sizes: of the grids on the page, by name."""
    dims = int(state["dims"])

    def each(name: str, usual: int) -> list[int]:
        return [int(v) for v in state.get(name, str(usual)).split(",")] * (
            1 if name in state else dims
        )

    plain: dict[str, Any] = {
        "op": state["op"], "kind": "", "counted": True, "flip": False, "size": sizes["I"],
        "kernel": [1] * dims, "stride": [1] * dims, "dilation": [1] * dims,
        "pad": {"mode": "zeros", "lo": [0] * dims, "hi": [0] * dims},
    }  # fmt: skip
    if state["op"] == "conv":
        none = state["pad"] == "none"
        lo, hi = ([0] * dims if none else each(name, 0) for name in ("lo", "hi"))
        pad = {"mode": "zeros" if none else state["pad"], "lo": lo, "hi": hi}
        own = {"kernel": sizes["w"], "stride": each("s", 1), "dilation": each("dl", 1)}
        return plain | own | {"pad": pad, "flip": state["flip"] == "1"}
    if state["op"] == "pool":
        pad = {"mode": "zeros", "lo": each("plo", 0), "hi": each("phi", 0)}
        own = {"kernel": each("pk", 2), "stride": each("ps", 2), "kind": state["pool"]}
        return plain | own | {"pad": pad, "counted": state["cp"] == "1"}
    if state["op"] == "unpool":
        fine = sizes["before"]
        kernel = [min(k, n) for k, n in zip(each("pk", 2), fine, strict=True)]
        stride = each("ps", 2) if state["up"] == "max" else kernel
        return plain | {"kind": state["up"], "kernel": kernel, "stride": stride, "fine": fine}
    return plain
