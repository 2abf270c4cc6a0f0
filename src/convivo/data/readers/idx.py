"""IDX files, the format of MNIST, plain or gzipped: one magic number, sizes, then the items."""

import gzip
import math
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from convivo.data.readers.containers import Stack, item_header, stamp
from convivo.data.readers.failures import truncated
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES = (
    *(f"idx{n}-ubyte" for n in (1, 2, 3, 4)),
    *(f"idx{n}-ubyte.gz" for n in (1, 2, 3, 4)),
    ".idx",
    ".idx.gz",
)
DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def header(path: Path, index: int | None = None) -> Header:
    """The header that all items share. Raises ReadError."""
    stack = _stack(*stamp(path))
    _check_items(stack)
    return _header(stack.shape, stack.dtype)


def read(path: Path, index: int | None = None) -> Raw:
    """Item `index` as (1, *S). Raises ReadError."""
    stack = _stack(*stamp(path))
    _check_items(stack)
    if index is None:
        got, remedy = f"{len(stack)} items, none chosen", "Say which one (FILE#INDEX)"
        raise ReadError(path, "an IDX file holds many items", got, remedy)
    return Raw(array=stack.item(index)[np.newaxis], header=_header(stack.shape, stack.dtype))


def values(path: Path) -> np.ndarray:
    """The whole array of a file, as for the labels of a data set. Raises ReadError."""
    return _stack(*stamp(path)).array()


@lru_cache(maxsize=64)
def _header(shape: tuple[int, ...], dtype: np.dtype) -> Header:
    return item_header((1, *shape[1:]), dtype, count=shape[0])


def _check_items(stack: Stack) -> None:
    if not 1 <= len(stack.shape) - 1 <= 3:
        rule = "an IDX item has one to three axes"
        raise ReadError(stack.path, rule, f"sizes {stack.shape}", "Choose the images' file")


@lru_cache(maxsize=4)
def _stack(name: str, modified: int, size: int) -> Stack:
    path = Path(name)
    opener = _opener(path)
    with opener() as stream:
        start = stream.read(4)
        if len(start) < 4:
            raise truncated(path, f"{len(start)} bytes")
        _check_magic(path, start)
        sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise truncated(path, f"{4 + len(sizes)} bytes")
    shape, dtype = struct.unpack(f">{start[3]}I", sizes), np.dtype(DTYPES[start[2]])
    offset = 4 + len(sizes)
    _check_size(path, offset + math.prod(shape) * dtype.itemsize, size)
    return Stack(path, opener, offset=offset, shape=shape, dtype=dtype)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    if path.name.lower().endswith(".gz"):
        return lambda: cast(BinaryIO, gzip.open(path, "rb"))
    return lambda: path.open("rb")


def _check_magic(path: Path, start: bytes) -> None:
    if start[:2] != b"\0\0" or start[2] not in DTYPES or start[3] == 0:
        rule = "an IDX file starts with 0, 0, a type code and a number of axes"
        raise ReadError(path, rule, start.hex(" "), "Replace the file")


def _check_size(path: Path, needed: int, held: int) -> None:
    if path.name.lower().endswith(".gz"):
        held *= 1040  # deflate shrinks at most 1032 times
        if held >= needed:
            return
    if held < needed:
        raise truncated(path, f"a file too short for the {needed} bytes its header promises")
    if held > needed:
        got = f"{held} bytes"
        raise ReadError(path, f"the header promises {needed} bytes", got, "Replace the file")
