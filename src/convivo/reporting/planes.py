"""Flat views of a case: an image as it is, a volume as three planes through what matters.

Letters: C channels, (h, w) rows and columns of a view.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convivo.reporting.content import CasePicture

# Where rows run downwards to and columns to the right, as radiologists look at a patient.
ANATOMICAL = (("axial", "P", "L"), ("coronal", "I", "L"), ("sagittal", "I", "P"))
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One flat view: image (C, h, w), maps (h, w) or None, and the size of a pixel."""

    name: str
    image: np.ndarray
    truth: np.ndarray | None
    prediction: np.ndarray | None
    pixel: tuple[float, float]


def planes(case: CasePicture) -> list[Plane]:
    """The views of a 2D or 3D case that a picture is put together from."""
    spacing = usable_spacing(case)
    if case.image.ndim == 3:
        return [Plane(name="", image=case.image, truth=case.truth, prediction=case.prediction,
                      pixel=(spacing[0], spacing[1]))]  # fmt: skip
    point, turns = centre(case), views(case.axes)
    return [cut(case, spacing, point, turn) for turn in turns]


def usable_spacing(case: CasePicture) -> tuple[float, ...]:
    """The case's spacing per axis; equal steps where it is missing or makes no sense."""
    dims = case.image.ndim - 1
    given = case.spacing or ()
    sound = len(given) == dims and all(np.isfinite(s) and s > 0 for s in given)
    return tuple(float(s) for s in given) if sound else (1.0,) * dims


def centre(case: CasePicture) -> tuple[int, ...]:
    """The voxel to cut through: the one of the truth nearest to its centroid.

    Without truth that of the prediction, without either the middle of the volume.
    """
    for labels in (case.truth, case.prediction):
        if labels is not None and (labels > 0).any():
            places = np.argwhere(labels > 0)
            nearest = np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()
            return tuple(int(i) for i in places[nearest])
    return tuple(n // 2 for n in case.image.shape[1:])


@dataclass(frozen=True)
class View:
    """How a plane is cut: its name, the axes of its rows and columns, and what is flipped."""

    name: str
    rows: int
    columns: int
    flips: tuple[bool, bool]


def views(axes: str) -> Sequence[View]:
    """Three views: anatomical ones for codes such as "RAS", else one across each axis.

    Example:
        >>> [(v.name, v.rows, v.columns, v.flips) for v in views("RAS")][0]
        ('axial', 1, 0, (True, True))
        >>> [v.name for v in views("ZYX")]
        ['across axis 1', 'across axis 2', 'across axis 3']
    """
    if len(axes) == 3 and all(any(c in axes for c in pair) for pair in ("LR", "AP", "SI")):
        return [anatomical_view(axes, *names) for names in ANATOMICAL]
    others = ((1, 2), (0, 2), (0, 1))
    return [View(f"across axis {n}", *rest, (False, False)) for n, rest in enumerate(others, 1)]


def anatomical_view(axes: str, name: str, down: str, right: str) -> View:
    """The view whose rows run to `down` and whose columns run to `right`."""
    places = [axes.find(d) if d in axes else axes.find(OPPOSITE[d]) for d in (down, right)]
    return View(name, places[0], places[1], (down not in axes, right not in axes))


def cut(case: CasePicture, spacing: tuple[float, ...], point: tuple[int, ...], view: View) -> Plane:
    """One plane of a volume through a point, turned and flipped as the view wants it."""
    through = 3 - view.rows - view.columns
    steps = tuple(-1 if flip else 1 for flip in view.flips)

    def flat(array: np.ndarray) -> np.ndarray:
        # Axes are counted from the end, so that images (C, *S) and maps (*S) are cut alike.
        plane = np.take(array, point[through], axis=through - 3)
        turned = plane if view.rows < view.columns else np.swapaxes(plane, -1, -2)
        return turned[..., :: steps[0], :: steps[1]]

    return Plane(
        name=f"{view.name}, {point[through] + 1} of {case.image.shape[1 + through]}",
        image=flat(case.image),
        truth=None if case.truth is None else flat(case.truth),
        prediction=None if case.prediction is None else flat(case.prediction),
        pixel=(spacing[view.rows], spacing[view.columns]),
    )
