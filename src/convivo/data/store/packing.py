"""Source cases -> a packed store on disk, a few cases at a time: whole or not at all, resumable.

What is unfinished lies in a folder of its own, with a line for each block of cases that is done.
Whoever packs the same data next goes on from there.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convivo.arrays.preparation import Preparation
from convivo.data.numbered_maps import numbering
from convivo.data.sample import Case, Events, Index, Sample
from convivo.data.store import layout
from convivo.data.store.costs import packed_bytes, shape_of
from convivo.data.store.foreground import MOST_PLACES, class_places, places_format
from convivo.data.store.keys import Digests, store_key
from convivo.data.store.memory import as_kept, in_turn
from convivo.data.store.place import must_have_room, one_writer
from convivo.data.store.prepared import prepare_sample
from convivo.data.store.reading import is_complete
from convivo.data.store.series import zarr_group
from convivo.errors import DataError
from convivo.files import plain, write_json

WORKERS = 2
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be packed.

    load: a case, read; thread-safe. half: images in float16 (see `costs.in_half`).
    """

    cases: Sequence[Case]
    index: Index
    load: Callable[[Case], Sample]
    preparation: Preparation
    half: bool

    @property
    def maps(self) -> bool:
        return self.index.task == "segment"


def packed_store(
    place: Path,
    wanted: Wanted,
    *,
    say: Callable[[str], None] = lambda text: None,
    tick: Callable[[int], None] | None = None,
) -> Path:
    """The folder of the packed store of these cases in `place`, made unless it is there already.

    Two that pack the same data at once make it once: the second waits, and uses it.

    Args:
        tick: called with the number of cases done so far.
    Raises:
        PlanError: the disk is too small. What reading a case raises.
    """
    digests = Digests(place / "digests.json")
    key = store_key(
        wanted.cases, wanted.index, wanted.preparation, digests, half=wanted.half
    )  # fmt: skip
    digests.save()
    final, part = place / key, place / f".{key}.part"
    if is_complete(final):
        return final
    with one_writer(place / f".{key}.lock", say):
        if is_complete(final):  # made while we waited
            return final
        shutil.rmtree(final, ignore_errors=True)  # damaged: what is left of it is of no use
        shapes = [shape_of(case, wanted.preparation) for case in wanted.cases]
        classes = len(wanted.index.classes)
        size = packed_bytes(shapes, maps=wanted.maps, half=wanted.half, classes=classes)
        must_have_room(place, size - _bytes_in(part))
        say(f"packing {len(shapes)} cases, at most {size / 2**20:,.0f} MiB, into {place}")
        _Writer(part, wanted, shapes).run(tick)
        part.replace(final)
    return final


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class _Writer:
    """The unfinished store in `part`."""

    def __init__(self, part: Path, wanted: Wanted, shapes: Sequence[Shape]) -> None:
        self.part, self.wanted, self.shapes = part, wanted, shapes
        self.image_format = np.dtype(np.float16 if wanted.half else np.float32)
        few = np.uint8 if len(wanted.index.classes) <= 256 else np.int16
        self.objects = numbering(wanted.index) is not None
        self.label_format = np.dtype(np.int32 if self.objects else few)
        self.alike = len(set(shapes)) == 1
        self.done = _lines(part)
        if not self.done:
            shutil.rmtree(part, ignore_errors=True)
        self.group: Any = zarr_group(part / layout.ARRAYS, "a")
        if not self.done:
            self._prepare()
        self.places: Any = self.group["places"] if wanted.maps else None

    def run(self, tick: Callable[[int], None] | None) -> None:
        """Pack what is not packed yet, and say that it is whole."""
        first = sum(len(line["cases"]) for line in self.done)
        open_ones = self.wanted.cases[first:]
        rows = in_turn(self._one, range(first, len(self.wanted.cases)), WORKERS)
        with (self.part / layout.CASES).open("a", encoding="utf-8") as journal:
            for block in _blocks(rows, self._together(), len(open_ones)):
                line = {"first": first, "cases": self._write(first, block)}
                journal.write(json.dumps(plain(line)) + "\n")
                journal.flush()
                first += len(block)
                if tick is not None:
                    tick(first)
        files = {str(p.relative_to(self.part)): p.stat().st_size for p in _files(self.part)}
        facts = {"form": layout.FORM, "alike": self.alike, "cases": len(self.shapes)}
        write_json(self.part / layout.COMPLETE, facts | {"files": files})

    def _one(self, number: int) -> tuple[np.ndarray, Any]:
        case = self.wanted.cases[number]
        image, _, target = prepare_sample(self.wanted.load(case), self.wanted.preparation)
        if image.shape != self.shapes[number]:
            rule = f"a file holds what its header tells, {self.shapes[number]} once prepared"
            raise DataError(case.id, rule, image.shape, "Repair the file, or leave the case out")
        return as_kept(image, self.wanted.half), target

    def _together(self) -> int:
        if not self.alike:
            return 1
        channels, *size = self.shapes[0]
        return layout.together(channels, size, self.image_format.itemsize)

    def _prepare(self) -> None:
        """The arrays that all cases share."""
        cases = len(self.shapes)
        if self.alike:
            channels, *size = self.shapes[0]
            several = self._together()
            make = partial(self._array, lead=(cases,), chunk=(1,), shard=(several,), size=size)
            make("images", inner=(channels,), dtype=self.image_format)
            if self.wanted.maps:
                make("labels", inner=(), dtype=self.label_format)
        if self.wanted.maps:
            classes = max(1, len(self.wanted.index.classes) - 1)
            largest = max(int(np.prod(shape[1:])) for shape in self.shapes)
            most = min(MOST_PLACES, largest)
            self.group.create_array(
                "places", shape=(cases, classes, most), chunks=(1, classes, most),
                dtype=places_format(largest), compressors=_codecs(labels=True),
            )  # fmt: skip

    def _array(
        self, name: str, *, lead: Shape, chunk: Shape, shard: Shape, inner: Shape,
        size: Sequence[int], dtype: np.dtype,
    ) -> Any:  # fmt: skip
        return self.group.create_array(
            name,
            shape=(*lead, *inner, *size),
            chunks=(*chunk, *inner, *layout.chunk_of(size)),
            shards=(*shard, *inner, *layout.shard_of(inner, size, dtype.itemsize)),
            dtype=dtype,
            compressors=_codecs(labels=not inner, itemsize=dtype.itemsize),
        )

    def _write(self, first: int, block: Sequence[tuple[np.ndarray, Any]]) -> list[dict[str, Any]]:
        """The arrays of a block of cases; what else there is to say of each."""
        self._put("images", first, [image for image, _ in block], self.image_format)
        if self.wanted.maps:
            maps = [np.asarray(target, self.label_format) for _, target in block]
            self._put("labels", first, maps, self.label_format)
        return [self._row(first + i, *pair) for i, pair in enumerate(block)]

    def _put(self, name: str, first: int, arrays: Sequence[np.ndarray], dtype: np.dtype) -> None:
        if self.alike and len(arrays) > 1:
            self.group[name][first : first + len(arrays)] = np.stack(arrays)
            return
        axis = arrays[0].ndim - len(self.shapes[0]) + 1  # the first spatial one
        size, inner = arrays[0].shape[axis:], arrays[0].shape[:axis]
        lead: tuple[Any, ...] = (first,) if self.alike else ()
        array = self.group[name] if self.alike else self._array(
            f"{name}/{first}", lead=(), chunk=(), shard=(), inner=inner, size=size, dtype=dtype
        )  # fmt: skip
        rows = layout.shard_rows(int(np.prod(inner)), size, dtype.itemsize)
        for start in range(0, size[0], rows):  # a shard at a time: it is encoded whole
            cut = (*[slice(None)] * axis, slice(start, start + rows))
            array[(*lead, *cut)] = arrays[0][cut]

    def _row(self, number: int, image: np.ndarray, target: Any) -> dict[str, Any]:
        row: dict[str, Any] = {"shape": list(image.shape)}
        if isinstance(target, Events):
            arrays = {"positions": target.positions, "labels": target.labels}
            stored = {} if target.stored is None else {"stored": target.stored}
            row["events"] = arrays | stored
        elif self.wanted.maps:
            found = class_places(np.asarray(target) > 0 if self.objects else np.asarray(target))
            row["places"] = {value: len(where) for value, where in found.items()}
            rows = np.zeros(self.places.shape[1:], self.places.dtype)
            for value, where in found.items():
                rows[value - 1, : len(where)] = where
            self.places[number] = rows
        else:
            row["target"] = target
        return row


def _codecs(*, labels: bool, itemsize: int = 1) -> list[Any]:
    """Label maps shrink much, grey values little: those are only squeezed as fast as memory."""
    from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec, ZstdCodec

    if labels:
        return [ZstdCodec(level=1), Crc32cCodec()]
    shuffle = BloscShuffle.shuffle
    blosc = BloscCodec(cname="lz4", clevel=1, shuffle=shuffle, typesize=itemsize)
    return [blosc, Crc32cCodec()]


def _blocks(rows: Iterator[Any], size: int, total: int) -> Iterator[list[Any]]:
    for start in range(0, total, size):
        yield [next(rows) for _ in range(min(size, total - start))]


def _lines(part: Path) -> list[Mapping[str, Any]]:
    """Blocks that an earlier writer finished; a line that it did not finish is cut off."""
    path, found, good = part / layout.CASES, [], 0
    if not path.exists():
        return []
    text = path.read_bytes()
    for line in text.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        found.append(json.loads(line))
        good += len(line)
    if good < len(text):
        os.truncate(path, good)
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
