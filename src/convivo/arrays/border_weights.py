"""How much each sample of a label map counts in training: rare classes, and gaps between cells.

Letters: *S spatial axes.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import (
    binary_erosion,
    distance_transform_edt,
    find_objects,
    label,
)

from convivo.errors import ShapeError, UsageError

REACH = 5.0
"""In sigmas. Beyond it the term is below exp(-12.5), four millionths of w0, and taken as zero."""


def border_weights(
    labels: np.ndarray,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    spacing: Sequence[float] | None = None,
    instances: np.ndarray | None = None,
) -> np.ndarray:
    """w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)).

    w_c balances the classes: it gives each class present the same total, and is 1 on average. d1
    and d2 are the distances to the border of the nearest and of the second nearest cell, so that
    narrow gaps between two cells weigh most. A border consists of the samples of a cell that share
    a face with a sample outside of it; the image's own rim is no border.

    Args:
        labels: (*S) integer classes, 0 the background.
        w0: weight of a sample that is on two borders. sigma: how fast it falls off.
        spacing: length of a sample along each axis; sigma is in the same unit (mm). Default: sigma
            is in samples.
        instances: (*S) which cell each sample belongs to, 0 none. Default: connected components
            (by faces) of all that is not background, so that touching cells count as one.
    Returns:
        (*S) float32, positive.
    Raises:
        UsageError: a negative w0, a sigma or spacing that is not positive.
        ShapeError: `instances` or `spacing` that do not fit the labels.
    Example:
        >>> border_weights(np.array([0, 0, 0, 1, 1, 0, 1, 1]), w0=10.0, sigma=2.0).round(1)
        array([1. , 1. , 1.4, 4.2, 7.1, 7.1, 7.1, 2.4], dtype=float32)

    Source: Ronneberger et al. 2015, arXiv:1505.04597, eq. 2 (w0 = 10, sigma = 5 pixels). Differs:
    the paper does not say how w_c balances; the term is cut off where it is below 4e-6 w0.
    """
    _check(labels, w0, sigma, spacing, instances)
    weights = class_balance(labels)
    if w0 > 0:
        cells = label(labels > 0)[0] if instances is None else _numbered(instances)
        steps = np.ones(labels.ndim) if spacing is None else np.asarray(spacing, np.float64)
        nearest, second = two_distances(cells, steps, REACH * sigma)
        weights += w0 * np.exp(-0.5 * ((nearest + second) / sigma) ** 2)
    return weights.astype(np.float32)


def class_balance(labels: np.ndarray) -> np.ndarray:
    """(*S) -> (*S) float64 weights with the same sum in every class present, 1 on average.

    Example:
        >>> class_balance(np.array([0, 0, 0, 2]))
        array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (labels.size / (len(counts) * counts))[places].reshape(labels.shape)


def two_distances(
    cells: np.ndarray, spacing: Sequence[float] | np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest and the second nearest cell's border.

    Each cell is measured in its own neighbourhood only, which keeps hundreds of cells cheap. What
    is beyond `reach` is infinite, and so are cells with no other one in their neighbourhood.

    Args:
        cells: (*S) integers, cells counted from 1, 0 none.
        spacing: length of a sample per axis. reach: in the unit of the spacing.
    """
    nearest = np.full(cells.shape, np.inf)
    second = nearest.copy()
    around = [int(np.ceil(reach / step)) for step in spacing]
    for number, box in enumerate(find_objects(cells), 1):
        if box is None:
            continue
        place = _grown(box, around, cells.shape)
        own = cells[place] == number
        if not (own < (cells[place] > 0)).any():  # alone here
            continue
        distance = np.asarray(distance_transform_edt(~_border(own), sampling=spacing))
        distance[distance > reach] = np.inf
        np.minimum(second[place], np.maximum(nearest[place], distance), out=second[place])
        np.minimum(nearest[place], distance, out=nearest[place])
    return nearest, second


def _grown(box: tuple[slice, ...], by: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    rows = zip(box, by, shape, strict=True)
    return tuple(slice(max(0, cut.start - n), min(size, cut.stop + n)) for cut, n, size in rows)


def _border(mask: np.ndarray) -> np.ndarray:
    """Samples of a cell that share a face with one outside; the array's own rim is no border."""
    return mask & ~binary_erosion(mask, border_value=1)


def _numbered(instances: np.ndarray) -> np.ndarray:
    """Any names of cells, 0 none, as 1, 2, ... without gaps."""
    names, places = np.unique(instances, return_inverse=True)
    start = 0 if len(names) and names[0] == 0 else 1
    return (places + start).reshape(instances.shape)


def _check(
    labels: np.ndarray,
    w0: float,
    sigma: float,
    spacing: Sequence[float] | None,
    instances: np.ndarray | None,
) -> None:
    if not 0 <= w0 < np.inf or not 0 < sigma < np.inf:
        rule = "w0 is zero or more and sigma is positive"
        remedy = "Use w0=10, sigma=5 as published"
        raise UsageError("border_weights", rule, f"w0={w0}, sigma={sigma}", remedy)
    if spacing is not None and (len(spacing) != labels.ndim or min(spacing) <= 0):
        rule = f"one positive spacing per axis ({labels.ndim})"
        raise ShapeError("border_weights", rule, tuple(spacing), "Correct it or leave it out")
    if instances is None:
        return
    if instances.shape != labels.shape or instances.min(initial=0) < 0:
        rule = f"instances are {labels.shape} integers, 0 where there is no cell"
        got = f"shape {instances.shape}, smallest {instances.min(initial=0)}"
        raise ShapeError("border_weights", rule, got, "Give one number per sample")
