"""Rotation, scale, shift and mirroring of images and volumes, in one interpolation.

Letters: N items, d spatial axes of sizes *S.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F

from convivo.data.augment.settings import Augmentation


@dataclass(frozen=True)
class Spatial:
    """flips: (N, d) bool. items: (M,) which items move. matrices: (M, d, d + 1) float32, from
    output to input places in `affine_grid` coordinates (-1 to 1, last axis first)."""

    flips: np.ndarray
    items: np.ndarray
    matrices: np.ndarray


def draw_spatial(
    augmentation: Augmentation,
    batch: int,
    shape: Sequence[int],
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Spatial:
    """Random choices for N items of sizes *S; `spacing` makes rotations true in millimetres."""
    dims = len(shape)
    steps = np.ones(dims) if spacing is None else np.asarray(spacing, dtype=np.float64)
    may_flip = np.isin(np.arange(dims), augmentation.flip_axes)
    flips = (rng.random((batch, dims)) < 0.5) & may_flip
    moved = rng.random(batch) < augmentation.p_spatial
    planes = list(combinations(range(dims), 2))
    turns = rng.uniform(-1, 1, (batch, len(planes))) * np.deg2rad(augmentation.rotate_deg)
    scales = (1 + augmentation.scale) ** rng.uniform(-1, 1, batch)
    shifts = rng.uniform(-1, 1, (batch, dims)) * augmentation.shift
    still = not (augmentation.rotate_deg or augmentation.scale or augmentation.shift)
    items = np.flatnonzero(moved & (not still))
    # Across a coarse axis the same angle would smear slices into each other.
    turns *= [min(steps[a], steps[b]) / max(steps[a], steps[b]) for a, b in planes]
    extent = np.asarray(shape) * steps
    linear = _rotations(dims, planes, turns[items]) / scales[items, None, None]
    linear = linear * extent / extent[:, None]
    matrices = np.concatenate([linear, 2 * shifts[items, :, None]], axis=2)
    order = [*range(dims - 1, -1, -1), dims]  # last axis first; the offset stays last
    matrices = np.ascontiguousarray(matrices[:, ::-1, order], dtype=np.float32)
    return Spatial(flips, items, matrices)


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


def apply_spatial(images: torch.Tensor, targets: torch.Tensor | None, drawn: Spatial) -> None:
    """Move images (N, C, *S) and label maps (N, *S) in place, alike; only items drawn to move."""
    for axis in range(drawn.flips.shape[1]):
        chosen = np.flatnonzero(drawn.flips[:, axis])
        if len(chosen):
            rows = torch.from_numpy(chosen).to(images.device)
            images[rows] = images[rows].flip(2 + axis)
            if targets is not None:
                targets[rows] = targets[rows].flip(1 + axis)
    if not len(drawn.items):
        return
    rows = torch.from_numpy(drawn.items).to(images.device)
    matrices = torch.from_numpy(drawn.matrices).to(images.device)
    shape = [len(drawn.items), 1, *images.shape[2:]]
    grid = F.affine_grid(matrices, shape, align_corners=False)
    images[rows] = _sample(images[rows], grid, "bilinear")
    if targets is not None:
        # Labels are small integers, exact in float32.
        moved = _sample(targets[rows].unsqueeze(1).float(), grid, "nearest")
        targets[rows] = moved.squeeze(1).to(targets.dtype)


def _sample(values: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    return F.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=False)
