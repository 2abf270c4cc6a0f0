"""Rotation, scale, crop, shift, mirroring and elastic bending of pictures, in one interpolation.

Letters: N items, M of them moved, d spatial axes of sizes *S, K control points along an axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import torch

from convivo.data.augment.lattice import (
    cubic_basis,
    cubic_places,
    intervals_of,
    linear_basis,
    spread,
)
from convivo.data.augment.sampling import interpolated, nearest, voted
from convivo.data.augment.settings import LARGE, Augmentation


@dataclass(frozen=True)
class Spatial:
    """flips: (N, d) bool, of items that do nothing else. items: (M,) which items move.

    matrices: (M, d, d + 1) float32, from output to input places in `affine_grid` coordinates (-1
    to 1, last axis first), mirroring included. bends: (M, *K, d) float32, displacements at the
    control points, in the same coordinates and before the matrix; None where nothing bends.
    linear_labels: labels by the largest share after linear interpolation, else by the nearest.
    """

    flips: np.ndarray
    items: np.ndarray
    matrices: np.ndarray
    bends: np.ndarray | None = None
    linear_labels: bool = False

    def one(self, place: int) -> "Spatial":
        """The movement of a single item alone."""
        part = slice(place, place + 1)
        bends = None if self.bends is None else self.bends[part]
        return replace(self, items=self.items[part], matrices=self.matrices[part], bends=bends)


def draw_spatial(
    augmentation: Augmentation,
    batch: int,
    shape: Sequence[int],
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Spatial:
    """Random choices for N items of sizes *S; `spacing` makes rotations true in millimetres."""
    a, dims = augmentation, len(shape)
    steps = np.ones(dims) if spacing is None else np.asarray(spacing, dtype=np.float64)
    flips = (rng.random((batch, dims)) < 0.5) & [axis in a.flip_axes for axis in range(dims)]
    moved = rng.random(batch) < a.p_spatial * bool(a.rotate_deg or a.scale or a.shift)
    planes = list(combinations(range(dims), 2))
    turns = rng.uniform(-1, 1, (batch, len(planes))) * np.deg2rad(a.rotate_deg)
    scales = (1 + a.scale) ** rng.uniform(-1, 1, batch)
    shifts = rng.uniform(-1, 1, (batch, dims)) * a.shift
    later = rng.spawn(1)[0]  # younger changes leave the draws of the older ones as they were
    kept, corner = draw_crop(a, batch, dims, later)
    bends = _draw_bends(a, batch, np.asarray(shape) * steps, steps, later)
    bent = np.zeros(batch, bool) if bends is None else bends.any(axis=tuple(range(1, dims + 2)))
    altered = moved | (kept < 1) | bent
    items = np.flatnonzero(altered)
    # Across a coarse axis the same angle would smear slices into each other.
    turns *= [min(steps[p], steps[q]) / max(steps[p], steps[q]) for p, q in planes]
    turns, shifts, scales = turns * moved[:, None], shifts * moved[:, None], scales**moved
    extent = np.asarray(shape) * steps
    linear = _rotations(dims, planes, turns[items]) * (kept / scales)[items, None, None]
    linear = linear * extent / extent[:, None]
    offset = 2 * shifts * kept[:, None] + corner
    matrices = np.concatenate([linear, offset[items, :, None]], axis=2)
    matrices *= np.where(flips[items], -1, 1)[:, :, None]
    order = [*range(dims - 1, -1, -1), dims]  # last axis first; the offset stays last
    return Spatial(
        flips=flips & ~altered[:, None],
        items=items,
        matrices=np.ascontiguousarray(matrices[:, ::-1, order], dtype=np.float32),
        bends=None if bends is None or not bent.any() else bends[items, ..., ::-1],
        linear_labels=a.labels == "linear",
    )


def draw_crop(
    augmentation: Augmentation, batch: int, dims: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) share of each axis that is kept and fills the picture again, (N, d) where it lies.

    The place is that of its middle, in coordinates from -1 to 1; all of it is within the picture.
    """
    chosen = rng.random(batch) < augmentation.p_crop
    kept = np.where(chosen, 1 - rng.uniform(0, augmentation.crop, batch), 1.0)
    return kept, rng.uniform(-1, 1, (batch, dims)) * (1 - kept)[:, None]


def _draw_bends(
    augmentation: Augmentation,
    batch: int,
    extent: np.ndarray,
    steps: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """(N, *K, d) displacements of control points, the axes being -1 to 1; 0 where none is drawn.

    Along each axis they are a share of the distance between points, below that where a tissue
    could fold (Choi & Lee 2000, doi:10.1007/s003710000085); across coarse axes smaller still.
    """
    a = augmentation
    if not a.elastic or not a.p_elastic:
        return None
    intervals = intervals_of(extent, a.elastic_points)
    chosen = rng.random(batch) < a.p_elastic
    strength = rng.uniform(0.5, 1, batch) * chosen * a.elastic
    reach = strength[:, None] * (2 / np.asarray(intervals)) * (steps.min() / steps)
    points = rng.uniform(-1, 1, (batch, *(n + 3 for n in intervals), len(intervals)))
    return (points * reach.reshape(batch, *[1] * len(intervals), -1)).astype(np.float32)


def _rotations(dims: int, planes: list[tuple[int, int]], angles: np.ndarray) -> np.ndarray:
    """Angles (M, planes) in radians -> (M, d, d) turns in one plane after the other."""
    result = np.broadcast_to(np.eye(dims), (len(angles), dims, dims))
    for (a, b), angle in zip(planes, angles.T, strict=True):
        turn = np.tile(np.eye(dims), (len(angles), 1, 1))
        turn[:, a, a] = turn[:, b, b] = np.cos(angle)
        turn[:, b, a] = np.sin(angle)
        turn[:, a, b] = -turn[:, b, a]
        result = result @ turn
    return result


def places(drawn: Spatial, shape: Sequence[int], device: torch.device | str) -> torch.Tensor:
    """(M, d, *S) where each sample of the moved items comes from, see `sampling`.

    An affine map of the control points of a spline is that of the whole field, so that bends and
    the matrix are one field. Without bends the corners of the picture are enough.
    """
    dims = len(shape)
    if drawn.bends is None:
        ends = [np.array([-1.0, 1.0])] * dims
        bases = [linear_basis(n) for n in shape]
    else:
        counts = [n - 3 for n in drawn.bends.shape[1:-1]]
        ends = [2 * cubic_places(n) - 1 for n in counts]
        bases = [cubic_basis(s, n) for s, n in zip(shape, counts, strict=True)]
    points = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1)[None, ..., ::-1]
    points = points if drawn.bends is None else points + drawn.bends
    matrices = drawn.matrices.reshape(-1, *[1] * (dims - 1), dims, dims + 1)
    moved = points @ matrices[..., :dims].swapaxes(-1, -2) + matrices[..., None, :, dims]
    sizes = np.asarray(shape)
    planes = np.moveaxis(moved[..., ::-1] * (sizes / 2) + (sizes - 1) / 2, -1, 1)
    flat = planes.reshape(-1, *planes.shape[2:], 1).astype(np.float32)
    return spread(torch.from_numpy(flat).to(device), bases).reshape(-1, dims, *shape)


def apply_spatial(images: torch.Tensor, targets: torch.Tensor | None, drawn: Spatial) -> None:
    """Move images (N, C, *S) and label maps (N, *S) in place, alike; only items drawn to move."""
    _flip(images, targets, drawn.flips)
    count = len(drawn.items)
    if images[0].numel() >= LARGE:  # one after the other: no copies, and near the processor
        for place, item in enumerate(drawn.items.tolist()):
            _move(images, targets, slice(item, item + 1), drawn.one(place))
    elif count == len(images):
        _move(images, targets, slice(None), drawn)
    elif count:
        _move(images, targets, torch.from_numpy(drawn.items).to(images.device), drawn)


def _move(
    images: torch.Tensor,
    targets: torch.Tensor | None,
    rows: slice | torch.Tensor,
    drawn: Spatial,
) -> None:
    """The items of `drawn`, which lie in `rows`."""
    where = places(drawn, images.shape[2:], images.device)
    images[rows] = interpolated(images[rows], where)
    if targets is not None:
        targets[rows] = (voted if drawn.linear_labels else nearest)(targets[rows], where)


def _flip(images: torch.Tensor, targets: torch.Tensor | None, flips: np.ndarray) -> None:
    """Items that are mirrored alike together, whatever the number of axes."""
    dims = flips.shape[1]
    for pattern in product((False, True), repeat=dims):
        chosen = np.flatnonzero((flips == pattern).all(axis=1))
        if not any(pattern):
            continue
        axes = np.flatnonzero(pattern)
        for values, first in ((images, 2), (targets, 1)):
            if values is not None and len(chosen):
                _mirror(values, chosen, (axes + first).tolist())


def _mirror(values: torch.Tensor, chosen: np.ndarray, axes: list[int]) -> None:
    if values[0].numel() >= LARGE:  # one after the other costs a copy less
        for item in chosen.tolist():
            values[item : item + 1].copy_(values[item : item + 1].flip(axes))
        return
    rows = torch.from_numpy(chosen).to(values.device)
    values[rows] = values[rows].flip(axes)
