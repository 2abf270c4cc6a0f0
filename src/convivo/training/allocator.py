"""Keep freed memory in the process: large tensors come back every step.

glibc hands each large block back to the kernel and asks for it again, page fault by page fault;
a training step on CPU spends a third of its time there. Costs up to a few hundred MiB.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_memory() -> bool:
    """Ask glibc to keep what it gets; True where that worked. Call before torch allocates."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
