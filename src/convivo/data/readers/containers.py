"""Many items of one shape in one file (.npz member, IDX): read one at a time, whatever the size.

A compressed file of megabytes can unfold to gigabytes. Small stacks are held, together no more than
a budget; of others only the stream is open, so that items read in order cost one pass and one item
of memory.
"""

import math
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from convivo.data.readers.failures import truncated
from convivo.data.sample import Header
from convivo.errors import ReadError

HELD_BYTES = 512 * 2**20


class Shelf:
    """The stacks that are held, of all files together; room is made by those used longest ago."""

    def __init__(self, most: int = HELD_BYTES) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._stacks: list[weakref.ref[Stack]] = []

    def takes(self, stack: "Stack") -> bool:
        """Whether a stack may be held; it is then the one used last."""
        if stack.nbytes > self.most:
            return False
        with self._lock:
            there = [other for ref in self._stacks if (other := ref()) is not None]
            others = [other for other in there if other is not stack]
            while others and sum(one.nbytes for one in others) > self.most - stack.nbytes:
                others.pop(0).let_go()
            self._stacks = [weakref.ref(one) for one in (*others, stack)]
        return True

    def clear(self) -> None:
        """Hold nothing; what is read again later is held again."""
        with self._lock:
            for ref in self._stacks:
                if (stack := ref()) is not None:
                    stack.let_go()
            self._stacks = []


shelf = Shelf()


def hold_at_most(count: int) -> None:
    """From now on so many bytes of stacks are held, or fewer: for who reads items in order."""
    shelf.most = min(HELD_BYTES, count)


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
        if shelf.takes(self) or self._order == "F":
            return self.array()[index].copy()
        with self._lock:
            stream = self._own_stream()
            stream.seek(self._offset + index * self._item_bytes)
            return self._decode(stream, self.shape[1:])

    def array(self) -> np.ndarray:
        """All items (n, ...), held from the first call on. For labels and small stacks."""
        with self._lock:
            held = self._held
            if held is None:
                with self._open() as stream:
                    stream.seek(self._offset)
                    held = self._decode(stream, self.shape)
                    # reading to the end makes gzip and zip verify their checksums
                    self._refuse_rest(stream.read(1))
                self._held = held
            return held

    @property
    def nbytes(self) -> int:
        """Bytes of all items."""
        return self._item_bytes * len(self)

    def let_go(self) -> None:
        """Hold the items no longer."""
        self._held = None

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

    def _decode(self, stream: BinaryIO, shape: tuple[int, ...]) -> np.ndarray:
        """The next values of a stream, read to where they stay."""
        data = np.empty(math.prod(shape) * self.dtype.itemsize, np.uint8)
        got, view = 0, data.data
        while got < len(data) and (more := stream.readinto(view[got:])):  # type: ignore[attr-defined]
            got += more
        if got < len(data):
            raise truncated(self.path, f"{got} bytes for shape {shape} of {self.dtype}")
        native = self.dtype.newbyteorder("=")
        values = data.view(self.dtype).reshape(shape, order=self._order)
        return values.astype(native, copy=False)

    def _refuse_rest(self, rest: bytes) -> None:
        if rest:
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
