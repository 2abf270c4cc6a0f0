"""What a segmentation is worth: overlap and distance per case and class, then over cases.

Letters: *S one, two or three spatial axes, n cases, K classes of which 0 is the background.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from convivo.errors import DataError, ShapeError
from convivo.metrics.intervals import (
    RESAMPLES,
    SHARE,
    Bounds,
    Entry,
    Resampled,
    mean_of_defined,
    pool,
    ratio,
    unit_index,
)
from convivo.metrics.surfaces import surface_distances

CaseStatistics = dict[int, dict[str, float]]
Box = tuple[slice, ...]

METRICS: dict[str, Bounds] = {
    "dice": SHARE,
    "iou": SHARE,
    "hd95": (0.0, np.inf),
    "nsd": SHARE,
    "volume_error": (0.0, np.inf),
}


def case_statistics(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    num_classes: int,
    spacing: Sequence[float] | None = None,
    tolerance: float = 1.0,
) -> CaseStatistics:
    """Foreground class index -> metric -> value of one case.

    - `dice` 2 |A and B| / (|A| + |B|), `iou` |A and B| / |A or B|.
    - `hd95` the larger of the 95th percentiles of the distances from either outline to the other.
    - `nsd` share of both outlines within `tolerance` of the other.
    - `volume_error` | |B| - |A| | / |A|, A the truth: 0.1 is a tenth too much or too little.

    NaN where a case says nothing about a class: everything where both masks are empty; distances
    where one is; the volume error where the truth is. With one mask empty Dice and IoU are 0.

    Args:
        truth: (*S) class indices.
        prediction: (*S) class indices.
        num_classes: K, background included.
        spacing: distance between elements per axis. Default: 1 each (pixels, samples).
        tolerance: for `nsd`, in the unit of the spacing.
    Raises:
        ShapeError: different shapes, or spacing of another length.
        DataError: a value that names no class.
    Source: Maier-Hein et al. 2024, Metrics reloaded, doi:10.1038/s41592-023-02151-z.
    Example:
        >>> found = case_statistics(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), num_classes=2)
        >>> round(found[1]["dice"], 3), found[1]["hd95"], found[1]["volume_error"]
        (0.667, 0.95, 0.5)
    """
    truth, prediction = _checked(truth, prediction, num_classes)
    spacing = [1.0] * truth.ndim if spacing is None else [float(step) for step in spacing]
    if len(spacing) != truth.ndim or min(spacing) <= 0:
        rule = f"spacing has one positive number per axis ({truth.ndim})"
        raise ShapeError("segmentation", rule, tuple(spacing), "Give the spacing of these axes")
    own, other = _boxes(truth, num_classes), _boxes(prediction, num_classes)
    found = {}
    for c in range(1, num_classes):
        box = _joint(own[c - 1], other[c - 1])
        masks = (truth[box] == c, prediction[box] == c) if box else None
        found[c] = _nothing() if masks is None else _compare(*masks, spacing, tolerance)
    return found


def _nothing() -> dict[str, float]:
    return dict.fromkeys(METRICS, float("nan"))


def _compare(
    truth: np.ndarray, prediction: np.ndarray, spacing: Sequence[float], tolerance: float
) -> dict[str, float]:
    true, called = int(truth.sum()), int(prediction.sum())
    both, found = int((truth & prediction).sum()), _nothing()
    found["dice"], found["iou"] = 2 * both / (true + called), both / (true + called - both)
    if true:
        found["volume_error"] = abs(called - true) / true
    if true and called:
        distances = surface_distances(truth, prediction, spacing)
        found["hd95"], found["nsd"] = distances.hd95(), distances.nsd(tolerance)
    return found


def _boxes(labels: np.ndarray, num_classes: int) -> list[Box | None]:
    """The box around each foreground class, None where it is absent; one pass for all."""
    found = ndimage.find_objects(labels, max_label=num_classes - 1)
    return [tuple(box) if box else None for box in found]


def _joint(one: Box | None, other: Box | None) -> Box | None:
    """The box around both. Outlines and distances inside are those of the whole array."""
    if one is None or other is None:
        return one or other
    pairs = zip(one, other, strict=True)
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)


def _checked(
    truth: np.ndarray, prediction: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape or truth.ndim == 0:
        rule = f"truth and prediction have one shape; truth {truth.shape}"
        raise ShapeError("segmentation", rule, prediction.shape, "Restore the original grid first")
    for labels, what in ((truth, "truth"), (prediction, "prediction")):
        whole = labels.dtype.kind in "iub"
        if not whole or (labels.size and not 0 <= labels.min() <= labels.max() < num_classes):
            rule = f"the {what} holds whole numbers from 0 to {num_classes - 1}"
            got = f"{labels.dtype} up to {labels.max()}"
            raise DataError("segmentation", rule, got, "Map stored values to class indices first")
    return truth.astype(np.int32, copy=False), prediction.astype(np.int32, copy=False)


def summarise(
    per_case: Sequence[Mapping[int, Mapping[str, float]]],
    units: Sequence[object] | np.ndarray,
    class_names: Sequence[str],
    *,
    spacing_unit: str = "px",
    tolerance: float = 1.0,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """Metric name -> {"value", "low", "high", ...} over cases, intervals over units.

    `dice.<class>` is the mean over the cases that say something about the class, `dice` the mean
    of those over foreground classes (named in `classes`); so for `iou`, `hd95` (with `unit`),
    `nsd` (with `tolerance` and `unit`) and `volume_error`. `excluded`, where above zero, counts
    the cases left out, for the mean over classes the pairs of case and class.

    Args:
        per_case: what `case_statistics` gave, n of them.
        units: (n,) the unit of each case.
        class_names: K names, background first.
        spacing_unit: of the distances.
        tolerance: that `nsd` was computed with.
        seed: of every bootstrap.
        resamples: of every bootstrap.
    Raises:
        ShapeError: not one unit per case, or no case at all.
    Example:
        >>> cases = [case_statistics(np.array([0, 1, 1]), np.array(p), num_classes=2)
        ...          for p in ([0, 1, 1], [0, 0, 0])]
        >>> found = summarise(cases, ["a", "b"], ["background", "nucleus"])
        >>> found["dice"]["value"], found["hd95.nucleus"]["excluded"]
        (0.5, 1)
    """
    index, num_units = unit_index(units, len(per_case))
    classes = range(1, len(class_names))
    extras: dict[str, dict[str, object]] = {
        "hd95": {"unit": spacing_unit},
        "nsd": {"tolerance": tolerance, "unit": spacing_unit},
    }
    found: dict[str, Entry] = {}
    for metric, bounds in METRICS.items():
        values = np.array([[case[c][metric] for c in classes] for case in per_case], float)
        sums = _sums(values, index, num_units)
        drawn = Resampled(sums, seed=seed, resamples=resamples)
        names = [str(class_names[c]) for c in classes]
        entries = _entries(drawn, names, bounds)
        for name, missing in zip(entries, _missing(values), strict=True):
            more = extras.get(metric, {}) | ({"excluded": missing} if missing else {})
            found[f"{metric}.{name}" if name else metric] = entries[name] | more
    return found


def _sums(values: np.ndarray, index: np.ndarray, num_units: int) -> np.ndarray:
    """(U, 2 (K - 1)): sums of values per unit and class, then how many cases they are of."""
    known = np.isfinite(values)
    return pool(np.concatenate([np.where(known, values, 0), known], axis=1), index, num_units)


def _missing(values: np.ndarray) -> list[int]:
    """Cases left out: all pairs first, then per class (the order of `_entries`)."""
    missing = (~np.isfinite(values)).sum(axis=0)
    return [int(missing.sum()), *missing.tolist()]


def _means(sums: np.ndarray) -> np.ndarray:
    half = sums.shape[-1] // 2
    return ratio(sums[..., :half], sums[..., half:])


def _entries(drawn: Resampled, names: list[str], bounds: Bounds) -> dict[str, Entry]:
    """The mean over classes under "", then each class under its name."""
    supports = [drawn.support(len(names) + c) for c in range(len(names))]
    covered = [name for name, units in zip(names, supports, strict=True) if units]
    fewest = min((units for units in supports if units), default=0)
    entries = {
        "": drawn.measure(
            lambda sums: mean_of_defined(_means(sums)),
            support=fewest,
            bounds=bounds,
            classes=covered,
        )
    }
    for c, name in enumerate(names):
        entries[name] = drawn.measure(
            lambda sums, c=c: _means(sums)[:, c], support=supports[c], bounds=bounds
        )
    return entries
