"""What tasks that answer with a map share: losses on several grids, Dice, and quick measures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from convivo.errors import ShapeError
from convivo.metrics.segmentation import CaseStatistics
from convivo.tasks.task import Line

Loss = Callable[..., torch.Tensor]


def over_grids(
    outputs: torch.Tensor | Sequence[torch.Tensor], maps: Sequence[torch.Tensor], loss: Loss
) -> torch.Tensor:
    """The loss of a network's outputs against maps (B, *S), on the grid of each output.

    Several outputs are deep supervision: each half the weight of the one before it, against the
    maps thinned to its grid (nearest). A single output of a smaller grid is that of a network
    without padding: the maps lose their margin on each side.

    Args:
        loss: (output (B, K, *T) float32, *maps (B, *T)) -> its loss.
    """
    if isinstance(outputs, torch.Tensor):
        return loss(outputs.float(), *(cropped(m, outputs.shape[2:]) for m in maps))
    losses = [loss(o.float(), *(thinned(m, o.shape[2:]) for m in maps)) for o in outputs]
    weights = [0.5**level for level in range(len(losses))]
    total = torch.stack([w * one for w, one in zip(weights, losses, strict=True)]).sum()
    return total / sum(weights)


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


def thinned(targets: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """A label map on a coarser grid: the sample at the middle of each block."""
    for axis, n in enumerate(size, 1):
        have = targets.shape[axis]
        if have != n:
            places = ((torch.arange(n, device=targets.device) + 0.5) * have / n).long()
            targets = targets.index_select(axis, places)
    return targets


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


def mean_dice(rows: Sequence[Sequence[float]]) -> float:
    """The mean over cases, then over classes, of Dice (n, classes); NaN where a case has none."""
    table = np.array(rows, float)
    present = ~np.isnan(table)
    count = present.sum(0)
    means = np.where(present, table, 0).sum(0) / np.maximum(count, 1)
    return float(means[count > 0].mean()) if (count > 0).any() else 0.0


def dice_row(statistics: CaseStatistics, names: Sequence[str]) -> dict[str, Any]:
    """What is said of one case: Dice per name but the first, and the mean of those there are."""
    dice = {f"dice.{names[c]}": statistics[c]["dice"] for c in statistics}
    known = [value for value in dice.values() if not np.isnan(value)]
    return {"dice": float(np.mean(known)) if known else None} | dice


def line_of(row: Mapping[str, Any], columns: Sequence[str]) -> Line:
    """A case's line in the table of predictions."""
    values = [row.get(name) for name in columns]
    return "", "", [None if value is None or np.isnan(value) else value for value in values]
