"""Classification: one class for an image, a volume, a series, or each beat of a record."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.metrics.beats import beat_metrics, quick_j_kappa
from convivo.metrics.classification import (
    calibration_curve,
    classification_metrics,
    roc_curves,
)
from convivo.metrics.roc import placements
from convivo.tasks.task import LEAST, Line

# Szegedy et al. 2015, arXiv:1409.4842, section 5
AUXILIARY_WEIGHT = 0.3
TOGETHER = " + "  # between the names of several classes


@dataclass(frozen=True, kw_only=True)
class Classify:
    """Exclusive classes by softmax and cross-entropy; several a case by sigmoids.

    Args:
        classes: names by index.
        positive: index of the positive one of two classes.
        aami: the classes are AAMI beats, so `j` and `j_kappa` are told too.
        label_smoothing: share of the target spread over all classes.
        several: a case may have several classes, or none: a target is the number whose bits they
            are, every class is a yes-no question with binary cross-entropy.
    """

    classes: tuple[str, ...]
    positive: int = 1
    aami: bool = False
    label_smoothing: float = 0.0
    several: bool = False
    name: ClassVar[str] = "classify"
    output: ClassVar[str] = "table"

    @property
    def outputs(self) -> int:
        """Channels the network must have."""
        return len(self.classes)

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights."""
        if self.several:
            return "auroc"
        return "j_kappa" if self.aami else "balanced_accuracy"

    @property
    def columns(self) -> list[str]:
        """Head of a table: the class called, and how probable each one is."""
        return ["prediction", *[f"p_{name}" for name in self.classes]]

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of a batch: images (B, C, *S), targets (B,) int64.

        A network with auxiliary heads answers with a list: its main logits, then the heads', whose
        losses count by `AUXILIARY_WEIGHT` each.
        """
        answer = network(images)
        main, *others = answer if isinstance(answer, list | tuple) else [answer]
        loss = self._loss(main, targets)
        for logits in others:
            loss = loss + AUXILIARY_WEIGHT * self._loss(logits, targets)
        return loss

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.several:
            places = torch.arange(len(self.classes), device=targets.device)
            wanted = ((targets[:, None] >> places) & 1).float()
            wanted = wanted * (1 - self.label_smoothing) + self.label_smoothing / 2
            return F.binary_cross_entropy_with_logits(logits.float(), wanted)
        return F.cross_entropy(logits.float(), targets, label_smoothing=self.label_smoothing)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, K) logits -> (B, K) probabilities, by softmax or one by one."""
        return logits.float().sigmoid() if self.several else logits.float().softmax(dim=1)

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """(B, K) probabilities -> logits."""
        if self.several:
            return answers.logit(eps=LEAST)
        return answers.clamp_min(LEAST).log()

    def collect(self, probabilities: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """probabilities (n, K) and class indices (n,) of one case's items; or yes and no (n, K)."""
        labels = np.atleast_1d(np.asarray(target, np.int64))
        if self.several:
            labels = (labels[:, None] >> np.arange(len(self.classes))) & 1
        return {"probabilities": probabilities, "targets": labels, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Balanced accuracy over the classes present, less a hundredth of the log loss.

        Of classes that occur together the mean area under their ROC curves, likewise less. Of AAMI
        beats `j_kappa` instead, where the validation records hold S and V. The loss breaks ties: on
        small validation sets many epochs share one accuracy.
        """
        probabilities, targets, _ = _joined(answers)
        if self.several:
            return mean_area(probabilities, targets)
        predicted = probabilities.argmax(1)
        recall = [np.mean(predicted[targets == c] == c) for c in np.unique(targets)]
        value = float(np.mean(recall))
        if self.aami:
            beats = quick_j_kappa(predicted, targets, self.classes)
            value = beats if np.isfinite(beats) else value
        picked = probabilities[np.arange(len(targets)), targets]
        return value + 0.01 * float(np.log(np.maximum(picked, 1e-7)).mean())

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The contract's classification metrics, pooled over items, intervals over units."""
        probabilities, targets, units = _joined(answers)
        metrics = classification_metrics(
            probabilities, targets, units, classes=self.classes, positive=self.positive, seed=seed
        )
        if self.aami:
            metrics |= beat_metrics(
                probabilities.argmax(1), targets, units, classes=self.classes, seed=seed
            )
        return metrics

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """How many of a case's items were right; of a single one its truth and answer."""
        pairs = zip(answer["targets"], answer["probabilities"], strict=True)
        said = [(self.truth_of(target), self.called(found)) for target, found in pairs]
        right = [truth == called for truth, called in said]
        row = {"items": len(right), "accuracy": float(np.mean(right)) if right else None}
        if len(right) == 1:
            row |= {
                "truth": said[0][0],
                "prediction": said[0][1],
                "probability": self.sureness(answer["probabilities"][0]),
            }
        return row

    def truth_of(self, target: Any) -> str:
        """The name of a target's class; of several "a + b", of none nothing."""
        if self.several:
            return TOGETHER.join(n for n, there in zip(self.classes, target, strict=True) if there)
        return self.classes[int(target)]

    def called(self, found: np.ndarray) -> str:
        """What (K,) probabilities say, in the same words."""
        return self.truth_of(found > 0.5 if self.several else int(found.argmax()))

    def sureness(self, found: np.ndarray) -> float:
        """The probability of the answer given; of several the least sure one."""
        return float(np.maximum(found, 1 - found).min() if self.several else found.max())

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """A line an item."""
        samples = answer.get("samples", [""] * len(answer["targets"]))
        rows = zip(samples, answer["targets"], answer["probabilities"], strict=True)
        for sample, target, found in rows:
            yield sample, self.truth_of(target), self.cells(found)

    def cells(self, found: np.ndarray) -> list[object]:
        """(K,) probabilities -> the class called, and their text."""
        return [self.called(found), *[f"{p:.6f}" for p in found]]

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Number of items, ROC curves, calibration curve."""
        probabilities, targets, _ = _joined(answers)
        return {
            "items": len(targets),
            "roc": roc_curves(probabilities, targets, self.classes, positive=self.positive),
            "calibration": calibration_curve(probabilities, targets),
        }


def mean_area(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean area under the ROC curves of (n, K) yes-no answers, less a hundredth of the log loss.

    Over the classes that some have and some have not; 0 where there are none.
    """
    there = truth.astype(bool)
    both = np.flatnonzero(there.any(0) & ~there.all(0))
    areas = [placements(probabilities[:, c], there[:, c])[there[:, c]].mean() for c in both]
    picked = np.where(there, probabilities, 1 - probabilities)
    loss = -float(np.log(np.maximum(picked, 1e-7)).mean())
    return (float(np.mean(areas)) if areas else 0.0) - 0.01 * loss


def _joined(answers: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    probabilities = np.concatenate([a["probabilities"] for a in answers])
    targets = np.concatenate([a["targets"] for a in answers])
    units = np.concatenate([np.repeat(str(a["unit"]), len(a["targets"])) for a in answers])
    return probabilities, targets, units
