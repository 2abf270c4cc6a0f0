"""A foreign file -> an array of the lab: float32, (C, *S), and a card of what is known of it.

Read in a child process with limits (`data.sandbox`); sizes are looked at before anything is
allocated. A card: name, kind (signal, image, volume), shape (C, *S), dtype as stored, spacing,
unit, channels (names), busy (where most happens), min, max, p01, p99 of the finite values, holes
(values that are not).
"""

import math
from functools import partial
from pathlib import Path

import numpy as np

from convivo.data import sandbox
from convivo.data.readers import read, read_header, suffix_of
from convivo.data.sample import Header
from convivo.data.sandboxed import limit
from convivo.errors import ConvivoError, ReadError, ShapeError
from convivo.lab.store import MOST_VALUES
from convivo.lab.tables import read_table

KINDS = {1: "signal", 2: "image", 3: "volume"}
TABLES = (".csv", ".tsv", ".txt")
MODELS = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".bin", ".h5py")
CHILD_MEMORY = 2**31
SAMPLED = 2**20  # values that percentiles are estimated from
BUSY = 2**21  # values of a grid that is searched for where most happens


def take_in(path: Path, name: str, out: Path, *, root: bool = False) -> dict:
    """Read `path` into the .npy file `out`; its card.

    Args:
        name: what the file is called by the user; shown, never a path.
        root: `path` lies in a folder of the user's, so it is called by its own name.
    Raises:
        ReadError, ShapeError: not of a known kind, damaged, too large, of other dimensions.
    """
    suffix = Path(name).suffix.lower()
    if suffix in MODELS:
        rule, remedy = "pickled files run their sender's code", "Give arrays as .npy, or images"
        raise ReadError(name, f"{rule} and are not opened", f"a file {suffix}", remedy)
    if sandbox.possible():
        found = sandbox.alone(partial(_guarded, out=out, name=name), path)
    else:
        found = _read(path, out, name)
    if isinstance(found, ConvivoError):
        raise found
    return found


def _guarded(path: Path, out: Path, name: str) -> dict | ConvivoError:
    """In the child: errors are answers, so that nobody tries again outside."""
    limit(CHILD_MEMORY)
    try:
        return _read(path, out, name)
    except ConvivoError as error:
        error.where = name
        return type(error)(name, error.rule, error.got.replace(path.name, name), error.remedy)
    except MemoryError:
        return ReadError(name, "a file must unpack within the lab's memory", "more", "Crop it")
    except Exception as error:
        got = type(error).__name__
        return ReadError(name, "must be a readable file", got, "Replace the file")


def _read(path: Path, out: Path, name: str) -> dict:
    if suffix_of(path) in TABLES or path.suffix.lower() in TABLES:
        values, header = read_table(path)
    else:
        _check_size(read_header(path), name)
        raw = read(path)
        values, header = raw.array, raw.header
    return save(values, out, name, header)


def _check_size(header: Header, name: str) -> None:
    count = math.prod(header.shape) * header.channels
    if count > MOST_VALUES:
        remedy = "Crop it, or name a smaller file"
        raise ShapeError(name, f"at most {MOST_VALUES} values are shown", count, remedy)


def save(values: np.ndarray, out: Path, name: str, header: Header) -> dict:
    """Write an array (C, *S) as float32; its card."""
    if values.ndim - 1 not in KINDS or values.size == 0:
        rule, remedy = "an array has 1, 2 or 3 axes beside its channels", "Choose a part of it"
        raise ShapeError(name, rule, f"shape {values.shape}", remedy)
    if values.dtype.kind not in "buif":
        raise ReadError(name, "values are numbers", values.dtype, "Convert them")
    stored, values = header.dtype, _upright(values, header).astype(np.float32)
    with out.open("wb") as file:
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return {
        "name": name,
        "kind": KINDS[values.ndim - 1],
        "shape": list(values.shape),
        "dtype": stored,
        "spacing": None if header.affine is not None else header.spacing,
        "unit": header.spacing_unit,
        "channels": list(header.channel_names),
        "busy": _busy(values[0]),
        **_range(values),
    }


def _upright(values: np.ndarray, header: Header) -> np.ndarray:
    """Scans as slices seen from below: rows from front to back, columns from right to left."""
    if header.affine is None or values.ndim != 4:
        return values
    from convivo.arrays.orientation import canonical

    turned, _, _ = canonical(values, header.affine)
    return turned.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1]


def _busy(grid: np.ndarray) -> list[int]:
    """Where values change most: a place worth looking at first. The middle of a large array."""
    from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter

    if grid.size > BUSY or not np.isfinite(grid).all():
        return [n // 2 for n in grid.shape]
    change = gaussian_gradient_magnitude(grid, 1.5)
    around = uniform_filter(change, 9, mode="constant")
    return [int(i) for i in np.unravel_index(int(around.argmax()), grid.shape)]


def _range(values: np.ndarray) -> dict:
    flat = values.reshape(-1)
    finite = flat[np.isfinite(flat)]
    if finite.size == 0:
        return {"min": 0, "max": 0, "p01": 0, "p99": 0, "holes": int(flat.size)}
    low, high = np.percentile(finite[:: max(1, finite.size // SAMPLED)], [1, 99])
    return {
        "min": float(finite.min()),
        "max": float(finite.max()),
        "p01": float(low),
        "p99": float(high),
        "holes": int(flat.size - finite.size),
    }
