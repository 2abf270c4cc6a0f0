"""A packed store on disk, or at a URL -> Store: what its arrays hold is read when it is needed."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from convivo.data.sample import Events
from convivo.data.store.cases import Store
from convivo.data.store.layout import ARRAYS, CASES, COMPLETE, FORM
from convivo.data.store.series import Recent, Series, zarr_group
from convivo.errors import ReadError

OPEN = 64  # arrays of single cases that are kept open


def is_complete(folder: Path) -> bool:
    """Whether a folder is a packed store with every file that belongs to it, each of its size."""
    try:
        facts = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        files = facts["files"].items()
        sizes = all((folder / name).stat().st_size == size for name, size in files)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False
    return sizes and facts.get("form") == FORM


def opened_store(
    folder: Path, ids: Sequence[str], units: Sequence[str], numbers: Sequence[int]
) -> Store:
    """Some cases of a packed store, none of their arrays read yet.

    Args:
        ids, units: of these cases. numbers: their places in the store.
    Raises:
        ReadError: not a packed store, or a damaged one.
    """
    try:
        facts = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        lines = (folder / CASES).read_text(encoding="utf-8").splitlines()
        rows = [row for line in lines for row in json.loads(line)["cases"]]
        alike, maps = bool(facts["alike"]), any("places" in row for row in rows)
        array_of = _arrays(folder, alike=alike)
        dtypes = {n: array_of(n, 0).dtype for n in ("images", *(["labels"] if maps else []))}
    except (OSError, ValueError, KeyError) as error:
        rule, remedy = "a packed store is whole", "Delete it: it is packed anew"
        raise ReadError(folder, rule, error, remedy) from None
    recent = Recent()

    def series(name: str, axis: int) -> Series:
        shapes = [tuple(row["shape"][axis:]) for row in rows]
        return Series(
            str(folder), shapes, numbers, dtypes[name], lambda i: array_of(name, i),
            alike=alike, recent=recent,
        )  # fmt: skip

    return Store(
        ids=tuple(ids),
        units=tuple(units),
        images=series("images", 0),
        targets=series("labels", 1) if maps else [_target(rows[i]) for i in numbers],
        places=Places([rows[i]["places"] for i in numbers], numbers, array_of) if maps else (),
    )


class Places(Sequence[dict[int, np.ndarray]]):
    """Positions of the classes of each case, read when they are asked for.

    Args:
        counts: per case, of each class (as text) that it has. numbers: places in the store.
    """

    def __init__(self, counts: Sequence[Mapping[str, int]], numbers: Sequence[int], array_of: Any):
        self.counts, self.numbers, self.array_of = counts, numbers, array_of

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, case: Any) -> Any:
        rows = self.array_of("places", 0)[self.numbers[case]]
        return {int(c): rows[int(c) - 1, :n] for c, n in self.counts[case].items()}

    def some(self, cases: Sequence[int]) -> "Places":
        """Those of these cases alone."""
        numbers = [self.numbers[i] for i in cases]
        return Places([self.counts[i] for i in cases], numbers, self.array_of)


def _arrays(folder: Path, *, alike: bool) -> Any:
    """(name, number of a case) -> the open array that holds it."""
    group = zarr_group(folder / ARRAYS, "r")

    @lru_cache(maxsize=OPEN)
    def opened(path: str) -> Any:
        return group[path]

    def array_of(name: str, number: int) -> Any:
        return opened(name if alike or name == "places" else f"{name}/{number}")

    return array_of


def _target(row: Mapping[str, Any]) -> int | float | Events | None:
    events = row.get("events")
    if events is None:
        return row.get("target")
    arrays = {name: np.asarray(values, np.int64) for name, values in events.items()}
    return Events(**arrays)
