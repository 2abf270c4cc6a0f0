"""Segmentation into regions that may lie in each other: a yes or no of each, at every position."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.arrays.regions import labels_of_regions
from convivo.metrics.segmentation import case_statistics, summarise
from convivo.tasks.maps import dice_row, line_of, mean_dice, over_grids, quick_dice
from convivo.tasks.task import LEAST, Line

Region = Mapping[str, Any]
"""name: of the region. labels: class indices that belong to it. label: the one it is written as."""


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Regions by a sigmoid each; Dice + binary cross-entropy. Targets and answers are label maps.

    Args:
        classes: names of the labels by index, index 0 the background.
        regions: what is learnt and measured, written one over the other in this order.
        tolerance: of the surface Dice `nsd`, in units of the spacing (median spacing of the data).
        spacing_unit: of the distances.

    Source: region-based training, Isensee et al. 2020, nnU-Net for Brain Tumor Segmentation,
    arXiv:2011.00848.
    """

    classes: tuple[str, ...]
    regions: Sequence[Region]
    tolerance: float = 1.0
    spacing_unit: str = "px"
    name: ClassVar[str] = "segment"
    output: ClassVar[str] = "map"
    pointwise: ClassVar[bool] = True

    @property
    def outputs(self) -> int:
        """Channels the network must have: one a region."""
        return len(self.regions)

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights."""
        return "dice"

    @property
    def columns(self) -> list[str]:
        """Head of a table: Dice per region."""
        return [f"dice.{region['name']}" for region in self.regions]

    @cached_property
    def members(self) -> np.ndarray:
        """(R, K) bool: which labels belong to which region."""
        table = np.zeros((len(self.regions), len(self.classes)), bool)
        for row, region in zip(table, self.regions, strict=True):
            row[list(region["labels"])] = True
        return table

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Loss of a batch: images (B, C, *S), label maps (B, *S) int64; see `maps.over_grids`."""
        members = torch.from_numpy(self.members).to(targets.device)

        def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return dice_binary_cross_entropy(logits, members[:, labels].movedim(0, 1).float())

        return over_grids(network(images), [targets], loss)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, R, *S) logits -> probabilities."""
        return logits.float().sigmoid()

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, R, *S) -> logits."""
        return answers.logit(eps=LEAST)

    def decide(self, found: np.ndarray) -> np.ndarray:
        """Probabilities (R, *S) of regions -> label map (*S) of class indices."""
        return labels_of_regions(found, [int(region["label"]) for region in self.regions])

    def collect(self, found: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """Probabilities (R, *S) or labels (*S) against a label map (*S): the case's statistics."""
        labels = self.decide(found) if found.ndim > np.ndim(target) else found
        spacing, quick = context.pop("spacing", None), context.pop("quick", False)
        pairs = [
            (row[np.asarray(target)].view(np.uint8), row[labels].view(np.uint8))
            for row in self.members
        ]
        if quick:
            return {"dice": [quick_dice(*pair, 2)[0] for pair in pairs], **context}
        words: dict[str, Any] = {"spacing": spacing, "tolerance": self.tolerance}
        statistics = {
            number: case_statistics(*pair, num_classes=2, **words)[1]
            for number, pair in enumerate(pairs, 1)
        }
        return {"statistics": statistics, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Mean Dice over cases, then over regions."""
        return mean_dice([answer["dice"] for answer in answers])

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The contract's segmentation metrics of each region, intervals over units."""
        return summarise(
            [answer["statistics"] for answer in answers],
            np.array([str(answer["unit"]) for answer in answers]),
            class_names=self._names,
            spacing_unit=self.spacing_unit,
            tolerance=self.tolerance,
            seed=seed,
        )

    @property
    def _names(self) -> list[str]:
        """Of the regions from 1 on, as of classes."""
        return [self.classes[0], *(str(region["name"]) for region in self.regions)]

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Dice of a case: per region, and their mean over the regions that are there."""
        return dice_row(answer["statistics"], self._names)

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """One line a case."""
        yield line_of(self.row(answer), self.columns)

    def cells(self, found: np.ndarray) -> list[object]:
        """Label maps are files of their own."""
        return []

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Nothing more."""
        return {}


def dice_binary_cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus (1 - soft Dice over the batch), regions alike.

    logits, truth: (B, R, *S) float32.
    """
    axes = (0, *range(2, logits.ndim))
    probabilities = logits.sigmoid()
    overlap, size = (probabilities * truth).sum(axes), (probabilities + truth).sum(axes)
    dice = (2 * overlap + 1e-5) / (size + 1e-5)
    return F.binary_cross_entropy_with_logits(logits, truth) + 1 - dice.mean()
