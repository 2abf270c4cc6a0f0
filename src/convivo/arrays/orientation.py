"""Axis order and direction of volumes: turned to closest RAS before the network, back after it.

Only transposes and flips, so every voxel keeps its exact value and nothing is copied.
"""

from dataclasses import dataclass

import numpy as np

from convivo.errors import ShapeError


@dataclass(frozen=True)
class Turn:
    """A transpose followed by flips of the last axes of an array, and its inverse.

    axes: for each turned axis, the axis of the original it comes from.
    flips: for each turned axis, whether it runs the other way.

    Example:
        >>> turn = Turn((1, 0), (False, True))
        >>> a = np.array([[1, 2, 3], [4, 5, 6]])
        >>> turn.apply(a).tolist(), turn.undo(turn.apply(a)).tolist()
        ([[4, 1], [5, 2], [6, 3]], [[1, 2, 3], [4, 5, 6]])
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """(..., *S) in the original axis order -> a turned view (..., *S')."""
        lead = array.ndim - len(self.axes)
        order = (*range(lead), *(lead + axis for axis in self.axes))
        return _flip(array.transpose(order), self.flips)

    def undo(self, array: np.ndarray) -> np.ndarray:
        """(..., *S') as turned -> a view (..., *S) in the original axis order."""
        lead = array.ndim - len(self.axes)
        order = (*range(lead), *(lead + int(axis) for axis in np.argsort(self.axes)))
        return _flip(array, self.flips).transpose(order)

    def permute(self, values: tuple) -> tuple:
        """One value per original axis (sizes, spacings) -> one per turned axis."""
        return tuple(values[axis] for axis in self.axes)

    def affine(self, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The affine of the turned array; `shape` are the original spatial sizes."""
        to_original = np.eye(len(self.axes) + 1)
        to_original[:-1, :-1] = 0.0
        for turned, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            to_original[axis, turned] = -1.0 if flip else 1.0
            to_original[axis, -1] = shape[axis] - 1 if flip else 0.0
        return affine @ to_original


def identity(spatial_dims: int) -> Turn:
    """The turn that changes nothing."""
    return Turn(tuple(range(spatial_dims)), (False,) * spatial_dims)


def spacing_of(affine: np.ndarray) -> tuple[float, ...]:
    """Millimetres between voxels along each array axis.

    Example:
        >>> spacing_of(np.diag([-2.0, 1.0, 0.5, 1.0]))
        (2.0, 1.0, 0.5)
    """
    return tuple(float(v) for v in np.linalg.norm(affine[:-1, :-1], axis=0))


def turn_to_ras(affine: np.ndarray) -> Turn:
    """The turn after which array axes run closest to right, anterior, superior.

    Each array axis goes to the world axis it is most parallel to, all three together, judged
    on the rotation nearest to the affine, so that shears and unequal spacing do not mislead.

    Raises:
        ShapeError: `affine` is not a finite, invertible 4 x 4 matrix.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        rule = "an affine is a 4 x 4 matrix of finite numbers"
        raise ShapeError("orientation", rule, matrix.tolist(), "Repair the header of the file")
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    directions = matrix[:3, :3] / np.where(spacing > 0, spacing, 1)
    left, strengths, right = np.linalg.svd(directions)
    if strengths[-1] < 1e-6:
        rule = "an affine must be invertible"
        raise ShapeError("orientation", rule, matrix.tolist(), "Repair the header of the file")
    from scipy.optimize import linear_sum_assignment  # half a second to import

    rotation = left @ right
    world, axes = linear_sum_assignment(-(rotation**2))
    flips = tuple(bool(rotation[w, a] < 0) for w, a in zip(world, axes, strict=True))
    return Turn(tuple(int(a) for a in axes), flips)


def canonical(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, Turn]:
    """Turn a volume to closest RAS.

    Args:
        array: (C, i, j, k), or without channels (i, j, k).
        affine: 4 x 4, index to world in RAS millimetres.
    Returns:
        The turned view, its affine, and the turn, whose `undo` brings any map on it back.
    Raises:
        ShapeError: a degenerate affine.
    """
    turn = turn_to_ras(affine)
    shape = array.shape[-3:]
    return turn.apply(array), turn.affine(np.asarray(affine, dtype=np.float64), shape), turn


def _flip(array: np.ndarray, flips: tuple[bool, ...]) -> np.ndarray:
    steps = tuple(slice(None, None, -1 if flip else None) for flip in flips)
    return array[(..., *steps)]
