"""Regression: a number for an image, a volume or a series, such as an age or a volume."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.metrics.regression import regression_metrics
from convivo.tasks.classify import AUXILIARY_WEIGHT
from convivo.tasks.task import Line

HUBER_DELTA = 1.0  # standard deviations of the training targets: beyond, an error counts linearly


@dataclass(frozen=True, kw_only=True)
class Regress:
    """One number by a single output, trained in standard deviations of the training targets.

    Args:
        mean, std: of the training targets; answers are given in the targets' own unit.
        loss: "mse" (squared error), or "huber", which outliers pull less.
    """

    mean: float = 0.0
    std: float = 1.0
    loss: Literal["mse", "huber"] = "mse"
    classes: tuple[str, ...] = ()
    name: ClassVar[str] = "regress"
    output: ClassVar[str] = "table"

    @property
    def outputs(self) -> int:
        """Channels the network must have."""
        return 1

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights."""
        return "r2"

    @property
    def columns(self) -> list[str]:
        """Head of a table."""
        return ["value"]

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Loss of a batch: images (B, C, *S), targets (B,) in their own unit.

        Auxiliary heads, the further answers of a list, count by `AUXILIARY_WEIGHT` each.
        """
        wanted = (targets.float() - self.mean) / self.std
        answer = network(images)
        main, *others = answer if isinstance(answer, list | tuple) else [answer]
        loss = self._loss(main, wanted)
        for found in others:
            loss = loss + AUXILIARY_WEIGHT * self._loss(found, wanted)
        return loss

    def _loss(self, found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        if self.loss == "huber":
            return F.huber_loss(found.float().squeeze(1), wanted, delta=HUBER_DELTA)
        return F.mse_loss(found.float().squeeze(1), wanted)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, 1) outputs -> (B, 1) numbers in the targets' unit."""
        return logits.float() * self.std + self.mean

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """(B, 1) numbers in the targets' unit -> outputs."""
        return (answers - self.mean) / self.std

    def collect(self, found: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """Numbers (n, 1) and targets (n,) of one case."""
        targets = np.atleast_1d(np.asarray(target, float))
        return {"values": found[:, 0].astype(float), "targets": targets, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """R squared; where all targets are equal, minus the squared error in training deviations.

        Infinitely bad where the network answers no numbers.
        """
        values = np.concatenate([a["values"] for a in answers])
        targets = np.concatenate([a["targets"] for a in answers])
        errors, spread = ((values - targets) ** 2).sum(), ((targets - targets.mean()) ** 2).sum()
        if not np.isfinite(errors):
            return float("-inf")
        if spread > 0:
            return float(1 - errors / spread)
        return float(-errors / len(values) / self.std**2)

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """`mae`, `rmse` and `r2`, intervals over units."""
        return regression_metrics(
            np.concatenate([a["values"] for a in answers]),
            np.concatenate([a["targets"] for a in answers]),
            np.concatenate([np.repeat(str(a["unit"]), len(a["values"])) for a in answers]),
            seed=seed,
        )

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Truth, answer and their distance."""
        value, truth = float(answer["values"].mean()), float(answer["targets"].mean())
        return {"truth": truth, "value": value, "error": value - truth}

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """A line an item."""
        for value, target in zip(answer["values"], answer["targets"], strict=True):
            yield "", f"{target:.6g}", self.cells(np.array([value]))

    def cells(self, found: np.ndarray) -> list[object]:
        """(1,) the number."""
        return [f"{float(found[0]):.6g}"]

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Truth and answer of every item, for a picture."""
        pairs = [(a["targets"], a["values"]) for a in answers]
        return {
            "items": sum(len(t) for t, _ in pairs),
            "agreement": {
                "truth": np.concatenate([t for t, _ in pairs]).tolist(),
                "value": np.concatenate([v for _, v in pairs]).tolist(),
            },
        }
