"""The names of everything that can spoil a data set, and how grave each is.

Layouts and the inspection make problems here; `train` refuses to start on an error.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from convivo.data.sample import Problem, Severity

WHOLE = ""
"""Path of a problem that belongs to the data set as a whole (paths are relative to DATA)."""

CODES: Mapping[str, Severity] = MappingProxyType(
    {
        "single-class": "error",
        "constant-target": "error",  # of numbers to predict
        "shape-mismatch": "error",
        "label-out-of-range": "error",
        "non-finite": "error",
        "duplicate-across-splits": "error",
        "subject-across-splits": "error",
        "missing-slices": "error",
        "mixed-dimensions": "error",  # images and volumes in one set
        "unreadable": "warning",
        "truncated": "warning",
        "no-labels": "warning",  # of any case: data for prediction
        "missing-label": "warning",
        "missing-image": "warning",
        "duplicate": "warning",
        "duplicate-across-subjects": "warning",
        "mixed-spacing": "warning",
        "mixed-orientation": "warning",
        "mixed-channels": "warning",
        "constant-image": "warning",
        "class-missing": "warning",
        "mixed-rates": "warning",  # channels of one recording
        "duplicate-channels": "warning",
        "flat-channel": "warning",  # of a signal
        "unused-label": "warning",  # a second label map of an image
        "unnamed-labels": "warning",  # many values: classes, or objects?
        "stray-labels": "warning",  # a few label values beside those of the classes
        "repeated-positions": "warning",  # of slices: a series of several volumes
        "duplicate-slices": "warning",
        "uneven-slices": "warning",
        "gantry-tilt": "warning",
        "slices-without-position": "warning",
        "several-labels": "warning",  # of one image
        "class-imbalance": "warning",
        "subjects-unknown": "warning",
        "single-subject": "warning",
    }
)
"""Code -> severity. `unreadable` and `truncated` become errors past a tenth of the cases."""

DAMAGED = frozenset({"unreadable", "truncated"})
"""Codes of files that cannot be read."""

LEFT_OUT = frozenset(
    {
        "unreadable",
        "truncated",
        "shape-mismatch",
        "label-out-of-range",
        "non-finite",
        "mixed-dimensions",
    }
)
"""Codes whose case cannot be trained on as it is: it is left out of the usable cases."""


def problem(
    code: str, path: str, message: str, remedy: str, *, severity: Severity | None = None
) -> Problem:
    """A problem with the severity its code has; `severity` overrides it where the contract does.

    Raises:
        KeyError: `code` is not in CODES (a mistake of the caller, not of the user).
    Example:
        >>> problem("constant-image", "a.png", "every pixel is 7", "Remove it").severity
        'warning'
    """
    known = CODES[code]
    return Problem(severity=severity or known, code=code, path=path, message=message, remedy=remedy)


def left_out(problems: Iterable[Problem]) -> set[str]:
    """Ids that a problem of one case keeps out of the usable cases."""
    return {p.path for p in problems if p.code in LEFT_OUT}


def of_many(problems: Iterable[Problem], cases: int) -> tuple[Problem, ...]:
    """The same problems, with unreadable files made errors when they are over a tenth of `cases`.

    A few damaged files are left out and listed; many mean that the copy or the format is wrong,
    and a training on the rest would not be the training that was asked for.
    """
    found = tuple(problems)
    damaged = {p.path for p in found if p.code in DAMAGED}
    if len(damaged) * 10 <= cases:
        return found
    return tuple(
        problem(p.code, p.path, p.message, p.remedy, severity="error") if p.path in damaged else p
        for p in found
    )
