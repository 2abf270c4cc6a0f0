"""Segmentation: a class for every sample, pixel or voxel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.arrays.border_weights import border_weights
from convivo.errors import ShapeError
from convivo.metrics.segmentation import case_statistics, summarise
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
        """Loss of a batch: images (B, C, *S), label maps (B, *S) int64.

        A list of outputs is deep supervision: each half the weight of the one before it,
        against the label map thinned to its grid (nearest). A single output of a smaller grid is
        that of a network without padding: the label map loses its margin on each side.
        """
        outputs = network(images)
        maps = [targets, self._weights(targets)] if self.border_weight else [targets]
        if isinstance(outputs, torch.Tensor):
            return _loss(outputs.float(), *(cropped(m, outputs.shape[2:]) for m in maps))
        losses = [_loss(o.float(), *(_thinned(m, o.shape[2:]) for m in maps)) for o in outputs]
        weights = [0.5**level for level in range(len(losses))]
        total = torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum()
        return total / sum(weights)

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

    def collect(self, probabilities: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """probabilities (K, *S) or labels (*S) against a label map (*S): the case's statistics."""
        labels = probabilities
        if probabilities.ndim > np.ndim(target):
            labels = probabilities.argmax(0)
        spacing = context.pop("spacing", None)
        if context.pop("quick", False):
            return {"dice": quick_dice(target, labels, self.outputs), **context}
        statistics = case_statistics(
            target, labels, num_classes=self.outputs, spacing=spacing, tolerance=self.tolerance
        )
        return {"statistics": statistics, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Mean Dice over cases, then over foreground classes."""
        table = np.array([answer["dice"] for answer in answers], float)
        present = ~np.isnan(table)
        count = present.sum(0)
        means = np.where(present, table, 0).sum(0) / np.maximum(count, 1)
        return float(means[count > 0].mean()) if (count > 0).any() else 0.0

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
        statistics = answer["statistics"]
        dice = {f"dice.{self.classes[c]}": statistics[c]["dice"] for c in statistics}
        known = [value for value in dice.values() if not np.isnan(value)]
        return {"dice": float(np.mean(known)) if known else None} | dice

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """One line a case."""
        row = self.row(answer)
        values = [row.get(name, np.nan) for name in self.columns]
        yield "", "", [None if np.isnan(value) else value for value in values]

    def cells(self, found: np.ndarray) -> list[object]:
        """Label maps are files of their own."""
        return []

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Nothing more."""
        return {}


def dice_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus (1 - soft Dice over the batch), foreground classes alike.

    logits (B, K, *S) float32, targets (B, *S) int64. Dice is taken over the whole batch, which is
    steadier than per case where a class is small or absent (as nnU-Net does for small batches).
    """
    cross_entropy = F.cross_entropy(logits, targets)
    probabilities = logits.softmax(dim=1)
    truth = torch.zeros_like(probabilities).scatter_(1, targets.unsqueeze(1), 1.0)
    axes = (0, *range(2, logits.ndim))
    overlap = (probabilities * truth).sum(axes)[1:]
    size = (probabilities + truth).sum(axes)[1:]
    dice = (2 * overlap + 1e-5) / (size + 1e-5)
    return cross_entropy + 1 - dice.mean()


def weighted_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy, each position counted by its weight.

    logits (B, K, *S) float32, targets (B, *S) int64, weights (B, *S). Source: Ronneberger et al.
    2015, eq. 1; divided by the sum of the weights, so that the learning rate is as without them.
    """
    losses = F.cross_entropy(logits, targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def cropped(maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """The middle of (B, *S) maps, of the size given.

    Raises:
        ShapeError: the maps are smaller, or there is no middle of that size.
    """
    spare = [have - n for have, n in zip(maps.shape[1:], size, strict=True)]
    if any(n < 0 or n % 2 for n in spare):
        rule = f"outputs lack equally much on both sides of label maps {tuple(maps.shape[1:])}"
        remedy = "Use a network that keeps the size, or cuts the same margin off both sides"
        raise ShapeError("segment", rule, f"size {tuple(size)}", remedy)
    for axis, (n, have) in enumerate(zip(spare, size, strict=True), 1):
        maps = maps.narrow(axis, n // 2, have)
    return maps


def quick_dice(truth: np.ndarray, labels: np.ndarray, num_classes: int) -> list[float]:
    """Dice per foreground class by one joint histogram; NaN where a class is in neither."""
    table = np.zeros(num_classes**2, np.int64)
    pairs = zip(_blocks(truth), _blocks(labels), strict=True)
    for own, other in pairs:  # a few at a time: wide integers take eight times as much as labels
        joint = own.astype(np.int64) * num_classes + other
        table += np.bincount(joint, minlength=num_classes**2)
    table = table.reshape(num_classes, num_classes)
    both, sizes = np.diag(table), table.sum(0) + table.sum(1)
    return [2 * both[c] / sizes[c] if sizes[c] else float("nan") for c in range(1, num_classes)]


def _blocks(labels: np.ndarray) -> Iterator[np.ndarray]:
    flat = labels.reshape(-1)
    return (flat[start : start + 2**20] for start in range(0, flat.size, 2**20))


def _loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    if weights is None:
        return dice_cross_entropy(logits, targets)
    return weighted_cross_entropy(logits, targets, weights)


def _thinned(targets: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """A label map on a coarser grid: the sample at the middle of each block."""
    for axis, n in enumerate(size, 1):
        have = targets.shape[axis]
        if have != n:
            places = ((torch.arange(n, device=targets.device) + 0.5) * have / n).long()
            targets = targets.index_select(axis, places)
    return targets
