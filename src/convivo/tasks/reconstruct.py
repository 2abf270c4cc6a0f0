"""Reconstruction: the input, rebuilt from a code; what is rebuilt badly is not normal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.architectures.vae import VAE, kl_divergence
from convivo.metrics.reconstruction import (
    METRICS,
    anomaly_metrics,
    item_statistics,
    reconstruction_metrics,
)
from convivo.tasks.task import Line

SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Squared error between input and output; of a variational network the evidence lower bound.

    The anomaly score of an item is its mean squared error on the network's grid.

    Args:
        classes: names by index, where the data have classes; they only tell what is normal.
        normal: index of the normal class; the score is held against the others (`auroc`).
        only_normal: only items of the normal class are trained on.
        channels: of an image.
        loss: "mse", or "l1" (absolute error), for networks without a distribution.
        beta: how much the divergence of a variational code counts; 1 is the bound itself.
        scale: what a value of the network's grid is multiplied by before it is measured, one per
            channel. Default: nothing.
        data_range: from the least to the greatest value there can be then; None: of each image.
    """

    classes: tuple[str, ...] = ()
    normal: int | None = None
    only_normal: bool = False
    channels: int = 1
    loss: Literal["mse", "l1"] = "mse"
    beta: float = 1.0
    scale: Sequence[float] | None = None
    data_range: float | None = None
    name: ClassVar[str] = "reconstruct"
    output: ClassVar[str] = "image"

    @property
    def outputs(self) -> int:
        """Channels the network must have."""
        return self.channels

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights: the least error."""
        return "mse"

    @property
    def columns(self) -> list[str]:
        """Head of a table: the anomaly score."""
        return ["score"]

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Loss of a batch: images (B, C, *S); targets are not looked at.

        A variational network's is minus the evidence lower bound of pixels with variance 1, but
        for a constant, per value of an image: half the squared error, plus `beta` times the
        divergence. So it has the scale of the other losses, however large the images are.
        """
        if not isinstance(network, VAE):
            found = network(images).float()
            return F.l1_loss(found, images) if self.loss == "l1" else F.mse_loss(found, images)
        mean, log_variance = network.encode(images)
        found = network.decode(network.draw(mean, log_variance)).float()
        divergence = kl_divergence(mean, log_variance).mean()
        return 0.5 * F.mse_loss(found, images) + self.beta * divergence / images[0].numel()

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, C, *S) as it is."""
        return logits.float()

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """(B, C, *S) as it is."""
        return answers

    def collect(self, found: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """Reconstructions (n, C, *S) of `image` (n, C, *S), and classes (n,) or None.

        quick: without what only a final evaluation needs.
        """
        images, quick = context.pop("image"), context.pop("quick", False)
        if self.scale:
            scale = np.asarray(self.scale, np.float32).reshape(-1, *[1] * (images.ndim - 2))
            images, found = images * scale, found * scale
        if quick:
            errors = ((found - images) ** 2).mean(axis=tuple(range(1, found.ndim)))
            rows = {"mse": errors.astype(float)}
        else:
            items = [
                item_statistics(a, b, data_range=self.data_range)
                for a, b in zip(images, found, strict=True)
            ]
            rows = {name: np.array([item[name] for item in items], float) for name in METRICS}
        targets = np.full(len(found), -1) if target is None else np.atleast_1d(target)
        return {**rows, "targets": targets.astype(np.int64), **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Minus the mean squared error."""
        return -float(np.concatenate([a["mse"] for a in answers]).mean())

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The contract's metrics of reconstructions, and of the anomaly score where it can be."""
        units = np.concatenate([np.repeat(str(a["unit"]), len(a["targets"])) for a in answers])
        rows = {name: np.concatenate([a[name] for a in answers]) for name in METRICS}
        found = reconstruction_metrics(rows, units, seed=seed)
        if self.normal is None:
            return found
        targets = np.concatenate([a["targets"] for a in answers])
        return found | anomaly_metrics(
            rows["mse"], targets, units, self.classes, normal=self.normal, seed=seed
        )

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The means over a case's items, and the class of a single one."""
        row: dict[str, Any] = {name: _mean(answer[name]) for name in METRICS}
        row |= {"items": len(answer["mse"]), "score": row["mse"]}
        if len(answer["targets"]) == 1 and (truth := self._class(answer["targets"][0])):
            row["truth"] = truth
        return row

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """A line an item."""
        samples = answer.get("samples", [""] * len(answer["targets"]))
        for sample, target, score in zip(samples, answer["targets"], answer["mse"], strict=True):
            yield sample, self._class(target), [_text(score)]

    def cells(self, found: np.ndarray) -> list[object]:
        """(1,) the anomaly score."""
        return [_text(found[0])]

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Number of items, and the score of each by class, for a picture."""
        targets = np.concatenate([a["targets"] for a in answers])
        scores = np.concatenate([a["mse"] for a in answers])
        found: dict[str, Any] = {"items": len(targets)}
        if self.only_normal and len(set(targets[targets >= 0].tolist())) > 1:
            found["score_name"] = "auroc"  # what such a run is for
        if self.normal is not None:
            found["normal"] = self.classes[self.normal]
            found["anomaly"] = {
                name: _thinned(scores[targets == c])
                for c, name in enumerate(self.classes)
                if (targets == c).any()
            }
        return found

    def _class(self, target: int) -> str:
        return self.classes[int(target)] if target >= 0 and self.classes else ""


def _mean(values: np.ndarray) -> float | None:
    """Of those that have a value; a record may have no item at all."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _thinned(values: np.ndarray) -> list[float]:
    """The values, or as many quantiles of them as a picture can show."""
    if len(values) <= SHOWN:
        return values.tolist()
    return np.quantile(values, np.linspace(0, 1, SHOWN)).tolist()


def _text(score: float) -> str:
    return f"{float(score):.6g}"
