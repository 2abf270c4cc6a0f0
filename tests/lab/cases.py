"""Random operations of the bench, and the link that shows each."""

from math import prod

import numpy as np

MODES = ("zeros", "replicate", "reflect", "symmetric", "circular")
OPS = ("conv", "pool", "unpool", "transposed")
SHAPES = {1: (29,), 2: (11, 13), 3: (5, 6, 7)}


def draw(number: int, seed: int = 0) -> dict:
    """Case `number`: operations, dimensions and paddings take turns, the rest is drawn."""
    rng = np.random.default_rng([seed, number])
    dims = number // len(OPS) % 3 + 1
    while True:
        case = _drawn(rng, OPS[number % len(OPS)], dims, MODES[number // 12 % len(MODES)])
        if _possible(case):
            return case


def _drawn(rng: np.random.Generator, op: str, dims: int, mode: str) -> dict:
    def each(low: int, high: int) -> list[int]:
        return rng.integers(low, high, size=dims).tolist()

    size = [int(rng.integers(3, n + 1)) for n in SHAPES[dims]]
    first = [int(rng.integers(0, n - k + 1)) for n, k in zip(SHAPES[dims], size, strict=True)]
    pooled = op in ("pool", "unpool")
    kernel = each(1, 4) if dims == 3 else each(1, 5)
    stride, dilation = each(1, 4), each(1, 3)
    exact = bool(rng.integers(2))
    weights = rng.integers(-4, 5, size=prod(kernel)) if exact else rng.normal(size=prod(kernel))
    kinds = {"pool": ["max", "avg"], "unpool": ["nearest", "bed_of_nails", "max"]}
    case = {
        "op": op, "dims": dims, "exact": exact, "first": first, "size": size, "kernel": kernel,
        "weights": [float(w) for w in np.round(weights.astype(np.float64), 4)],
        "bias": float(rng.integers(-2, 3)) if exact else round(float(rng.normal()), 3),
        "flip": op == "conv" and bool(rng.integers(2)), "stride": stride, "dilation": dilation,
        "mode": "zeros" if pooled else mode, "lo": each(0, 3), "hi": each(0, 3),
        "extra": [int(rng.integers(0, s)) for s in stride],
        "kind": str(rng.choice(kinds.get(op, ["none"]))), "count_padding": bool(rng.integers(2)),
        "middle": str(rng.choice(["same", "count"])),
        "reading": str(rng.choice(["scatter", "zeros"])),
    }  # fmt: skip
    return _narrowed(case)


def _narrowed(case: dict) -> dict:
    """Without the options that its operation does not have."""
    none, ones = [0] * case["dims"], [1] * case["dims"]
    if case["op"] == "pool" and case["kind"] == "avg":
        case["dilation"] = ones
    if case["op"] == "unpool" and case["kind"] != "max":
        case |= {"dilation": ones, "lo": none, "hi": none, "stride": case["kernel"]}
    return case


def _possible(case: dict) -> bool:
    rows = list(
        zip(case["size"], case["kernel"], case["stride"], case["dilation"], case["lo"], case["hi"],
            case["extra"], strict=True)
    )  # fmt: skip
    if case["op"] == "transposed":
        return all((n - 1) * s + d * (k - 1) + 1 + e - a - b > 0 for n, k, s, d, a, b, e in rows)
    if case["op"] == "unpool" and case["kind"] != "max":
        return True
    reaches = [d * (k - 1) + 1 for _, k, _, d, _, _, _ in rows]
    fits = all(n + a + b >= r for (n, _, _, _, a, b, _), r in zip(rows, reaches, strict=True))
    if case["op"] == "conv":
        return fits
    return fits and all(_seen(*row) for row in rows)


def _seen(n: int, k: int, s: int, d: int, a: int, b: int, _: int) -> bool:
    """No window of pooling may see padding only, and padding is shorter than a window."""
    reach = d * (k - 1) + 1
    starts = range(0, (n + a + b - reach) // s + 1)
    inside = all(any(0 <= i * s + t * d - a < n for t in range(k)) for i in starts)
    return max(a, b) < reach and inside


def link(case: dict, array: str, step: int = 0) -> str:
    """The hash of the page's address that shows it, with all digits and the outputs as a table."""

    def joined(values: list) -> str:
        return ",".join(str(v) for v in values)

    parts = {
        "v": 1, "view": "conv", "d": f"id:{array}", "st": step, "op": case["op"],
        "at": joined(case["first"]), "n": joined(case["size"]), "all": 1, "tab": 1,
        "read": case["reading"],
    }  # fmt: skip
    if case["op"] in ("conv", "transposed"):
        kernel = "x".join(map(str, case["kernel"]))
        parts |= {
            "k": f"{kernel}:{joined(case['weights'])}", "b": case["bias"],
            "flip": int(case["flip"]), "s": joined(case["stride"]), "dl": joined(case["dilation"]),
            "pad": case["mode"], "lo": joined(case["lo"]), "hi": joined(case["hi"]),
            "xo": joined(case["extra"]),
        }  # fmt: skip
    else:
        parts |= {
            "pk": joined(case["kernel"]), "ps": joined(case["stride"]),
            "pd": joined(case["dilation"]), "plo": joined(case["lo"]), "phi": joined(case["hi"]),
            "pool": case["kind"], "up": case["kind"], "cp": int(case["count_padding"]),
            "mid": case["middle"],
        }  # fmt: skip
    return "#" + "&".join(f"{name}={value}" for name, value in parts.items())
