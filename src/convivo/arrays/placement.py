"""Where a prepared case lies on its original grid: the steps it took, each with its way back.

Letters: K classes, *S original and *P prepared spatial sizes.
"""

from dataclasses import dataclass

import numpy as np

from convivo.arrays.label_resampling import resample_labels_on
from convivo.arrays.orientation import Turn
from convivo.arrays.resampling import Grid, inverse_grid, resample_on
from convivo.errors import ShapeError

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Regrid:
    """Resampling from sizes `before` to `after`; grids: place of new axes on the old ones."""

    before: Sizes
    after: Sizes
    grids: tuple[Grid, ...]

    def labels_forward(self, labels: np.ndarray) -> np.ndarray:
        return resample_labels_on(labels, self.after, self.grids)

    def labels_back(self, labels: np.ndarray) -> np.ndarray:
        return resample_labels_on(labels, self.before, self._inverse())

    def probabilities_back(self, probabilities: np.ndarray) -> np.ndarray:
        return resample_on(probabilities, self.before, self._inverse(), anti_alias=False)

    def positions_forward(self, positions: np.ndarray) -> np.ndarray:
        first, step = self.grids[0]
        return (positions - first) / step

    def _inverse(self) -> tuple[Grid, ...]:
        return tuple(inverse_grid(grid) for grid in self.grids)


@dataclass(frozen=True)
class Crop:
    """Cutting or padding around the centre; edge: pad by the edge value, else by zeros."""

    before: Sizes
    after: Sizes
    edge: bool

    def forward(self, array: np.ndarray, fill: float) -> np.ndarray:
        """(..., *before) -> (..., *after)."""
        return _centre(array, self.after, edge=self.edge, fill=fill)

    def labels_forward(self, labels: np.ndarray) -> np.ndarray:
        return self.forward(labels, 0)

    def labels_back(self, labels: np.ndarray) -> np.ndarray:
        return _centre(labels, self.before, edge=False, fill=0)

    def probabilities_back(self, probabilities: np.ndarray) -> np.ndarray:
        result = _centre(probabilities, self.before, edge=False, fill=0)
        if len(probabilities) > 1:
            known = _centre(np.ones(self.after, dtype=bool), self.before, edge=False, fill=False)
            result[0][~known] = 1.0
        return result

    def positions_forward(self, positions: np.ndarray) -> np.ndarray:
        return positions + _shift(self.before[0], self.after[0])


Step = Regrid | Crop


@dataclass(frozen=True)
class Placement:
    """The way of one case to the prepared grid and back.

    shape: original spatial sizes *S. turn: its axes' order and direction. steps: what followed.
    """

    shape: Sizes
    turn: Turn
    steps: tuple[Step, ...] = ()

    @property
    def prepared_shape(self) -> Sizes:
        """*P, the spatial sizes the network sees."""
        return self.steps[-1].after if self.steps else self.turn.permute(self.shape)

    def labels_forward(self, labels: np.ndarray) -> np.ndarray:
        """(*S) -> (*P)."""
        _must_be(labels.shape, self.shape, "the label map has the image's shape")
        labels = self.turn.apply(labels)
        for step in self.steps:
            labels = step.labels_forward(labels)
        return labels

    def labels_back(self, labels: np.ndarray) -> np.ndarray:
        """(*P) -> (*S)."""
        _must_be(labels.shape, self.prepared_shape, "the label map has the prepared shape")
        for step in reversed(self.steps):
            labels = step.labels_back(labels)
        return self.turn.undo(labels)

    def probabilities_back(self, probabilities: np.ndarray) -> np.ndarray:
        """(K, *P) -> (K, *S)."""
        rule = "probabilities have one map per class on the prepared shape"
        _must_be(probabilities.shape[1:], self.prepared_shape, rule)
        for step in reversed(self.steps):
            probabilities = step.probabilities_back(probabilities)
        return self.turn.undo(probabilities)

    def positions_forward(self, positions: np.ndarray) -> np.ndarray:
        """Places (n,) along a signal, in samples -> in prepared samples, not rounded."""
        if len(self.shape) != 1:
            rule = "positions belong to signals (1 axis)"
            raise ShapeError("placement", rule, f"{len(self.shape)} axes", "Give a signal")
        places = np.asarray(positions, dtype=np.float64)
        for step in self.steps:
            places = step.positions_forward(places)
        return places


def _must_be(shape: Sizes, expected: Sizes, rule: str) -> None:
    if tuple(shape) != tuple(expected):
        remedy = "Give the placement that belongs to this case"
        raise ShapeError("placement", f"{rule} {tuple(expected)}", tuple(shape), remedy)


def _shift(size: int, new_size: int) -> int:
    """Index of the old first sample in the new axis; negative where it is cut away.

    Cutting and padding are each other's mirror image, so that there and back is the identity.
    """
    return (new_size - size) // 2 if new_size >= size else -((size - new_size) // 2)


def _centre(array: np.ndarray, sizes: Sizes, *, edge: bool, fill: float) -> np.ndarray:
    """(..., *S) -> (..., *sizes), cut or padded around the centre."""
    lead = array.ndim - len(sizes)
    shifts = [_shift(n, m) for n, m in zip(array.shape[lead:], sizes, strict=True)]
    cuts = [slice(max(-s, 0), max(-s, 0) + m) for s, m in zip(shifts, sizes, strict=True)]
    array = array[(..., *cuts)]
    rows = zip(array.shape[lead:], sizes, shifts, strict=True)
    pads = [(0, 0)] * lead + [(max(s, 0), m - n - max(s, 0)) for n, m, s in rows]
    if edge:
        return np.pad(array, pads, mode="edge")
    return np.pad(array, pads, mode="constant", constant_values=fill)
