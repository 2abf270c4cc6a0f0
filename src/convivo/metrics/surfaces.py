"""Distances between the outlines of two masks, in the unit of their spacing.

The outline of a mask is every element of it with a face neighbour outside (or beyond the array);
in 1D that is both ends of each run. Distances run between element centres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

# A search tree costs about this many times more per outline element than a distance map costs
# per element of the box (measured for 2D and 3D shapes, and for noise, where maps win).
_TREE_COST = 6


@dataclass(frozen=True)
class SurfaceDistances:
    """From each outline element of one mask to the nearest of the other.

    from_truth: (a,), from_prediction: (b,) float64.
    """

    from_truth: np.ndarray
    from_prediction: np.ndarray

    def hd95(self) -> float:
        """The larger of the two 95th percentiles.

        Source: Maier-Hein et al. 2024, Metrics reloaded, doi:10.1038/s41592-023-02151-z.
        """
        sides = (self.from_truth, self.from_prediction)
        return max(float(np.percentile(side, 95)) for side in sides)

    def nsd(self, tolerance: float) -> float:
        """Share of both outlines that lies within `tolerance` of the other one.

        Source: Nikolov et al. 2021, doi:10.2196/26151. Differs: outline elements are counted,
        not weighted by their surface area.
        """
        near = (self.from_truth <= tolerance).sum() + (self.from_prediction <= tolerance).sum()
        return float(near) / (len(self.from_truth) + len(self.from_prediction))


def outline(mask: np.ndarray) -> np.ndarray:
    """The elements of a mask (*S) bool that have a face neighbour outside of it, (*S) bool.

    Example:
        >>> outline(np.array([False, True, True, True, False])).tolist()
        [False, True, False, True, False]
    """
    return mask & ~ndimage.binary_erosion(mask)


def surface_distances(
    truth: np.ndarray, prediction: np.ndarray, spacing: Sequence[float]
) -> SurfaceDistances:
    """Distances between the outlines of two masks (*S) bool, neither of them empty.

    spacing: distance between elements per axis.

    Example:
        >>> a = np.array([0, 1, 1, 0, 0, 0], bool)
        >>> surface_distances(a, np.roll(a, 2), [0.5]).hd95()
        0.975
    """
    own, other = outline(truth), outline(prediction)
    points = np.count_nonzero(own) + np.count_nonzero(other)
    between = _by_tree if points * _TREE_COST < truth.size else _by_map
    return SurfaceDistances(between(own, other, spacing), between(other, own, spacing))


def _by_map(start: np.ndarray, goal: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    distance = ndimage.distance_transform_edt(~goal, sampling=tuple(spacing))
    return np.asarray(distance)[start]


def _by_tree(start: np.ndarray, goal: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    scale = np.asarray(spacing, float)
    tree = KDTree(np.argwhere(goal) * scale, balanced_tree=False, compact_nodes=False)
    return np.asarray(tree.query(np.argwhere(start) * scale)[0])
