"""What the C library does with freed memory: keep it for the next step, or return it at once.

glibc hands each large block back to the kernel and asks for it again, page fault by page fault;
a training step on CPU spends a third of its time there. Keeping it costs up to a few hundred MiB.
"""

import ctypes
import sys
from collections.abc import Callable

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
MOST_MAPPED = 65_536  # blocks that may have pages of their own: glibc's default
SMALL = 128 * 2**10  # larger blocks have pages of their own, and go back when freed
_asked = {"keep": False}  # what was asked of the C library last


def set_allocator(name: str) -> bool:
    """Ask glibc to "keep" what it gets, or to "return" it; True where that worked."""
    return keep_memory() if name == "keep" else return_memory()


def keep_memory() -> bool:
    """Ask glibc to keep what it gets; True where that worked. Call before torch allocates."""
    mallopt = _mallopt()
    if mallopt is None:
        return False
    _asked["keep"] = bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
    return _asked["keep"]


def return_memory() -> bool:
    """Ask glibc to give freed blocks back at once, whatever their size was before.

    What was freed among blocks that stay goes back now, page by page.
    """
    mallopt = _mallopt()
    if mallopt is None:
        return False
    _asked["keep"] = False
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    wishes = (M_MMAP_MAX, MOST_MAPPED), (M_MMAP_THRESHOLD, SMALL), (M_TRIM_THRESHOLD, SMALL)
    return all(bool(mallopt(key, value)) for key, value in wishes)


def keeps_memory() -> bool:
    """Whether it was asked to keep memory, and not to return it since."""
    return _asked["keep"]


def _mallopt() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return None
