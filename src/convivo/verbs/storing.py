"""Where a run keeps its prepared cases: in memory where they are few, else packed and streamed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convivo.arrays.preparation import Preparation
from convivo.data import store
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.data.store import Store
from convivo.errors import UsageError
from convivo.planning.limits import memory_limit
from convivo.progress import Progress
from convivo.verbs.normal_only import learnt_from, without_others
from convivo.verbs.setup import Plan, build_preparation

TOGETHER, PORTION = 1024, 64 * 2**20  # cases, and bytes of them, that are read at once
MEMORY_SHARE = 8  # cases that take no more than one part of so many of the memory stay in it


def store_entry(
    draft: Plan, inspection: Inspection, split: Split, limit: int | None, *, wished: bool
) -> dict[str, Any]:
    """What a plan says of its prepared cases: {"store": ...}; adds a reason where they stream.

    bytes: of the training and validation cases in memory. half: kept as float16. packed: most
    bytes of all cases on disk, None where they need not be there. streamed: read from there piece
    by piece.

    Args:
        limit: bytes of memory that there are; None where untold. wished: the user named a folder.
    """
    preparation = build_preparation(draft)
    maps, classes = draft["task"] == "segment", len(draft["task_fields"]["classes"])
    shapes = {case.id: store.shape_of(case, preparation) for case in inspection.cases}
    half = store.in_half(shapes.values(), preparation)
    told = {"maps": maps, "half": half, "classes": classes}
    size = store.cost([shapes[i] for i in (*split.train, *split.val)], **told)
    limit = limit or memory_limit()
    streamed = on_disk(inspection) and limit is not None and size > limit // MEMORY_SHARE
    packed = store.packed_bytes(shapes.values(), **told) if streamed or wished else None
    return {"store": {"bytes": size, "half": half, "packed": packed, "streamed": streamed}}


def reason(entry: Mapping[str, Any]) -> list[str]:
    """A sentence for the plan's reasons where cases are streamed."""
    if not entry["streamed"]:
        return []
    size, packed = (f"{entry[name] / 2**20:,.0f} MiB" for name in ("bytes", "packed"))
    share = f"more than 1/{MEMORY_SHARE} of the memory"
    return [f"data is packed and streamed: {size} of prepared cases, {share}; disk {packed}"]


def on_disk(inspection: Inspection) -> bool:
    """Whether the cases come from files; what Python gives is in memory anyhow."""
    return all(case.image for case in inspection.cases)


def open_parts(
    plan: Plan,
    inspection: Inspection,
    split: Split,
    place: str | None,
    progress: Callable[[str, int], Progress],
    more: Sequence[str] = (),
) -> tuple[Store, ...]:
    """The prepared training and validation cases, in memory or on disk as the plan says.

    Args:
        place: the folder for packed data that the user named; then what fits memory is packed too.
        more: cases of the inspection that come in a third store, behind those of the training part.
    Raises:
        PlanError: the disk is too small. UsageError: a folder that cannot be used.
        ReadError: what is stored is damaged.
    """
    entry = plan.get("store") or {"half": False, "streamed": False}
    preparation = build_preparation(plan)
    if place is not None and not on_disk(inspection):
        rule = "only data read from files is packed"
        raise UsageError("--store", rule, "data given in Python", "Leave it out")
    cases = {case.id: case for case in inspection.cases}
    parts = [learnt_from(plan, cases, ids) for ids in (split.train, split.val)]
    parts += [more] if more else []
    if entry["streamed"]:
        parts[2:] = [[*parts[0], *more]] if more else []
    if entry["streamed"] or place is not None:
        stores = _packed(entry, inspection, parts, preparation, place, progress)
        built = [without_others(plan, one) for one in stores]
        return tuple(built) if entry["streamed"] else _third_behind_first(built)

    def build(part: Sequence[str]) -> Store:
        bar = progress("reading", len(part))
        built = store.build_store(
            lambda i: inspection.load(cases[i]), part, preparation,
            half=entry["half"], objects=bool(plan["task_fields"].get("instances")), tick=bar.update,
        )  # fmt: skip
        bar.close()
        return built

    return _third_behind_first([without_others(plan, build(part)) for part in parts])


def _third_behind_first(stores: Sequence[Store]) -> tuple[Store, ...]:
    """Stores in memory, a third one as what it adds to the first, of which nothing is copied."""
    first = stores[0]
    behind = (
        Store(
            ids=(*first.ids, *more.ids),
            units=(*first.units, *more.units),
            images=[*first.images, *more.images],
            targets=[*first.targets, *more.targets],
        )
        for more in stores[2:]
    )
    return (*stores[:2], *behind)


def _packed(
    entry: Mapping[str, Any],
    inspection: Inspection,
    parts: Sequence[Sequence[str]],
    preparation: Preparation,
    place: str | None,
    progress: Callable[[str, int], Progress],
) -> list[Store]:
    bar = progress("packing", len(inspection.cases))
    folder = store.packed_store(
        store.checked_place(place, Path(inspection.index.root)),
        store.Wanted(
            cases=inspection.cases, index=inspection.index, load=inspection.load,
            preparation=preparation, half=entry["half"],
        ),
        say=bar.say, tick=bar.update,
    )  # fmt: skip
    bar.close()
    ids = [case.id for case in inspection.cases]
    units = [inspection.units.get(i, i) for i in ids]
    whole = store.opened_store(folder, ids, units, range(len(ids)))
    where = {name: number for number, name in enumerate(ids)}
    stores = [whole.some([where[i] for i in part]) for part in parts]
    return stores if entry["streamed"] else [in_memory(one) for one in stores]


def in_memory(packed: Store) -> Store:
    """The same store, read at once."""
    every = list(range(len(packed)))
    if packed.alike and every:
        images: Any = _one_array(packed)
    else:
        images = [np.asarray(image) for image in packed.images]
    return replace(
        packed,
        images=images,
        targets=[np.asarray(t) for t in packed.targets] if packed.maps else packed.targets,
        places=[packed.places[i] for i in every] if packed.places else (),
    )


def _one_array(packed: Store) -> np.ndarray:
    first = packed.images[0]
    array = np.empty((len(packed), *first.shape), first.dtype)
    for start in range(0, len(packed), TOGETHER):
        some = range(start, min(start + TOGETHER, len(packed)))
        if first.nbytes * len(some) > PORTION:
            for case in some:
                array[case] = packed.images[case]
        else:
            array[some.start : some.stop] = packed.stacked(some)
    return array
