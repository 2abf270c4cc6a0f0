"""Whether the label maps of a data set number objects: told by its files, its values, or asked for.

Part of an inspection: it decides how maps are read from there on (`numbered_maps`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from convivo.data.labels import FEW_UNNAMED
from convivo.data.numbered_maps import KEY, numbering
from convivo.data.readers import is_mask_folder
from convivo.data.sample import Index
from convivo.data.strays import find_strays
from convivo.data.survey import LabelMap
from convivo.errors import ConfigError

IN_ONE_PIECE = 0.9  # of the values of a map that numbers objects, at least


def before_maps(index: Index, wanted: bool | None) -> Index:
    """The index, knowing of objects as far as that can be told before label maps are read.

    Args:
        wanted: whether objects are to be told apart; None where the data decide: a mask file per
            object.
    Raises:
        ConfigError: objects are wanted of data without label maps, or of several classes.
    """
    if wanted and index.task != "segment":
        remedy = "Leave it out"
        raise ConfigError("task.instances", "a setting to segment", f"to {index.task}", remedy)
    if wanted and len(index.classes) > 2:
        rule, remedy = "objects of one class are told apart", "Leave it out"
        raise ConfigError("task.instances", rule, f"classes {', '.join(index.classes)}", remedy)
    if wanted is False or index.task != "segment" or not index.cases:
        return index
    folders = all(case.label is not None and is_mask_folder(case.label) for case in index.cases)
    return _told(index, "files") if folders else index


def after_maps(index: Index, maps: Mapping[str, LabelMap], wanted: bool | None) -> Index:
    """The same once the values of label maps are known.

    Without being asked, values are taken for objects where nothing names them, there are more than
    20, each map's are 1, 2, ... to a last one that differs between maps, and nearly all are
    connected. Where objects are asked for, a map with one value holds one in every piece.
    """
    if wanted is False or index.task != "segment" or not (wanted or _number_objects(index, maps)):
        return index if numbering(index) != "files" else _of_two(index)
    if numbering(index) == "files":
        return _of_two(index)
    counts = sum((Counter(one.counts) for one in maps.values()), Counter())
    plain = {value for value in counts if value not in find_strays(counts)}
    return _told(index, "pieces") if len(plain) <= 2 else _of_two(_told(index, "values"))


def _told(index: Index, how: str) -> Index:
    return replace(index, extra={**index.extra, KEY: how})


def _of_two(index: Index) -> Index:
    """Background and objects, whatever the values."""
    names = index.classes if len(index.classes) == 2 else ("background", "1")
    return replace(index, classes=names, label_values=(0, 1))


def _number_objects(index: Index, maps: Mapping[str, LabelMap]) -> bool:
    if index.classes or index.label_values is not None:
        return False
    rows = [[v for v in one.counts if v] for one in maps.values() if one.problem is None]
    last = {len(values) for values in rows if values}
    if len(last) < 2 or max(last) <= FEW_UNNAMED:
        return False
    through = all(values == list(range(1, len(values) + 1)) for values in rows)
    shares = [one.in_one_piece for one in maps.values() if one.in_one_piece is not None]
    return through and all(share >= IN_ONE_PIECE for share in shares)


def must_tell_apart(index: Index, wanted: bool | None) -> None:
    """Refuse what was read otherwise than it is wished.

    Raises:
        ConfigError: objects are wanted, or not, of data that was read without the wish.
    """
    if wanted is None or index.task != "segment" or wanted == (numbering(index) is not None):
        return
    got = "data whose maps are " + ("classes" if wanted else "numbers of objects")
    remedy = "Give the path of the data, or inspect it with the same instances"
    raise ConfigError("task.instances", "data is read as it is trained on", got, remedy)


def object_sizes(index: Index, maps: Mapping[str, LabelMap]) -> dict[str, tuple[int, ...]]:
    """Case id -> positions of each of its objects; nothing of pieces, which no map counts."""
    if numbering(index) not in ("files", "values"):
        return {}
    return {
        case_id: tuple(n for value, n in one.counts.items() if value > 0)
        for case_id, one in maps.items()
        if one.problem is None
    }


def summary(index: Index, sizes: Mapping[str, Sequence[int]], ids: Sequence[str]) -> dict | None:
    """What an inspection says of objects: how they are told apart, and their number and size."""
    how = numbering(index)
    if how is None:
        return None
    every = np.array([n for case_id in ids for n in sizes.get(case_id, ())])
    known = how != "pieces"
    median = float(np.median(every)) if len(every) else None
    return {"from": how, "count": len(every) if known else None, "median_size": median}
