"""Many items of one shape in one file (.npz member, IDX): read one at a time, whatever the size.

A compressed file of megabytes can unfold to gigabytes. Small stacks are held; of large ones only
the stream is open, so that items read in order cost one pass and one item of memory.
"""

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from convivo.data.readers.failures import truncated
from convivo.data.sample import Header
from convivo.errors import ReadError

HELD_BYTES = 512 * 2**20


class Stack:
    """Items one after another in a stream that can be opened again at will.

    Args:
        path: the file, for messages.
        open_stream: opens the (decompressed) bytes; called again after a fork.
        offset: bytes before the first item.
        shape: (n, *S) or (n, *S, C); (n,) for labels.
        fortran: the items are interleaved (first index fastest), so all are held.
    """

    def __init__(
        self,
        path: Path,
        open_stream: Callable[[], BinaryIO],
        *,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype,
        fortran: bool = False,
    ) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self._order: Literal["C", "F"] = "F" if fortran else "C"
        self._open, self._offset = open_stream, offset
        self._item_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._lock = threading.Lock()
        self._held: np.ndarray | None = None
        self._stream: BinaryIO | None = None
        self._process = 0

    def __len__(self) -> int:
        return self.shape[0]

    def item(self, index: int) -> np.ndarray:
        """Item `index` as an array of its own, native byte order.

        Raises:
            ReadError: no such item, or the file ends before it.
        """
        if not 0 <= index < len(self):
            rule = f"items are numbered 0 to {len(self) - 1}"
            raise ReadError(self.path, rule, index, "Choose an item that exists")
        if self._order == "F" or self._item_bytes * len(self) <= HELD_BYTES:
            return self.array()[index].copy()
        with self._lock:
            stream = self._own_stream()
            stream.seek(self._offset + index * self._item_bytes)
            data = stream.read(self._item_bytes)
        return self._decode(data, self.shape[1:])

    def array(self) -> np.ndarray:
        """All items (n, ...), held from the first call on. For labels and small stacks."""
        with self._lock:
            if self._held is None:
                with self._open() as stream:
                    stream.seek(self._offset)
                    data = stream.read(self._item_bytes * len(self))
                    self._held = self._decode(data, self.shape)
                    # reading to the end makes gzip and zip verify their checksums
                    self._refuse_rest(stream.read(1))
            return self._held

    def close(self) -> None:
        """Close the stream that reading left open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __del__(self) -> None:
        self.close()

    def _own_stream(self) -> BinaryIO:
        # a forked process shares the file offset with its parent: it must open its own
        if self._stream is None or self._process != os.getpid():
            self._stream, self._process = self._open(), os.getpid()
        return self._stream

    def _decode(self, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
        if len(data) != math.prod(shape) * self.dtype.itemsize:
            raise truncated(self.path, f"{len(data)} bytes for shape {shape} of {self.dtype}")
        native = self.dtype.newbyteorder("=")
        return np.frombuffer(data, self.dtype).reshape(shape, order=self._order).astype(native)

    def _refuse_rest(self, rest: bytes) -> None:
        if rest:
            self._held = None
            rule = f"the data end after shape {self.shape} of {self.dtype}"
            raise ReadError(self.path, rule, "more bytes", "Replace the file")


def stamp(path: Path) -> tuple[str, int, int]:
    """Path, modification time and size: the key under which an opened container is kept."""
    state = os.stat(path)  # noqa: PTH116 - called for every item of a data set
    return os.fspath(path), state.st_mtime_ns, state.st_size


def item_header(shape: tuple[int, ...], dtype: np.dtype, *, count: int = 1) -> Header:
    """The header of an unnamed array item (C, *S): axes by number of dimensions, no spacing.

    Example:
        >>> item_header((1, 28, 28), np.dtype("uint8")).axes
        'YX'
    """
    spatial = shape[1:]
    return Header(
        shape=tuple(int(n) for n in spatial),
        channels=int(shape[0]),
        dtype=dtype.newbyteorder("=").name,
        axes=("T", "YX", "ZYX")[len(spatial) - 1],
        spacing_unit="samples" if len(spatial) == 1 else "px",
        count=count,
    )
