"""Segmentation of membranes: what counts is whether they part the cells that they should part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convivo.metrics.intervals import SHARE, mean_interval
from convivo.metrics.membranes import THRESHOLDS, best_of_curves, v_rand_of_probability
from convivo.tasks.segment import Segment

NAMES = ("membrane", "border", "boundary", "boundaries", "cell wall", "outline")
"""Classes of these names, or with such a word in theirs, part what lies between them."""


@dataclass(frozen=True, kw_only=True)
class Membranes(Segment):
    """Two classes of an image, one of which parts the segments of the other.

    As `Segment`, and V-Rand after thinning (see `metrics.membranes`).

    Args:
        border: index of the class that parts.
        threshold: from which probability on it parts, chosen on other sections.
    """

    membranes: bool = True
    border: int = 0
    threshold: float = 0.5
    judged_by_probability: ClassVar[bool] = True

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """(2, H, W) probabilities -> (H, W) class indices, by the threshold."""
        return np.where(probabilities[self.border] >= self.threshold, self.border, 1 - self.border)

    def curve(self, probabilities: np.ndarray, target: np.ndarray) -> list[float]:
        """V-Rand of probabilities (2, H, W) against a label map (H, W), at each of `THRESHOLDS`."""
        truth, border = np.asarray(target) != self.border, probabilities[self.border]
        return [v_rand_of_probability(truth, border, threshold) for threshold in THRESHOLDS]

    def collect(self, probabilities: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """As `Segment`; of probabilities (2, H, W) also V-Rand at each of `THRESHOLDS`."""
        found = super().collect(probabilities, target, **context)
        if probabilities.ndim == np.ndim(target) or "statistics" not in found:
            return found
        return found | {"curve": self.curve(probabilities, target), "threshold": self.threshold}

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The metrics of a segmentation, and `v_rand` at the threshold, the best one beside it."""
        found = super().measure(answers, seed=seed)
        curves = np.array([answer["curve"] for answer in answers], float)
        if np.isnan(curves).all():  # no section has a cell
            return found
        values = np.array([_at_threshold(answer) for answer in answers])
        units = np.array([str(answer["unit"]) for answer in answers])
        entry = mean_interval(values, units, bounds=SHARE, seed=seed)
        best = best_of_curves(curves)
        beside = {key: best[key] for key in ("value", "threshold")}
        own = round(float(np.mean([answer["threshold"] for answer in answers])), 4)
        return found | {"v_rand": entry | {"threshold": own, "best": beside}}

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Dice of a section, and its V-Rand."""
        return super().row(answer) | {"v_rand": _at_threshold(answer)}

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """V-Rand is what such a run is for."""
        return {"score_name": "v_rand"}


def _at_threshold(answer: dict[str, Any]) -> float:
    """V-Rand of a section at the threshold that it was answered with (of folds, each its own)."""
    place = int(np.argmin(np.abs(np.array(THRESHOLDS) - answer["threshold"])))
    return answer["curve"][place]


def best_threshold(answers: Sequence[dict[str, Any]]) -> float:
    """The threshold with the highest mean V-Rand over the sections of these answers."""
    curves = np.array([answer["curve"] for answer in answers], float)
    return 0.5 if np.isnan(curves).all() else float(best_of_curves(curves)["threshold"])


def border_of(classes: Sequence[str]) -> int | None:
    """Which of two classes parts the other, by its name; None where neither or both do.

    Example:
        >>> border_of(("membrane", "cell")), border_of(("background", "tumour"))
        (0, None)
    """
    parts = [n for n, name in enumerate(classes) if any(w in name.lower() for w in NAMES)]
    return parts[0] if len(classes) == 2 and len(parts) == 1 else None
