"""Test-time augmentation: a network asked about an input and its mirror images, as one network."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from torch import nn

from convivo.tasks.task import Task


class Mirrored(nn.Module):
    """The mean of the answers to all mirror images, turned back: (B, C, *S) -> (B, K, ...).

    Args:
        network: in eval mode when it is used.
        task: what decodes its output.
        axes: spatial axes along which inputs are mirrored; 2 to the power of their number passes.
    """

    def __init__(self, network: nn.Module, task: Task, axes: Sequence[int]) -> None:
        super().__init__()
        self.network, self.task, self.axes = network, task, tuple(axes)
        for name in ("total_stride", "margin", "grid_step"):  # what a predictor asks for
            if hasattr(network, name):
                setattr(self, name, getattr(network, name))

    @property
    def passes(self) -> int:
        """How often the network is asked."""
        return 2 ** len(self.axes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        total = self.task.decode(self.network(images))
        for turned in self._turns():
            answer = self.task.decode(self.network(images.flip(turned)))
            total = total + (answer if self.task.output == "table" else answer.flip(turned))
        return self.task.encode(total / self.passes)

    def _turns(self) -> Iterator[tuple[int, ...]]:
        """Axes of a batch to mirror together, all but none of them."""
        places = [axis + 2 for axis in self.axes]
        for count in range(1, len(places) + 1):
            yield from combinations(places, count)
