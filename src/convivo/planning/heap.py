"""What the C library makes of blocks that come and go: the pages that stay resident.

Freed memory is not given back at once, and holes are refilled with what is smaller. glibc's rules
are few and deterministic, so they are played through here, one allocation after the other.
"""

from bisect import bisect_left, insort
from collections import deque

KIB, PAGE = 2**10, 2**12
FIRST_THRESHOLD = 128 * KIB  # larger blocks get pages of their own
LAST_THRESHOLD = 32 * 2**20  # where the threshold, which follows what is freed, stops
TOP_PAD = 128 * KIB  # asked for beyond the need, and kept when the rest is given back
HEADER, UNIT, SMALLEST = 8, 16, 32
CUT = 96  # torch's tensors lie at multiples of 64: glibc asks for more and cuts both ends off
# The ends serve for small objects, and a hole of the same size again is too small as long as they
# do. How many blocks are freed meanwhile is the middle of what predictions do; `taken_again` tells
# what it costs where an end is never given back.
CUT_STAYS = 2

Block = tuple[int | None, int]


class Heap:
    """glibc's malloc (2.26 to 2.41), as far as large blocks are concerned.

    The smallest hole that is large enough is taken; neighbouring holes are joined; what lies at the
    top goes back to the system past a threshold. Blocks over a threshold, which the largest one
    freed so far sets, are mapped on their own and go back when freed.

    Args:
        keeps: as `training.allocator.keep_memory` asks: nothing mapped, nothing given back.
        stays: blocks that are freed before the end of one serves again.
    Source: glibc, malloc/malloc.c (`_int_malloc`, `sysmalloc`, `munmap_chunk`, `systrim`).
    Differs: the small bins, per-thread caches and arenas of other threads are left out.
    """

    def __init__(self, *, keeps: bool, stays: int = CUT_STAYS) -> None:
        self.keeps, self.stays = keeps, stays
        self.peak = 0
        self._threshold = self._trim = FIRST_THRESHOLD
        self._top = self._end = 0  # of what is in use, of what the system has given
        self._touched = 0  # the highest resident address
        self._mapped = 0
        self._holes: list[tuple[int, int]] = []  # (size, start), by size
        self._by_start: dict[int, int] = {}
        self._by_end: dict[int, int] = {}
        self._cuts: deque[int] = deque()  # where ends lie that are still in use
        self._open: dict[int, None] = {}  # blocks whose end is free, by start
        self._pinned: set[int] = set()  # blocks whose end will never be given back

    @property
    def resident(self) -> int:
        """Bytes of pages that have been written and not given back."""
        return self._touched + self._mapped

    def take(self, count: int, unwritten: int = 0) -> Block:
        """Allocate `count` bytes and fill them, but for the last `unwritten`."""
        size = -(-(count + HEADER) // UNIT) * UNIT + CUT
        place = bisect_left(self._holes, (size, -1))
        if place < len(self._holes):
            return self._from_hole(*self._holes[place], size)
        if self._end - self._top < size + SMALLEST:
            if not self.keeps and size >= self._threshold:
                pages = _pages(size + HEADER - unwritten)
                self._mapped += pages
                self.peak = max(self.peak, self.resident)
                return None, pages
            self._end = _pages(self._top + size + TOP_PAD + SMALLEST)
        start, self._top = self._top, self._top + size
        self._open[start] = None
        self._touched = max(self._touched, self._top - unwritten)
        self.peak = max(self.peak, self.resident)
        return start, size

    def give(self, block: Block) -> None:
        """Free what `take` returned."""
        start, size = block
        if start is None:
            self._mapped -= size
            if self._threshold < size <= LAST_THRESHOLD:
                self._threshold, self._trim = size, 2 * size
            return
        self._open.pop(start, None)
        self._join(start, size - CUT)
        if start in self._pinned:
            self._pinned.remove(start)
            return
        self._cuts.append(start + size - CUT)
        if len(self._cuts) > self.stays:
            self._join(self._cuts.popleft(), CUT)

    def pin(self, count: int) -> None:
        """Small objects that stay for good take as many ends: of freed blocks, then of new ones."""
        for _ in range(count):
            if self._cuts:
                self._cuts.popleft()
            elif self._open:
                start, _ = self._open.popitem()
                self._pinned.add(start)

    def _join(self, start: int, size: int) -> None:
        """A new hole, one with those beside it or with the top."""
        if start in self._by_end:
            before = self._by_end[start]
            start, size = before, size + self._drop(before)
        if start + size in self._by_start:
            size += self._drop(start + size)
        if start + size < self._top:
            self._add(start, size)
            return
        self._top = start
        if not self.keeps and self._end - self._top >= self._trim:
            self._end = _pages(self._top + TOP_PAD)
            self._touched = min(self._touched, self._end)

    def _from_hole(self, hole: int, start: int, size: int) -> Block:
        self._drop(start)
        self._open[start] = None
        if hole - size < SMALLEST:
            return start, hole
        self._add(start + size, hole - size)
        return start, size

    def _add(self, start: int, size: int) -> None:
        insort(self._holes, (size, start))
        self._by_start[start] = size
        self._by_end[start + size] = start

    def _drop(self, start: int) -> int:
        size = self._by_start.pop(start)
        del self._by_end[start + size]
        del self._holes[bisect_left(self._holes, (size, start))]
        return size


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE
