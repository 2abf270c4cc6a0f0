"""Segmentation: a class for every sample, pixel or voxel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from convivo.arrays.border_weights import border_weights
from convivo.metrics.segmentation import case_statistics, summarise
from convivo.tasks.maps import (
    dice_cross_entropy,
    dice_row,
    line_of,
    mean_dice,
    over_grids,
    quick_dice,
    weighted_cross_entropy,
)
from convivo.tasks.task import LEAST, Line


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Exclusive classes by softmax; Dice + cross-entropy, at every resolution the net gives.

    Args:
        classes: names by index, index 0 the background.
        tolerance: of the surface Dice `nsd`, in units of the spacing (median spacing of the data).
        spacing_unit: of the distances.
        border_weight: w0 of the U-Net's weight map. Above 0 the loss is the paper's: cross-entropy
            that balances the classes and counts the gaps between touching cells up to w0 more.
        border_sigma: how far a gap counts, in samples of the finest axis.
        border_spacing: length of a sample along each axis, against the finest. Default: all alike.
    """

    classes: tuple[str, ...]
    tolerance: float = 1.0
    spacing_unit: str = "px"
    border_weight: float = 0.0
    border_sigma: float = 5.0
    border_spacing: Sequence[float] | None = None
    name: ClassVar[str] = "segment"
    output: ClassVar[str] = "map"
    pointwise: ClassVar[bool] = True

    @property
    def outputs(self) -> int:
        """Channels the network must have."""
        return len(self.classes)

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights."""
        return "dice"

    @property
    def columns(self) -> list[str]:
        """Head of a table: Dice per foreground class."""
        return [f"dice.{name}" for name in self.classes[1:]]

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Loss of a batch: images (B, C, *S), label maps (B, *S) int64; see `maps.over_grids`."""
        maps = [targets, self._weights(targets)] if self.border_weight else [targets]
        return over_grids(network(images), maps, _loss)

    def _weights(self, targets: torch.Tensor) -> torch.Tensor:
        """(B, *S) label maps -> (B, *S) float32 weights, item by item."""
        rows = [
            border_weights(
                item,
                w0=self.border_weight,
                sigma=self.border_sigma,
                spacing=self.border_spacing,
            )
            for item in targets.cpu().numpy()
        ]
        return torch.from_numpy(np.stack(rows)).to(targets.device)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, K, *S) logits -> probabilities."""
        return logits.float().softmax(dim=1)

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, K, *S) -> logits."""
        return answers.clamp_min(LEAST).log()

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """(K, *S) probabilities -> (*S) class indices: the largest one."""
        return probabilities.argmax(0)

    def collect(self, probabilities: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """probabilities (K, *S) or labels (*S) against a label map (*S): the case's statistics."""
        labels = probabilities
        if probabilities.ndim > np.ndim(target):
            labels = self.decide(probabilities)
        spacing = context.pop("spacing", None)
        if context.pop("quick", False):
            return {"dice": quick_dice(target, labels, self.outputs), **context}
        statistics = case_statistics(
            target, labels, num_classes=self.outputs, spacing=spacing, tolerance=self.tolerance
        )
        return {"statistics": statistics, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Mean Dice over cases, then over foreground classes."""
        return mean_dice([answer["dice"] for answer in answers])

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The contract's segmentation metrics, intervals over units."""
        return summarise(
            [answer["statistics"] for answer in answers],
            np.array([str(answer["unit"]) for answer in answers]),
            class_names=self.classes,
            spacing_unit=self.spacing_unit,
            tolerance=self.tolerance,
            seed=seed,
        )

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Dice of a case: per class, and their mean over the classes that are there."""
        return dice_row(answer["statistics"], self.classes)

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """One line a case."""
        yield line_of(self.row(answer), self.columns)

    def cells(self, found: np.ndarray) -> list[object]:
        """Label maps are files of their own."""
        return []

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Nothing more."""
        return {}


def _loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    if weights is None:
        return dice_cross_entropy(logits, targets)
    return weighted_cross_entropy(logits, targets, weights)
