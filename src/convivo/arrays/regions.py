"""Regions of a label map that may lie in each other: the whole tumour, its core.

Letters: R regions, K labels, *S spatial axes.
"""

from collections.abc import Sequence

import numpy as np

IN_REGION = 0.5  # probability from which on a position is in a region


def labels_of_regions(found: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Probabilities (R, *S) of regions -> the label map (*S): uint8, uint16 beyond 256 labels.

    Regions are written one after the other, each with its label over what the ones before it left.

    Args:
        labels: of each region, in the order of the regions.
    Example:
        >>> labels_of_regions(np.array([[0.9, 0.9, 0.1], [0.2, 0.8, 0.9]]), (1, 3)).tolist()
        [1, 3, 3]

    Source: Isensee et al. 2021, nnU-Net, `regions_class_order`.
    """
    result = np.zeros(found.shape[1:], np.uint8 if max(labels) < 256 else np.uint16)
    for probabilities, label in zip(found, labels, strict=True):
        result[probabilities > IN_REGION] = label
    return result
