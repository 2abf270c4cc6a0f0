"""Reconstruction of what is hidden: how a network learns from images without labels."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from convivo.tasks.reconstruct import Reconstruct

BLOCKS = 8  # along an axis, at most


@dataclass(frozen=True, kw_only=True)
class MaskedReconstruct(Reconstruct):
    """Blocks of the input are hidden, and the network is asked for what is in them.

    A block is an eighth of every axis (at least one sample). Hidden ones hold the mean of their
    channel, item by item. Only they count: what is seen could be copied, through the skip
    connections of a U-Net in particular.

    Args:
        masked: share of the blocks that is hidden.
    Source: Pathak et al. 2016, arXiv:1604.07379; share, absolute error and counting the hidden
        alone: He et al. 2022, arXiv:2111.06377 and Xie et al. 2022, arXiv:2111.09886; of medical
        images: Zhou et al. 2019, Models Genesis, arXiv:1908.06912.
    """

    masked: float = 0.6
    loss: Literal["mse", "l1"] = "l1"

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean absolute error in the hidden blocks of images (B, C, *S); targets are not used.

        Blocks are drawn from torch's global generator. Of a network without padding, which answers
        (B, C, *T), the middle (*T) of the images counts.
        """
        hidden = hidden_blocks(images, self.masked)
        axes = tuple(range(2, images.dim()))
        seen = torch.where(hidden, images.mean(dim=axes, keepdim=True), images)
        found = network(seen).float()
        errors = (found - _middle(images, found)).abs() * _middle(hidden, found)
        count = _middle(hidden, found).sum() * images.shape[1]
        return errors.sum() / count.clamp_min(1)


def hidden_blocks(images: torch.Tensor, share: float) -> torch.Tensor:
    """(B, C, *S) -> (B, 1, *S) bool: which positions are hidden, other blocks for each item.

    Example:
        >>> hidden_blocks(torch.zeros(1, 3, 4), 1.0).tolist()
        [[[True, True, True, True]]]
    """
    size = images.shape[2:]
    grid = [min(BLOCKS, n) for n in size]
    drawn = torch.rand(len(images), 1, *grid, device=images.device)
    return F.interpolate(drawn, size=tuple(size), mode="nearest") < share


def _middle(given: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The middle of (B, c, *S) on the smaller grid (*T) of `like`."""
    for axis in range(2, given.dim()):
        margin = given.shape[axis] - like.shape[axis]
        if margin:
            given = given.narrow(axis, margin // 2, like.shape[axis])
    return given
