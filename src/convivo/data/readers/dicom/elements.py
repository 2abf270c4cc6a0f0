"""Elements of a DICOM header as plain values; and who it is about, without the name."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset


def text(dataset: "Dataset", keyword: str) -> str:
    """The element as text, "" where it is not there."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip("\0 ")


def whole(dataset: "Dataset", keyword: str) -> int | None:
    """The element as an integer, None where it is not there or empty. Raises ValueError."""
    value = dataset.get(keyword)
    return None if value is None or value == "" else int(value)


def numbers(dataset: "Dataset", keyword: str, count: int) -> tuple[float, ...] | None:
    """The element as so many finite numbers, None where it is not that."""
    value = dataset.get(keyword)
    found = tuple(float(v) for v in each(value))
    return found if len(found) == count and np.isfinite(found).all() else None


def each(value: Any) -> Any:
    """The values of an element that may hold one, several or none."""
    if value is None or value == "":
        return ()
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    return value if several else (value,)


def subject_of(dataset: "Dataset") -> str | None:
    """A pseudonym made from the PatientID: one per id, the same in every file, run and machine.

    Neither id nor name leave the headers. It hides them from readers of a report, not from who
    has a list of all ids and tries them.
    """
    given = text(dataset, "PatientID")
    return f"patient-{hashlib.sha256(given.encode()).hexdigest()[:10]}" if given else None
