"""Heart beats by the AAMI's classes: N normal, S supraventricular, V ventricular, F fusion, Q none.

Letters: n beats, U units (records or patients), B resamples. Beats are pooled over the records of
the test set; the interval is over units, since the beats of one heart are alike.
"""

from collections.abc import Callable, Sequence

import numpy as np

from convivo.errors import DataError, ShapeError, UsageError
from convivo.metrics.intervals import RESAMPLES, SHARE, Entry, Resampled, entry, ratio, unit_index

AAMI = ("N", "S", "V", "F", "Q")
_JUDGED = 4  # N, S, V, F
_S, _V, _Q = AAMI.index("S"), AAMI.index("V"), AAMI.index("Q")


def beat_metrics(
    predictions: np.ndarray,
    targets: np.ndarray,
    units: Sequence[object] | np.ndarray,
    classes: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """Metric name -> {"value", "low", "high", ...} of beats pooled over all records.

    `accuracy`, `kappa` (Cohen's), `j` = Se_S + P_S + Se_V + P_V (0 to 4), `j_kappa` =
    kappa / 2 + j / 8, `sensitivity.<c>` and `precision.<c>` of N, S, V, F, `confusion` (rows are
    the truth, N S V F Q) and `q_beats`.

    Q is reported apart: a beat whose truth is Q is left out of everything and counted in
    `q_beats`, so the row Q stays empty; another beat that is called Q is wrong, in column Q.
    Where no beat is called S, P_S is 0 (nothing was found, and leaving S out must not pay).
    Where no beat is S in truth, Se_S has no value, and neither have `j` and `j_kappa`.

    Args:
        predictions: (n,) class indices.
        targets: (n,) class indices.
        units: (n,) the unit of each beat.
        classes: names by class index, out of N, S, V, F, Q in any order.
        seed: of every bootstrap.
        resamples: of every bootstrap.
    Raises:
        UsageError: a class name that is not the AAMI's.
        ShapeError: predictions, targets and units of different length, or no beat that counts.
        DataError: an index that names no class.
    Source: ANSI/AAMI EC57; Mar et al. 2011, IEEE Trans Biomed Eng 58(8), for j and j_kappa.
    Example:
        >>> found = beat_metrics(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]),
        ...                      ["100", "101", "102", "103"], ["N", "S", "V"])
        >>> found["j"]["value"], found["sensitivity.S"]["value"]
        (3.5, 0.5)
    """
    codes = _aami_codes(classes)
    predicted, true = (_coded(codes, a, what) for a, what in _named(predictions, targets))
    if len(predicted) != len(true):
        rule = f"every beat has one prediction ({len(true)} beats)"
        raise ShapeError("beats", rule, len(predicted), "Give one prediction per beat")
    judged = true != _Q
    if len(units) != len(true) or not judged.any():
        rule, got = "beats of N, S, V or F, each with its unit", f"{int(judged.sum())} such beats"
        raise ShapeError("beats", rule, f"{got}, {len(units)} units", "Check the test records")
    index, num_units = unit_index(np.asarray(units)[judged], int(judged.sum()))
    cell = true[judged] * len(AAMI) + predicted[judged]
    width = _JUDGED * len(AAMI)
    tables = np.bincount(index * width + cell, minlength=num_units * width)
    drawn = Resampled(tables.reshape(num_units, width), seed=seed, resamples=resamples)
    found = _overall(drawn) | _per_class(drawn)
    confusion = np.zeros((len(AAMI), len(AAMI)), np.int64)
    confusion[:_JUDGED] = _confusions(drawn.total)[0]
    found["confusion"] = entry(confusion.tolist(), labels=list(AAMI))
    found["q_beats"] = entry(int((~judged).sum()))
    return found


def quick_j_kappa(predictions: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> float:
    """`j_kappa` of (n,) class indices alone, without an interval; NaN where S or V is not in truth.

    Example:
        >>> quick_j_kappa(np.array([0, 1, 2, 0]), np.array([0, 1, 2, 0]), ["N", "S", "V", "F"])
        1.0
    """
    codes = _aami_codes(classes)
    predicted, true = (_coded(codes, a, what) for a, what in _named(predictions, targets))
    judged = true != _Q
    cell = true[judged] * len(AAMI) + predicted[judged]
    return float(j_kappa(np.bincount(cell, minlength=_JUDGED * len(AAMI))[None])[0])


def _overall(drawn: Resampled) -> dict[str, Entry]:
    carriers = _confusions(drawn.per_unit).sum(axis=2) > 0
    support = int(carriers[:, [_S, _V]].sum(axis=0).min())
    return {
        "accuracy": drawn.measure(lambda sums: _agreement(_confusions(sums))),
        "kappa": drawn.measure(kappa, bounds=(-1.0, 1.0)),
        "j": drawn.measure(j, support=support, bounds=(0.0, 4.0)),
        "j_kappa": drawn.measure(j_kappa, support=support, bounds=(-0.5, 1.0)),
    }


def _per_class(drawn: Resampled) -> dict[str, Entry]:
    tables, found = _confusions(drawn.per_unit), {}
    kinds: tuple[tuple[str, Callable[[np.ndarray], np.ndarray], int], ...] = (
        ("sensitivity", sensitivity, 2),
        ("precision", precision, 1),
    )
    for kind, statistic, axis in kinds:
        for c in range(_JUDGED):
            found[f"{kind}.{AAMI[c]}"] = drawn.measure(
                lambda sums, c=c, statistic=statistic: statistic(sums)[:, c],
                support=int(np.count_nonzero(tables.sum(axis=axis)[:, c])),
                bounds=SHARE,
            )
    return found


def _confusions(sums: np.ndarray) -> np.ndarray:
    """Rows of cells (B, 20) as tables (B, 4 true classes, 5 predicted ones)."""
    return sums.reshape(len(sums), _JUDGED, len(AAMI))


def _agreement(tables: np.ndarray) -> np.ndarray:
    right = np.trace(tables, axis1=1, axis2=2)
    return ratio(right, tables.sum(axis=(1, 2)))


def sensitivity(sums: np.ndarray) -> np.ndarray:
    """Found beats of each class, (B, 20) -> (B, 4); NaN where the class is not in the truth."""
    tables = _confusions(sums)
    return ratio(np.diagonal(tables, axis1=1, axis2=2), tables.sum(axis=2))


def precision(sums: np.ndarray) -> np.ndarray:
    """Right ones among the beats called a class, (B, 20) -> (B, 4); 0 where none is."""
    tables = _confusions(sums)
    called = tables.sum(axis=1)[:, :_JUDGED]
    return ratio(np.diagonal(tables, axis1=1, axis2=2), called, otherwise=0.0)


def kappa(sums: np.ndarray) -> np.ndarray:
    """Cohen's kappa, agreement beyond chance, (B, 20) -> (B,); NaN where chance is certain."""
    tables = _confusions(sums)
    total = tables.sum(axis=(1, 2))
    by_chance = (tables.sum(axis=2) * tables.sum(axis=1)[:, :_JUDGED]).sum(axis=1)
    chance = ratio(by_chance, total**2)
    return ratio(_agreement(tables) - chance, 1 - chance)


def j(sums: np.ndarray) -> np.ndarray:
    """Se_S + P_S + Se_V + P_V, (B, 20) -> (B,); NaN where S or V is not in the truth."""
    return (sensitivity(sums) + precision(sums))[:, [_S, _V]].sum(axis=1)


def j_kappa(sums: np.ndarray) -> np.ndarray:
    """kappa / 2 + j / 8, (B, 20) -> (B,)."""
    return kappa(sums) / 2 + j(sums) / 8


def _named(predictions: np.ndarray, targets: np.ndarray) -> tuple[tuple[np.ndarray, str], ...]:
    return (np.asarray(predictions), "predictions"), (np.asarray(targets), "targets")


def _aami_codes(classes: Sequence[str]) -> np.ndarray:
    strange = [name for name in classes if name not in AAMI]
    if strange:
        rule = f"beat classes are {' '.join(AAMI)}"
        raise UsageError("beats", rule, ", ".join(map(str, strange)), "Rename or leave them out")
    return np.array([AAMI.index(name) for name in classes], np.int64)


def _coded(codes: np.ndarray, indices: np.ndarray, what: str) -> np.ndarray:
    if indices.size and not (indices.min() >= 0 and indices.max() < len(codes)):
        rule, got = f"{what} are 0 to {len(codes) - 1}", [int(indices.min()), int(indices.max())]
        raise DataError("beats", rule, got, "Leave out moments without a class")
    return codes[indices.astype(np.int64)]
