"""Segmentation of objects: the foreground, and how deep each sample lies in its object."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.arrays.objects import distance_map, objects_of
from convivo.metrics.objects import object_statistics, summarise_objects
from convivo.metrics.segmentation import case_statistics, summarise
from convivo.tasks.maps import (
    dice_cross_entropy,
    dice_row,
    line_of,
    mean_dice,
    over_grids,
    quick_dice,
)
from convivo.tasks.task import LEAST, Line

CLASSES = 2  # background and foreground
DICE_SHARE = 0.1  # of the score that picks the best weights
BETA = 0.1  # errors of the distance count squared below it, linearly beyond


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Objects of one class: Dice + cross-entropy of the foreground, and the distance in an object.

    Targets are maps of numbers: 0 the background, each other one an object.

    Args:
        classes: names of background and foreground.
        tolerance: of the surface Dice `nsd`, in units of the spacing (median spacing of the data).
        spacing_unit: of the distances.
        distance_weight: of the distance's error in the loss.
        steps: length of a sample along each axis, against the finest. Default: all alike.
        smallest: objects of fewer samples are not told.
    """

    classes: tuple[str, ...]
    instances: bool = True
    tolerance: float = 1.0
    spacing_unit: str = "px"
    distance_weight: float = 2.0
    steps: Sequence[float] | None = None
    smallest: int = 1
    name: ClassVar[str] = "segment"
    output: ClassVar[str] = "map"
    pointwise: ClassVar[bool] = False

    @property
    def outputs(self) -> int:
        """Channels the network must have: two classes and the distance."""
        return CLASSES + 1

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights."""
        return "ap50"

    @property
    def columns(self) -> list[str]:
        """Head of a table: Dice of the foreground, and of the objects."""
        return [f"dice.{self.classes[1]}", "ap50", "objects", "found"]

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Loss of a batch: images (B, C, *S), numbers of objects (B, *S) int64.

        Distances are those of what is seen: an object that the image's rim cuts has no border
        there. See `maps.over_grids` for several outputs, and for those of a smaller grid.
        """
        maps = [(targets > 0).long(), self._distances(targets)]
        return over_grids(network(images), maps, self._loss)

    def _distances(self, targets: torch.Tensor) -> torch.Tensor:
        """(B, *S) numbers of objects -> (B, *S) float32 distances, item by item."""
        rows = [distance_map(item, self.steps) for item in targets.cpu().numpy()]
        return torch.from_numpy(np.stack(rows)).to(targets.device)

    def _loss(
        self, logits: torch.Tensor, foreground: torch.Tensor, distances: torch.Tensor
    ) -> torch.Tensor:
        apart = distance_error(logits[:, CLASSES], foreground, distances)
        return dice_cross_entropy(logits[:, :CLASSES], foreground) + self.distance_weight * apart

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, 3, *S) -> probabilities of the two classes, and the distance from 0 to 1."""
        logits = logits.float()
        return torch.cat([logits[:, :CLASSES].softmax(1), logits[:, CLASSES:].clamp(0, 1)], dim=1)

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """Probabilities and distances (B, 3, *S) -> logits and distances."""
        logits = answers[:, :CLASSES].clamp_min(LEAST).log()
        return torch.cat([logits, answers[:, CLASSES:]], dim=1)

    def decide(self, found: np.ndarray) -> np.ndarray:
        """Answers (3, *S) of a whole case -> numbers of objects (*S) int32, 0 none."""
        return objects_of(found[1] > found[0], found[CLASSES], smallest=self.smallest)

    def collect(self, found: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """Answers (3, *S) or numbers (*S) against true numbers (*S): the case's statistics."""
        objects = self.decide(found) if found.ndim > np.ndim(target) else found
        spacing = context.pop("spacing", None)
        true, called = ((labels > 0).astype(np.uint8) for labels in (np.asarray(target), objects))
        of_objects = object_statistics(np.asarray(target), objects)
        if context.pop("quick", False):
            return {"dice": quick_dice(true, called, CLASSES), "objects": of_objects, **context}
        statistics = case_statistics(
            true, called, num_classes=CLASSES, spacing=spacing, tolerance=self.tolerance
        )
        return {"statistics": statistics, "objects": of_objects, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Mean `ap50` of the cases where there are objects, and a tenth of the foreground's Dice.

        At first no object is hit, and Dice alone says which weights are better.
        """
        precision = mean_dice([[answer["objects"]["ap50"]] for answer in answers])
        return precision + DICE_SHARE * mean_dice([answer["dice"] for answer in answers])

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The foreground's metrics, then those of objects; intervals over units."""
        units = np.array([str(answer["unit"]) for answer in answers])
        found = summarise(
            [answer["statistics"] for answer in answers],
            units,
            class_names=self.classes,
            spacing_unit=self.spacing_unit,
            tolerance=self.tolerance,
            seed=seed,
        )
        return found | summarise_objects([a["objects"] for a in answers], units, seed=seed)

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Dice of a case and what became of its objects."""
        return dice_row(answer["statistics"], self.classes) | answer["objects"]

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """One line a case."""
        yield line_of(self.row(answer), self.columns)

    def cells(self, found: np.ndarray) -> list[object]:
        """Maps of objects are files of their own."""
        return []

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """How many objects there were in all, and were found."""
        counts = {key: sum(a["objects"][key] for a in answers) for key in ("objects", "found")}
        return {"objects": counts}


def distance_error(
    found: torch.Tensor, foreground: torch.Tensor, distances: torch.Tensor
) -> torch.Tensor:
    """Error of distances (B, *S): inside and outside of objects count alike, whatever their share.

    Smooth L1: linear beyond 0.1. Without a foreground the background alone counts, and the reverse.
    """
    errors = F.smooth_l1_loss(found, distances, reduction="none", beta=BETA)
    inside = (foreground > 0).to(errors.dtype)
    parts = [(errors * share).sum() / share.sum().clamp(min=1) for share in (inside, 1 - inside)]
    return (parts[0] + parts[1]) / 2
