"""Several networks of one form as one, whose output decodes to the mean of their answers."""

from collections.abc import Sequence

import torch
from torch import nn

from convivo.tasks.task import Task


class Ensemble(nn.Module):
    """The members' answers, averaged: (B, C, *S) -> (B, K, ...), for the first member's task.

    Members may have seen their data on other scales of grey; the input is on the first one's.

    Args:
        members: networks, in eval mode when they are used.
        tasks: what decodes each one's output.
        scale, shift: (M, C) that bring an input onto each member's own scale.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        tasks: Sequence[Task],
        scale: torch.Tensor,
        shift: torch.Tensor,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.tasks = tuple(tasks)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        for name in ("total_stride", "margin", "grid_step"):  # what a predictor asks for
            if hasattr(members[0], name):
                setattr(self, name, getattr(members[0], name))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = [1] * (images.ndim - 2)
        total: torch.Tensor | None = None
        for number, (member, task) in enumerate(zip(self.members, self.tasks, strict=True)):
            scale = self.scale[number].reshape(1, -1, *inner)
            shift = self.shift[number].reshape(1, -1, *inner)
            answer = task.decode(member(images * scale + shift))
            if task.output == "image":
                answer = (answer - shift) / scale
            total = answer if total is None else total + answer
        assert total is not None, "an ensemble has members"
        return self.tasks[0].encode(total / len(self.members))
