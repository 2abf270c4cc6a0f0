"""What a report is made of, gathered by the verbs and read by every section of the page.

Letters: C channels, *S spatial axes (1, 2 or 3 of them).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convivo.errors import ShapeError

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CasePicture:
    """One case to be shown: its image, and what was expected and predicted there.

    Shape: image (C, *S) float32; truth and prediction (*S) class indices, 0 = background, or None.

    Args:
        id: the case's id, as in split.json.
        caption: one line under the picture ("Dice 0.42").
        spacing: distance between samples per axis in `spacing_unit`; None counts as equal.
        text: a second line ("truth malignant, predicted benign with p = 0.83").
        marks: for signals, (sample index, text) of moments to point at.
        axes: "RAS"-like codes of a volume; with them its planes are named and turned upright.
    Raises:
        ShapeError: other than 1 to 3 spatial axes, an empty axis, or maps of another shape.
    """

    id: str
    caption: str
    image: np.ndarray
    truth: np.ndarray | None = None
    prediction: np.ndarray | None = None
    spacing: tuple[float, ...] | None = None
    spacing_unit: str = "px"
    text: str = ""
    marks: tuple[tuple[int, str], ...] = ()
    axes: str = ""

    def __post_init__(self) -> None:
        shape = self.image.shape
        if not 2 <= len(shape) <= 4 or 0 in shape:
            rule = "a picture needs an image of shape (C, *S) with 1 to 3 non-empty spatial axes"
            raise ShapeError(self.id, rule, shape, "Add the channel axis in front")
        for name, labels in (("truth", self.truth), ("prediction", self.prediction)):
            if labels is not None and labels.shape != shape[1:]:
                rule = f"the {name} must have the image's spatial shape {shape[1:]}"
                raise ShapeError(self.id, rule, labels.shape, "Restore it to the image's grid")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a report shows. Any key of the documents may be missing or null.

    Args:
        inspection, plan, split, evaluation, receipt: the documents of these names, with additions.
        config: the resolved configuration. history: the lines of metrics.jsonl.
        best, worst, examples: pictures of cases, in the order to be shown.
        notes: warnings for the reader, in whole sentences.
    """

    title: str
    inspection: Document = field(default_factory=dict)
    config: Document = field(default_factory=dict)
    plan: Document = field(default_factory=dict)
    split: Document = field(default_factory=dict)
    history: Sequence[Document] = ()
    evaluation: Document = field(default_factory=dict)
    best: Sequence[CasePicture] = ()
    worst: Sequence[CasePicture] = ()
    examples: Sequence[CasePicture] = ()
    receipt: Document = field(default_factory=dict)
    notes: Sequence[str] = ()
