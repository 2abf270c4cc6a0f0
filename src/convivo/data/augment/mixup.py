"""Items mixed with others of their batch, and their classes in the same shares.

Source: Zhang et al. 2018, arXiv:1710.09412. Letters: N items, C channels, *S axes, K classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from convivo.data.augment.settings import Augmentation


@dataclass(frozen=True)
class Mixup:
    """partner: (N,) the item that is mixed in. share: (N,) float32 that an item keeps, 1 for all.

    At least half is kept, so that an item is still mostly itself.
    """

    partner: np.ndarray
    share: np.ndarray


def draw_mixup(augmentation: Augmentation, batch: int, rng: np.random.Generator) -> Mixup | None:
    """Random partners and shares for N items; None where nothing is mixed at all."""
    a = augmentation
    if not a.mixup or not a.p_mixup:
        return None
    drawn = rng.beta(a.mixup, a.mixup, batch)
    share = np.where(rng.random(batch) < a.p_mixup, np.maximum(drawn, 1 - drawn), 1.0)
    return Mixup(rng.permutation(batch), share.astype(np.float32))


def apply_mixup(images: torch.Tensor, drawn: Mixup) -> None:
    """Mix images (N, C, *S) in place, with partners as they were before."""
    chosen = np.flatnonzero(drawn.share < 1)
    rows = torch.from_numpy(chosen).to(images.device)
    partners = images[torch.from_numpy(drawn.partner[chosen]).to(images.device)]
    share = torch.from_numpy(drawn.share[chosen]).to(images.device)
    images[rows] = torch.lerp(partners, images[rows], share.reshape(-1, *[1] * (images.ndim - 1)))


def mixed(targets: torch.Tensor, drawn: Mixup, classes: int) -> torch.Tensor:
    """Classes (N,) or label maps (N, *S) of mixed items -> shares (N, K, ...) float32, adding to 1.

    What a cross-entropy takes in place of the classes.
    """
    own = F.one_hot(targets, classes).movedim(-1, 1).float()
    partner = own[torch.from_numpy(drawn.partner).to(targets.device)]
    share = torch.from_numpy(drawn.share).to(targets.device)
    return torch.lerp(partner, own, share.reshape(-1, *[1] * (own.ndim - 1)))
