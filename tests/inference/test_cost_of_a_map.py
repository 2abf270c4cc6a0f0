"""Bytes of tiled prediction told beforehand, against NumPy's own book-keeping."""

import tracemalloc
from dataclasses import replace
from math import prod

import numpy as np
import pytest
import torch
from torch import nn

from convivo.inference.predictor import Predictor
from convivo.tasks.instances import Instances
from convivo.tasks.segment import Segment

SIZES = [
    ((200_000,), (4_096,), 8),
    ((500, 400), (64, 96), 4),
    ((60, 50, 70), (24, 16, 32), 2),
    ((60, 50, 70), (60, 56, 72), 2),
]


class Flat(nn.Module):
    """Three classes for every position, of no memory that NumPy knows; notes what NumPy holds."""

    def __init__(self, margin: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.margin, self.held, self.most = margin, [], 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.held.append(tracemalloc.get_traced_memory()[0])
        self.most = max(self.most, len(images))
        for axis, cut in enumerate(self.margin or (), 2):
            images = images.narrow(axis, cut, images.shape[axis] - 2 * cut)
        return images[:, :1].expand(-1, 3, *images.shape[2:]) * self.weight


def flat(tile: tuple[int, ...], batch: int, margin: tuple[int, ...] | None = None) -> Predictor:
    return Predictor(
        network=Flat(margin).eval(), task=Segment(classes=("a", "b", "c")), sampling="patch",
        size=tile, batch=batch, multiple=None if margin else (8,) * len(tile), margin=margin,
        step=(4,) * len(tile) if margin else None,
    )  # fmt: skip


def traced(predictor: Predictor, image: np.ndarray) -> tuple[int, int]:
    """Most bytes that NumPy holds during a pass, and at any time."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    predictor.labels(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return max(predictor.network.held) - before, peak - before


@pytest.mark.parametrize(("size", "tile", "batch"), SIZES)
@pytest.mark.parametrize("margin", [0, 6])
def test_what_lives_during_a_pass_is_what_was_told(
    size: tuple[int, ...], tile: tuple[int, ...], batch: int, margin: int
) -> None:
    predictor = flat(tile, batch, (margin,) * len(size) if margin else None)
    image = np.zeros((2, *size), np.float16)
    held, peak = traced(predictor, image)
    seen = 4 * 2 * predictor.network.most * prod(predictor.tile_for(size))
    own = predictor.cost(image.shape)
    assert held == pytest.approx(own + seen, rel=0.01, abs=80_000)
    assert peak <= own + max(seen, predictor.between(image.shape)) * 1.01 + 80_000


def test_a_larger_image_takes_labels_and_rows_of_one_tile_only() -> None:
    predictor = flat((16, 16, 16), 1)
    small, large = (predictor.cost((1, n, 160, 160)) for n in (160, 320))
    assert large - small == pytest.approx(160 * 160 * 160, rel=0.001)
    assert predictor.cost((1, 160, 160, 160)) < 4 * 3 * 160**3 / 3


@pytest.mark.parametrize(("size", "tile"), [((300, 260), (64, 96)), ((40, 36, 44), (24, 16, 32))])
def test_objects_take_no_more_than_was_told(size: tuple[int, ...], tile: tuple[int, ...]) -> None:
    """At worst all is foreground, and its depth noise: every sample may be a peak."""
    task = Instances(classes=("background", "a"))
    predictor = replace(flat(tile, 4), task=task, network=Noise().eval())
    image = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
    predictor.labels(image)  # what is imported meanwhile is no part of it
    _, peak = traced(predictor, image)
    told = predictor.cost(image.shape) + predictor.between(image.shape)
    assert 0.5 * told < peak < 1.1 * told


class Noise(Flat):
    """Foreground everywhere, as deep as the image is bright."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.held.append(tracemalloc.get_traced_memory()[0])
        return torch.cat([images * 0, images * 0 + 1, images.abs()], 1)
