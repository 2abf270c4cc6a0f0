"""Arrays on disk that read like arrays: only the chunks that a slice touches are decoded.

What is read is checked against the checksums that were packed with it.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from convivo.errors import ReadError

SMALL = 4 * 2**20  # bytes of a case that is read whole, once, and kept for a while
AT_ONCE = 2**18  # bytes of a case of which many are read in one go
THREADS, AT_A_TIME = 2, 4  # that decode chunks, and chunks on their way: each takes memory
RECENT = 64 * 2**20  # bytes of such cases that are kept


def zarr_group(path: Path, mode: Literal["r", "a"]) -> Any:
    """A Zarr group of version 3, with few threads to it unless the user has settled their number.

    Each thread keeps a heap of its own, and beside a training there are no idle cores.
    """
    import zarr

    if zarr.config.get("threading.max_workers") is None:
        zarr.config.set({"threading.max_workers": THREADS, "async.concurrency": AT_A_TIME})
    return zarr.open_group(path, mode=mode, zarr_format=3)


class Recent:
    """The arrays used last, up to a number of bytes; for several threads."""

    def __init__(self, most: int = RECENT) -> None:
        self.most, self.bytes = most, 0
        self._kept: OrderedDict[object, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, read: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of a key, read where it is not there any more."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        array = read()
        array.flags.writeable = False  # it is handed out more than once
        with self._lock:
            if key not in self._kept and array.nbytes <= self.most:
                self._kept[key] = array
                self.bytes += array.nbytes
            while self.bytes > self.most:
                self.bytes -= self._kept.popitem(last=False)[1].nbytes
        return array


class Piecewise:
    """One case's array (C, *S) or (*S), read when it is indexed.

    Args:
        shape, dtype: of the whole. read: slices, one per axis -> that part. recent: keeps small
            arrays, under `key`.
    """

    def __init__(
        self, shape: Sequence[int], dtype: np.dtype, read: Callable[[tuple], np.ndarray],
        recent: Recent, key: object,
    ) -> None:  # fmt: skip
        self.shape, self.dtype = tuple(shape), dtype
        self._read, self._recent, self._key = read, recent, key

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """NumPy's basic indexing. Raises ReadError: what is stored is damaged."""
        if self.nbytes <= SMALL:
            return self._recent.get(self._key, self._whole)[key]
        slices, rest = _split(key, self.shape)
        return self._read(slices)[rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self[...]
        if dtype is not None and dtype != array.dtype:
            return array.astype(dtype)
        return array if array.flags.writeable and not copy else array.copy()

    def _whole(self) -> np.ndarray:
        return self._read(tuple(slice(0, n) for n in self.shape))


def _split(key: Any, shape: Sequence[int]) -> tuple[tuple, tuple]:
    """Slices that cover what is asked for, and what then remains to be picked from them."""
    given = key if isinstance(key, tuple) else (key,)
    if Ellipsis in given:
        at = given.index(Ellipsis)
        missing = len(shape) - len(given) + 1
        given = (*given[:at], *[slice(None)] * missing, *given[at + 1 :])
    given += (slice(None),) * (len(shape) - len(given))
    slices, rest = [], []
    for one, size in zip(given, shape, strict=True):
        if isinstance(one, slice):
            places = range(size)[one]
            low, high = (min(places), max(places) + 1) if places else (0, 0)
            slices.append(slice(low, high))
            rest.append(slice(None) if places.step == 1 else slice(None, None, places.step))
        else:
            place = range(size)[int(one)]
            slices.append(slice(place, place + 1))
            rest.append(0)
    return tuple(slices), tuple(rest)


class Series(Sequence):
    """Cases of a packed store, each `Piecewise`.

    Args:
        name: the folder, for messages. shapes: of the cases in this series. numbers: their places
            in the store. dtype: theirs. array: place in the store -> the Zarr array that holds it.
        alike: all cases are rows of one array.
    """

    def __init__(
        self, name: str, shapes: Sequence[tuple[int, ...]], numbers: Sequence[int], dtype: np.dtype,
        array: Callable[[int], Any], *, alike: bool, recent: Recent,
    ) -> None:  # fmt: skip
        self.name, self.shapes, self.numbers, self.dtype = name, shapes, numbers, dtype
        self.array, self.alike, self.recent = array, alike, recent

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, case: Any) -> Any:
        """A case as `Piecewise`; a list of cases of one shape as an array (n, ...)."""
        if isinstance(case, list):
            return self._several(case)
        number = self.numbers[int(case)]

        def read(slices: tuple) -> np.ndarray:
            key = (number, *slices) if self.alike else slices
            return self._checked(lambda: self.array(number)[key])

        return Piecewise(self.shapes[number], self.dtype, read, self.recent, (id(self), number))

    def _several(self, cases: list[int]) -> np.ndarray:
        """Cases of one shape. Many small ones are quicker read at once than one by one."""
        if not cases or self[cases[0]].nbytes > AT_ONCE or not self.alike:
            return np.stack([np.asarray(self[case]) for case in cases])
        numbers, back = np.unique([self.numbers[i] for i in cases], return_inverse=True)
        rest = (slice(None),) * len(self.shapes[0])
        return self._checked(lambda: self.array(0).oindex[(numbers, *rest)])[back]

    def some(self, cases: Sequence[int]) -> "Series":
        """The series of these cases alone."""
        return Series(
            self.name, self.shapes, [self.numbers[i] for i in cases], self.dtype, self.array,
            alike=self.alike, recent=self.recent,
        )  # fmt: skip

    def _checked(self, read: Callable[[], Any]) -> np.ndarray:
        try:
            return np.ascontiguousarray(read())
        except MemoryError:
            raise
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            rule, remedy = "packed data agrees with its checksums", "Delete it: it is packed anew"
            raise ReadError(self.name, rule, str(error).splitlines()[0][:200], remedy) from None
