"""A network that is told classes, as one that can be counted from its images alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Told(nn.Module):
    """Both halves of a conditional network, under their own names; images are of class 0.

    It answers what the network costs, never what it thinks of an image.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.generator, self.discriminator = network.generator, network.discriminator
        self.latent = network.latent

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return self.discriminator(images, labels)


def countable(plan: Mapping[str, Any], network: nn.Module) -> nn.Module:
    """What a plan counts: the network, unless it cannot be asked without a class."""
    if plan["task"] == "generate" and plan["task_fields"]["conditional"]:
        return Told(network)
    return network
