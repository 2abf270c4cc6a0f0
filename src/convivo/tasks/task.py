"""What every task offers the rest of the road. Arrays in, numbers out, no files."""

from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn


class Task(Protocol):
    """A task turns network outputs into a loss, answers and metrics.

    name: as in the registry. output: "table" (one row of probabilities per item) or "map" (one
    label map per case). outputs: channels the network must have. score_name: the metric that picks
    the best weights on validation.
    """

    name: ClassVar[str]
    output: ClassVar[str]
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int: ...

    @property
    def score_name(self) -> str: ...

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of one batch: images (B, C, *S), targets (B,) or (B, *S)."""
        ...

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, ...) -> probabilities (B, K, ...), float32."""
        ...

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """Metrics with intervals over units, from the answers of `collect`."""
        ...

    def collect(self, probabilities: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """One case's contribution to `measure`: sufficient statistics, never the images."""
        ...

    def score(self, answers: list[dict[str, Any]]) -> float:
        """The validation score of these answers, higher is better; quick, no intervals."""
        ...
