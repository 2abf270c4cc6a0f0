"""Label maps that number objects instead of naming classes: how they are read.

What an index says of them stands in `extra["instances"]`: "files" (a mask file per object),
"values" (each value of a map is an object) or "pieces" (each connected piece of the one class is).
"""

import numpy as np

from convivo.arrays.objects import numbered, pieces
from convivo.data.sample import Index
from convivo.errors import DataError

KEY = "instances"
TOLD = {
    "files": "a mask file per object",
    "values": "the values of a label map number objects",
    "pieces": "each connected piece of a mask is an object",
}
"""How objects are numbered, in words."""


def numbering(index: Index) -> str | None:
    """How its label maps number objects; None where they name classes."""
    found = index.extra.get(KEY)
    return found if isinstance(found, str) else None


def object_map(labels: np.ndarray, how: str, path: str) -> np.ndarray:
    """Stored values (*S), or of "pieces" class indices -> numbers of objects (*S) int32, 0 none.

    Raises:
        DataError: a value below 0.
    """
    if labels.size and labels.min() < 0:
        remedy = "Number objects from 1 on, and write 0 where there is none"
        raise DataError(path, "objects are numbered from 1 on", int(labels.min()), remedy)
    return pieces(labels > 0) if how == "pieces" else numbered(labels)
