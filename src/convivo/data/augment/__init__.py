"""Batch -> altered batch: what could have been recorded just as well, on the batch's device.

`draw` makes every random choice, `apply` obeys it: the same choices give the same bits.
Letters: N items, C channels, *S spatial axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import torch

from convivo.data.augment.cutout import Cutout, apply_cutout, draw_cutout
from convivo.data.augment.intensity import Intensity, apply_intensity, draw_intensity
from convivo.data.augment.mixup import Mixup, apply_mixup, draw_mixup, mixed
from convivo.data.augment.settings import LARGE, Augmentation, default
from convivo.data.augment.signals import Disturbance, apply_disturbance, draw_disturbance
from convivo.data.augment.softness import REACH, in_one
from convivo.data.augment.spatial import Spatial, apply_spatial, draw_spatial
from convivo.data.augment.warp import Warp, apply_warp, draw_warp
from convivo.errors import ShapeError

__all__ = ["Augmentation", "Parameters", "apply", "cost", "default", "draw", "mixed"]


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Everything chosen for one batch of shape (batch, channels, *shape)."""

    batch: int
    channels: int
    shape: tuple[int, ...]
    place: Spatial | Warp
    intensity: Intensity
    disturbance: Disturbance | None
    cutout: Cutout
    mixup: Mixup | None


def draw(
    augmentation: Augmentation,
    batch: int,
    shape: Sequence[int],
    channels: int,
    rng: np.random.Generator,
    *,
    spacing: Sequence[float] | None = None,
) -> Parameters:
    """All random choices for one batch.

    Args:
        augmentation: how strong and how likely each change is.
        batch, shape, channels: N, *S and C of the batch.
        rng: the only source of randomness; noise fields get a seed from it.
        spacing: distance between samples per axis. Volumes: rotations are isometric in it and
            mostly stay in the plane of fine axes; a coarse axis is not blurred. Signals: seconds,
            so that powerline noise has its frequency; without it there is none.
    Raises:
        ShapeError: another number of axes than the augmentation was made for, or an axis to
            flip that is not there.
    """
    sizes = tuple(int(n) for n in shape)
    if len(sizes) not in (1, 2, 3) or (spacing is not None and len(spacing) != len(sizes)):
        rule = "1, 2 or 3 spatial axes, with one spacing per axis"
        got = f"shape {sizes}, spacing {spacing}"
        raise ShapeError("augment", rule, got, "Give the batch's spatial sizes")
    if any(axis >= len(sizes) for axis in augmentation.flip_axes):
        rule = f"flip_axes are below {len(sizes)}"
        raise ShapeError("augment", rule, augmentation.flip_axes, "Flip only axes that exist")
    steps = tuple(spacing) if spacing is not None else None
    signal = len(sizes) == 1
    place_of = draw_warp if signal else draw_spatial
    return Parameters(
        batch=batch,
        channels=channels,
        shape=sizes,
        place=place_of(augmentation, batch, sizes, rng, spacing=steps),
        disturbance=(
            draw_disturbance(augmentation, batch, channels, sizes[0], rng, spacing=steps)
            if signal
            else None
        ),
        intensity=draw_intensity(augmentation, batch, channels, sizes, rng, spacing=steps),
        cutout=draw_cutout(augmentation, batch, sizes, rng.spawn(1)[0]),
        mixup=draw_mixup(augmentation, batch, rng.spawn(1)[0]),
    )


@torch.no_grad()
def apply(
    images: torch.Tensor,
    targets: torch.Tensor | None,
    parameters: Parameters,
    *,
    in_place: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The batch as drawn; the input stays as it was, unless it is given away.

    Args:
        images: (N, C, *S) float32, normalised (gains and noise are in deviations).
        targets: (N, *S) label maps of whole numbers, which move with the images, or None.
        in_place: overwrite both, which saves a copy of each: nobody else looks at them.
    Returns:
        Images and targets (int64) of the same shapes. An item for which nothing was drawn
        keeps its exact values.
    Raises:
        ShapeError: shapes other than those the parameters were drawn for.
    """
    expected = (parameters.batch, parameters.channels, *parameters.shape)
    if tuple(images.shape) != expected:
        remedy = "Draw parameters for this batch"
        raise ShapeError("augment", f"images are {expected}", tuple(images.shape), remedy)
    if targets is not None and targets.shape != (parameters.batch, *parameters.shape):
        rule = f"label maps are {(parameters.batch, *parameters.shape)}"
        raise ShapeError("augment", rule, tuple(targets.shape), "Pass None for class targets")
    if not in_place:
        images = images.clone()
        targets = None if targets is None else targets.clone()
    if isinstance(parameters.place, Warp):
        apply_warp(images, targets, parameters.place)
    else:
        apply_spatial(images, targets, parameters.place)
    apply_intensity(images, parameters.intensity)
    if parameters.disturbance is not None:  # last, so that silent leads are silent
        apply_disturbance(images, parameters.disturbance)
    apply_cutout(images, parameters.cutout)
    if parameters.mixup is not None:
        apply_mixup(images, parameters.mixup)
    return images, None if targets is None else targets.long()  # moved while they were small


def cost(
    batch: int,
    channels: int,
    shape: Sequence[int],
    *,
    maps: bool,
    linear_labels: bool = False,
    blur: float = 1.0,
    in_place: bool = False,
) -> int:
    """Most bytes that `apply` takes at once, its results among them: all items but one altered.

    Args:
        batch, channels, shape: N, C and *S of the batch.
        maps: label maps of a byte a place move with the images.
        linear_labels: they are interpolated (`labels="linear"`).
        blur: its largest deviation in samples.
        in_place: what is overwritten is not counted.
    """
    places = batch * prod(shape)
    image, labels = 4 * channels * places, (places if maps else 0)
    if len(shape) == 1:  # where samples come from; old values, both neighbours, the new; labels
        moving = 24 * places + max(4 * image, 3 * image + 14 * labels)
    else:
        moving = _moving(batch, channels, shape, maps, linear_labels)
    softening = _softening(batch, channels, shape, blur)
    copies = 0 if in_place else image + labels
    return copies + max(moving, softening, 8 * labels)  # at last labels as int64


def _moving(batch: int, channels: int, shape: Sequence[int], maps: bool, linear: bool) -> int:
    """Bytes while pictures are resampled: where from, a copy of them, and what `sampling` needs."""
    large = channels * prod(shape) >= LARGE  # then one by one, where they lie
    places = (1 if large else batch) * prod(shape)
    where, one, image = 4 * len(shape) * places, 4 * places, 4 * channels * places
    # Of volumes: between, the grid, slices with the next ones, and found. Of pictures: the grid.
    fixed, results = (3 * one, 4) if len(shape) > 2 else (2 * one, 1)
    grey = fixed + results * image + (0 if large else image)
    by_number = 2 * one + places if large else 3 * one + 2 * places  # numbers, also as integers
    # Most so far, the class of it, whether it is this one, and its share.
    shares = one + 2 * places + fixed + results * one + one + (0 if large else places)
    labels = (shares if linear else by_number) if maps else 0
    return where + max(grey, labels)


def _softening(batch: int, channels: int, shape: Sequence[int], blur: float) -> int:
    """Bytes while pictures are blurred along an axis: a copy, what comes and what was before."""
    large = channels * prod(shape) >= LARGE  # without that copy
    together = 1 if large else batch
    image = 4 * together * channels * prod(shape)
    copies = 1 if large else 2
    # Of long axes: the widened rows, their sum, and the coarser form of one item, down and up.
    long = [n for n in shape if not in_one(n, channels * prod(shape) // n)]
    wide = image + sum(2 * ceil(REACH * blur) * image // n for n in long[:1])
    if long:
        return (copies + 1) * image + wide + 2 * image // together
    return (copies + 1) * image + 4 * together * max(shape) ** 2
