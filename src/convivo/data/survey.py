"""Reads a data set once, file by file, and keeps of each file only what the inspection asks for.

Headers first, then label maps, then the pixels that can be afforded. A damaged file ends nothing.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy import ndimage

from convivo.arrays.landmarks import Landmarks, landmarks
from convivo.arrays.thumbnails import binned, thumbnail
from convivo.data import sandbox
from convivo.data.labels import FEW_UNNAMED
from convivo.data.loading import label_map
from convivo.data.problems import problem
from convivo.data.readers import NATIVE_HEADERS, format_of, label_header, read, read_header
from convivo.data.readers.failures import TRUNCATION
from convivo.data.sample import Case, Header, Problem
from convivo.errors import ReadError, ShapeError

ALL_BYTES = 512 * 2**20  # decoded pixels that are read whole, however many cases they are
ALL_CASES = 2_000  # so many are read whole ...
ALL_CASES_BYTES = 16 * 2**30  # ... unless they are huge
SAMPLED = 512  # cases read of a larger set, spread evenly
GUARDED = frozenset(
    ("images", "tiff", "nifti", "dicom", "itk", "minc", "hdf5", "zarr", "matlab", "brainvision")
)
"""Formats with decoders of others, or compressed: read in child processes, within limits."""
FEW = 32  # items that one child process reads alone
CHUNK = 64  # cases per task of the thread pool: tiny cases would drown in its bookkeeping
COUNTED_AT_ONCE = 2**22  # label values, so that counting needs little memory beside the map
VALUES_TRIED = 32  # of a label map: are they connected?
THUMBNAIL = 64  # pixels a side

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, how many there are."""
Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What is kept of an image.

    digest: of shape, type and values. not_finite: how many numbers are not. constant: every channel
    is one value; flat: the channels of a signal that are. thumbnail: (h, w) where asked for.
    fingerprint, landmarks: what near duplicates, and recordings that overlap it, are known by.
    """

    digest: bytes = b""
    size: int = 0
    not_finite: int = 0
    constant: bool = False
    flat: tuple[int, ...] = ()
    thumbnail: np.ndarray | None = None
    fingerprint: np.ndarray | None = None
    landmarks: Landmarks | None = None
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """What is kept of a label map.

    counts: how often each stored value occurs. in_one_piece: where the values are 1, 2, ... and
    more than can be classes without names, the share of them whose positions are connected.
    """

    shape: tuple[int, ...] = ()
    counts: dict[int, int] = field(default_factory=dict)
    header: Header | None = None
    in_one_piece: float | None = None
    problem: Problem | None = None


def damaged(case_id: str, error: ReadError | ShapeError) -> Problem:
    """The problem `truncated` or `unreadable` for an error met in reading a case."""
    code = "truncated" if TRUNCATION.search(f"{error.rule} {error.got}") else "unreadable"
    message = f"{error.rule}; got {error.got} ({error.where})"
    return problem(code, case_id, message, f"{error.remedy}; until then the case is left out")


def read_headers(
    cases: Sequence[Case], progress: Progress | None = None
) -> tuple[list[Case], list[Problem]]:
    """The cases whose headers can be read, headers filled in, and the problems of the others.

    Several image files are channels of one case: their header is the first one's, channels added.
    """
    open_ones = [case for case in cases if case.header is None]
    contained = any(case.index is not None for case in open_ones)
    guard = guard_of(open_ones, NATIVE_HEADERS)
    looked = _each(
        _header, open_ones, "headers", progress, contained=contained, guard=guard, lost=_lost
    )
    found = {case.id: one for case, one in zip(open_ones, looked, strict=True)}
    ready, problems = [], []
    for case in cases:
        header = case.header or found[case.id]
        if isinstance(header, Problem):
            problems.append(header)
        else:
            ready.append(replace(case, header=header))
    return ready, problems


def read_maps(
    cases: Sequence[Case], progress: Progress | None = None, *, numbered: bool = False
) -> dict[str, LabelMap]:
    """Every label map of a segmentation, by case id.

    numbered: a mask file per object gives each a value of its own.
    """
    labelled = [(case, case.label) for case in cases if case.label is not None]
    contained = any(case.label_index is not None for case, _ in labelled)
    found = _each(
        partial(_label_map, numbered=numbered),
        labelled,
        "label maps",
        progress,
        contained=contained,
        guard=guard_of([case for case, _ in labelled], GUARDED),
        lost=_lost_map,
    )
    return {case.id: one for (case, _), one in zip(labelled, found, strict=True)}


def read_pixels(
    cases: Sequence[Case],
    *,
    thumbnails: bool = False,
    fingerprints: bool = True,
    progress: Progress | None = None,
) -> dict[str, Pixels]:
    """What the images hold, by case id; of a large set, of an evenly spread sample."""
    chosen = affordable(cases)
    look = partial(_pixels, small_too=thumbnails, known_too=fingerprints)
    contained = any(case.index is not None for case in chosen)
    guard = guard_of(chosen, GUARDED)
    found = _each(
        look, chosen, "images", progress, contained=contained, guard=guard, lost=_lost_pixels
    )
    return {case.id: one for case, one in zip(chosen, found, strict=True)}


def affordable(cases: Sequence[Case]) -> list[Case]:
    """All cases where reading them is quick, else 512 of them, evenly spread."""
    total = sum(decoded_bytes(case.header) for case in cases if case.header)
    few = len(cases) <= ALL_CASES and total <= ALL_CASES_BYTES
    if few or total <= ALL_BYTES or len(cases) <= SAMPLED:
        return list(cases)
    return [cases[i * len(cases) // SAMPLED] for i in range(SAMPLED)]


def decoded_bytes(header: Header) -> int:
    """Bytes of one item in memory, in its stored type."""
    try:
        itemsize = np.dtype(header.dtype).itemsize
    except TypeError:  # a name that only the format knows
        itemsize = 4
    return int(np.prod(header.shape, dtype=np.int64)) * header.channels * itemsize


def guard_of(cases: Sequence[Case], formats: frozenset[str]) -> bool:
    """Whether one of the cases has a file of these formats, which child processes must read."""
    paths = (path for case in cases for path in (*case.image, case.label) if path)
    return sandbox.possible() and any(format_of(path) in formats for path in paths)


def _each(
    work: Callable[[Item], Found],
    items: Sequence[Item],
    what: str,
    progress: Progress | None,
    *,
    contained: bool,
    guard: bool,
    lost: Callable[[Item, str], Found],
) -> list[Found]:
    """`work` on every item, results in order; files in parallel, items of a container in turn.

    A container is one stream: read out of order, a compressed one starts anew for every item.

    Args:
        guard: in child processes; `lost` stands for an item that kills its own.
    """
    size = max(1, min(CHUNK, len(items) // 16))
    if contained:
        size = max(1, len(items))
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    found: list[Found] = []
    threads = 1 if contained else min(8, os.cpu_count() or 1)
    if guard and len(items) < FEW:  # a second process would start while the first is done
        threads = 1

    def each(chunk: Sequence[Item]) -> Iterator[Found]:
        if guard:
            return sandbox.guarded(work, chunk, bytes_of=_bytes_of, lost=lost)
        return map(work, chunk)

    if threads == 1:
        for number, one in enumerate(each(items), 1):
            found.append(one)
            if progress and (number % CHUNK == 0 or number == len(items)):
                progress(what, number, len(items))
        return found
    with ThreadPoolExecutor(threads) as pool:
        for part in pool.map(lambda chunk: list(each(chunk)), chunks):
            found += part
            if progress:
                progress(what, len(found), len(items))
    return found


def _bytes_of(item: object) -> int:
    """What there is to read of a case (and its label map): its files, or its decoded values."""
    case = item[0] if isinstance(item, tuple) else item
    assert isinstance(case, Case)
    files = [Path(path) for path in (*case.image, case.label) if path]
    stored = sum(file.stat().st_size for file in files if file.is_file())
    return max(stored, decoded_bytes(case.header) if case.header else 0)


def _lost(case: Case, why: str) -> Problem:
    message = f"reading it ended the process that read it ({why})"
    remedy = "Replace the file or leave it out; until then the case is left out"
    return problem("unreadable", case.id, message, remedy)


def _lost_pixels(case: Case, why: str) -> Pixels:
    return Pixels(problem=_lost(case, why))


def _lost_map(of_case: tuple[Case, str], why: str) -> LabelMap:
    return LabelMap(problem=_lost(of_case[0], why))


def _header(case: Case) -> Header | Problem:
    try:
        headers = [read_header(path, case.index) for path in case.image]
    except ReadError as error:
        return damaged(case.id, error)
    channels = sum(header.channels for header in headers)
    return replace(headers[0], channels=channels)


def _label_map(of_case: tuple[Case, str], *, numbered: bool = False) -> LabelMap:
    case, path = of_case
    try:
        labels = label_map(case, path, numbered=numbered)
        placed = case.header is not None and case.header.affine is not None
        header = label_header(path, case.label_index) if placed else None
    except (ReadError, ShapeError) as error:
        return LabelMap(problem=damaged(case.id, error))
    counts = count_values(labels)
    many = not numbered and len(counts) > FEW_UNNAMED
    return LabelMap(
        shape=labels.shape, counts=counts, header=header,
        in_one_piece=_in_one_piece(labels, counts) if many else None,
    )  # fmt: skip


def _in_one_piece(labels: np.ndarray, counts: dict[int, int]) -> float | None:
    """Of values 1, 2, ... the share that is connected, corners too, in an even sample of them."""
    values = [value for value in counts if value]
    if values != list(range(1, len(values) + 1)):
        return None
    boxes = ndimage.find_objects(labels.astype(np.int32, copy=False))
    corners = np.ones((3,) * labels.ndim, bool)
    chosen = values[:: max(1, len(values) // VALUES_TRIED)]
    single = [ndimage.label(labels[boxes[v - 1]] == v, corners)[1] == 1 for v in chosen]
    return float(np.mean(single))


def count_values(labels: np.ndarray) -> dict[int, int]:
    """How often each value occurs.

    Example:
        >>> count_values(np.array([[0, 255, 255]], np.uint8))
        {0: 1, 255: 2}
    """
    flat, counts = labels.reshape(-1), {}
    for start in range(0, flat.size, COUNTED_AT_ONCE):
        part = flat[start : start + COUNTED_AT_ONCE]
        if part.min() >= 0 and part.max() < 2**16:  # far quicker than sorting
            every = np.bincount(part)
            values, numbers = np.flatnonzero(every), every[every > 0]
        else:
            values, numbers = np.unique(part, return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + number
    return dict(sorted(counts.items()))


def _pixels(case: Case, *, small_too: bool, known_too: bool = True) -> Pixels:
    """`small_too`: a thumbnail of one channel; `known_too`: what near duplicates are known by."""
    try:
        arrays = [read(path, case.index).array for path in case.image]
    except ReadError as error:
        return Pixels(problem=damaged(case.id, error))
    alike = len({array.shape[1:] for array in arrays}) == 1
    together = np.concatenate(arrays) if alike and len(arrays) > 1 else arrays[0]
    flat = np.concatenate([_flat(array) for array in arrays])
    small = shrink(arrays[0]) if small_too and arrays[0].ndim == 3 else None
    return Pixels(
        digest=_digest(arrays),
        size=sum(array.size for array in arrays),
        not_finite=sum(_not_finite(array) for array in arrays),
        constant=bool(flat.size) and bool(flat.all()),
        flat=tuple(np.flatnonzero(flat).tolist()) if arrays[0].ndim == 2 else (),
        thumbnail=small,
        fingerprint=thumbnail(together) if known_too else None,
        landmarks=landmarks(together) if known_too and together.ndim == 2 else None,
    )


def _digest(arrays: Iterable[np.ndarray]) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.digest()


def _not_finite(array: np.ndarray) -> int:
    if array.dtype.kind not in "fc":
        return 0
    return array.size - int(np.count_nonzero(np.isfinite(array)))


def _flat(array: np.ndarray) -> np.ndarray:
    """(C, *S) -> (C,): whether a channel is one value throughout."""
    rows = array.reshape(len(array), -1)
    return rows.min(axis=1) == rows.max(axis=1) if rows.shape[1] else np.zeros(len(array), bool)


def shrink(image: np.ndarray) -> np.ndarray:
    """(C, H, W) -> at most (64, 64) float32: means of blocks, channels averaged.

    Example:
        >>> shrink(np.ones((3, 128, 40))).shape
        (64, 40)
    """
    with np.errstate(invalid="ignore", over="ignore"):  # values that are not finite: seen elsewhere
        small = image.mean(axis=0, dtype=np.float32)
    for axis, size in enumerate(small.shape):
        small = binned(small, axis, min(size, THUMBNAIL))
    return small
