"""What a coarser or less sharp recording would have shown: blur and low resolution.

Both are linear along each axis, so that together they are one matrix an axis: of items small enough
that is one matrix product, of longer axes it is done tap by tap. Letters: M items, S samples.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F

LONG = 320  # samples from which on a whole matrix costs more than its few taps
KEPT = 64  # samples up to which matrices are kept: longer ones would add up to 100 MB
REACH = 2.5  # deviations after which a kernel is cut off


def soften(values: torch.Tensor, blur: np.ndarray, shrink: np.ndarray) -> torch.Tensor:
    """Blurred, then averaged down and interpolated back up.

    Args:
        values: (M, C, *S).
        blur: (M, d) deviation of the Gaussian in samples, 0 for none; edges are repeated.
        shrink: (M, d) factor by which an axis is coarser, 1 for none.
    """
    shape, dims = values.shape, values.ndim - 2
    for axis in range(dims - 1, -1, -1):  # each comes to the front, so that in the end all are back
        size, others = values.shape[-1], values.shape[1:-1]
        values = values.reshape(shape[0], -1, size)  # one name, so that nothing older is held
        if not in_one(size, values.shape[1]):
            values = _along(values, blur[:, axis], shrink[:, axis]).transpose(1, 2)
        else:
            matrices = axis_matrices(size, blur[:, axis], shrink[:, axis])
            values = torch.bmm(torch.from_numpy(matrices).to(values.device), values.transpose(1, 2))
        values = values.reshape(shape[0], size, *others)
    return values.movedim(-1, 1)  # from (M, *S, C)


def in_one(size: int, rows: int) -> bool:
    """Whether an axis is short enough, and met by enough rows, to be worth a matrix of its own."""
    return size <= min(LONG, 4 * rows)


def axis_matrices(size: int, blur: np.ndarray, shrink: np.ndarray) -> np.ndarray:
    """(M, S, S) float32: what happens along an axis of S samples, item by item."""
    matrices = _blurring(size, blur)
    for item, factor in enumerate(shrink):
        small = max(1, round(size / float(factor)))
        if small < size:
            coarsening = (_kept if size <= KEPT else _coarsening)(size, small)
            matrices[item] = coarsening @ matrices[item]
    return matrices


def _blurring(size: int, sigma: np.ndarray) -> np.ndarray:
    taps, weights = _taps(sigma)
    source = np.clip(np.arange(size)[:, None] + taps, 0, size - 1)
    matrices = np.zeros((len(sigma), size, size), np.float32)
    for tap in range(len(taps)):  # a row may meet the edge several times
        matrices[:, np.arange(size), source[:, tap]] += weights[:, tap, None]
    return matrices


def _taps(sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (T,) and weights (M, T), cut off alike for all items."""
    radius = max(1, ceil(REACH * float(sigma.max())))
    taps = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (taps / np.maximum(sigma[:, None], 1e-3)) ** 2)
    return taps, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _coarsening(size: int, small: int) -> np.ndarray:
    """(S, S): torch's own averaging down and interpolation up, as they treat the unit matrix."""
    return _coarse(torch.eye(size).unsqueeze(0), small)[0].numpy().T


_kept = lru_cache(maxsize=256)(_coarsening)


def _coarse(rows: torch.Tensor, small: int) -> torch.Tensor:
    down = F.interpolate(rows, small, mode="area")
    return F.interpolate(down, rows.shape[-1], mode="linear", align_corners=False)


def _along(rows: torch.Tensor, blur: np.ndarray, shrink: np.ndarray) -> torch.Tensor:
    """The same for long axes, rows (M, P, S) each along the last."""
    size = rows.shape[-1]
    taps, weights = _taps(blur)
    place = torch.arange(int(taps[0]), size + int(taps[-1]), device=rows.device)
    wide = rows.index_select(2, place.clamp_(0, size - 1))
    shares = torch.from_numpy(weights).to(rows.device)
    result = wide.narrow(2, 0, size) * shares[:, 0, None, None]
    for tap in range(1, len(taps)):
        result.addcmul_(wide.narrow(2, tap, size), shares[:, tap, None, None])
    for item, small in _smaller(size, shrink):
        result[item] = _coarse(result[item : item + 1], small)[0]
    return result


def _smaller(size: int, shrink: np.ndarray) -> Iterator[tuple[int, int]]:
    pairs = ((item, max(1, round(size / float(f)))) for item, f in enumerate(shrink))
    return ((item, small) for item, small in pairs if small < size)
