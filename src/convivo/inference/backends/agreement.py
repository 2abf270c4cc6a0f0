"""Whether two backends answer alike, measured by what the task's user gets."""

from typing import cast

import numpy as np

from convivo.arrays.objects import parted
from convivo.tasks.task import MapTask, Task

LABELS = 0.999  # share of positions of a map with the same class
PROBABILITY = 0.02  # largest difference of a probability in a table
VALUES = 1e-3  # largest difference of values, as a share of the largest one


def disagreement(task: Task, mine: np.ndarray, theirs: np.ndarray) -> str:
    """What sets answers (n, K, ...) apart from torch's; empty where they agree.

    Maps by the share of positions with the same class; tables of probabilities by the classes
    called, all of them, and by the probabilities; numbers and images by their values.
    """
    if mine.shape != theirs.shape:
        return f"answers {mine.shape} instead of {theirs.shape}"
    if not np.isfinite(mine).all():
        return "answers that are not finite"
    if task.name == "segment":
        return _maps(task, mine, theirs)
    return _table(task, mine, theirs) if task.name == "classify" else _values(mine, theirs)


def labels_of(task: Task, found: np.ndarray) -> np.ndarray:
    """Answers (K, *S) -> what is seen of their label map (*S); of objects, where they part."""
    task = cast(MapTask, task)
    labels = task.decide(found)
    return labels.astype(np.uint16) if task.pointwise else parted(labels)


def _maps(task: Task, mine: np.ndarray, theirs: np.ndarray) -> str:
    pairs = zip(mine, theirs, strict=True)
    same = float(np.mean([(labels_of(task, m) == labels_of(task, t)).mean() for m, t in pairs]))
    return "" if same >= LABELS else f"another class at {1 - same:.2%} of the positions"


def _table(task: Task, mine: np.ndarray, theirs: np.ndarray) -> str:
    several = getattr(task, "several", False)
    called = [rows > 0.5 if several else rows.argmax(1) for rows in (mine, theirs)]
    apart = int((called[0] != called[1]).sum())
    if apart:
        return f"another class for {apart} of {len(mine)}"
    away = float(np.abs(mine - theirs).max(initial=0))
    return "" if away <= PROBABILITY else f"probabilities that differ by {away:.3f}"


def _values(mine: np.ndarray, theirs: np.ndarray) -> str:
    largest = float(np.abs(theirs).max(initial=0))
    away = float(np.abs(mine - theirs).max(initial=0))
    if away <= VALUES * largest:
        return ""
    return f"values that differ by {away:.3g}, the largest being {largest:.3g}"
