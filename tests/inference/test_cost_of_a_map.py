"""Bytes of tiled prediction told beforehand, against NumPy's own book-keeping."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from convivo.inference.predictor import Predictor
from convivo.tasks.segment import Segment


class Zeros(nn.Module):
    """Three classes for every position, of no memory that NumPy knows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1].expand(-1, 3, *images.shape[2:]) * self.weight


@pytest.mark.parametrize(
    ("size", "tile", "batch"),
    [
        ((200_000,), (4_096,), 8),
        ((500, 400), (64, 96), 4),
        ((60, 50, 70), (24, 16, 32), 2),
        ((60, 50, 70), (60, 56, 72), 2),
    ],
)
def test_a_map_takes_about_what_was_told(
    size: tuple[int, ...], tile: tuple[int, ...], batch: int
) -> None:
    predictor = Predictor(
        network=Zeros().eval(), task=Segment(classes=("a", "b", "c")), sampling="patch", size=tile,
        batch=batch, multiple=(8,) * len(size),
    )  # fmt: skip
    image = np.zeros((2, *size), np.float16)
    tracemalloc.start()
    predictor.map(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert predictor.cost(image.shape) == pytest.approx(peak, rel=0.3)
