"""What every task offers the rest of the road. Arrays in, numbers out, no files."""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn

Line = tuple[object, str, list[object]]
"""Of one item: place in its record ("" for a whole case), truth, the cells of the answer."""

LEAST = 1e-7
"""Probabilities below it are this where their logarithm is taken."""


class Task(Protocol):
    """A task turns network outputs into a loss, answers and metrics.

    name: as in the registry. output: "table" (a row of numbers per item), "map" (a label map per
    case), "image" (an image per item, on the network's grid) or "samples" (new images, of no case).
    outputs: channels the network must have. score_name: the metric that picks the best weights on
    validation. columns: the head of a table of predictions, behind the case.
    """

    name: ClassVar[str]
    output: ClassVar[str]
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int: ...

    @property
    def score_name(self) -> str: ...

    @property
    def columns(self) -> list[str]: ...

    def step(self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of one batch: images (B, C, *S), targets (B,) or (B, *S)."""
        ...

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """The network's output (B, K, ...) -> answers (B, K, ...), float32."""
        ...

    def encode(self, answers: torch.Tensor) -> torch.Tensor:
        """The inverse: answers (B, K, ...) -> what `decode` makes these answers of."""
        ...

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """Metrics with intervals over units, from the answers of `collect`."""
        ...

    def collect(self, found: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """One case's contribution to `measure`: sufficient statistics, never the images."""
        ...

    def score(self, answers: list[dict[str, Any]]) -> float:
        """The validation score of these answers, higher is better; quick, no intervals."""
        ...

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """What an evaluation says of one case, beside its id and unit."""
        ...

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """A case's lines in the table of predictions of an evaluation, one an item."""
        ...

    def cells(self, found: np.ndarray) -> list[object]:
        """One item's answer (K, ...) under `columns`."""
        ...

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """What an evaluation's document says beyond metrics and cases, such as curves."""
        ...


class MapTask(Task, Protocol):
    """A task whose answers are maps.

    pointwise: the label of a position follows from the answers there alone, so that the answers of
    other rows need not be there.
    """

    pointwise: ClassVar[bool]

    def decide(self, found: np.ndarray) -> np.ndarray:
        """Answers (K, *S) -> the label map (*S) that is written and measured."""
        ...
