"""A box of each picture, or a stretch of a signal, that the network must do without.

Source: DeVries & Taylor 2017, arXiv:1708.04552. Letters: N items, M of them cut, d axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from convivo.data.augment.settings import Augmentation


@dataclass(frozen=True)
class Cutout:
    """items: (M,) which are cut. boxes: (M, d, 2) first sample and the one after the last."""

    items: np.ndarray
    boxes: np.ndarray


def draw_cutout(
    augmentation: Augmentation, batch: int, shape: Sequence[int], rng: np.random.Generator
) -> Cutout:
    """Random boxes within the picture, of at least one sample along each axis."""
    a, sizes = augmentation, np.asarray(shape)
    items = np.flatnonzero(rng.random(batch) < a.p_cutout * bool(a.cutout))
    shares = rng.uniform(0, a.cutout, (batch, len(sizes)))
    length = np.clip(np.rint(shares * sizes), 1, sizes)
    first = np.rint(rng.uniform(0, 1, (batch, len(sizes))) * (sizes - length))
    boxes = np.stack([first, first + length], axis=-1)
    return Cutout(items, boxes[items].astype(np.int64))


def apply_cutout(images: torch.Tensor, drawn: Cutout) -> None:
    """Set the boxes of images (N, C, *S) to 0, the mean of normalised images, in place."""
    for item, box in zip(drawn.items.tolist(), drawn.boxes.tolist(), strict=True):
        images[(item, slice(None), *(slice(a, b) for a, b in box))] = 0
