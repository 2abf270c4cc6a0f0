"""Memory past the limit is refused to a running training, so that its step can be taken milder.

A memory group ends who takes too much, unasked. A limit of the process's own data just below makes
the allocation fail instead, which the loop hears and answers (`easing`).
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]

STATUS = Path("/proc/self/status")
FIELDS = re.compile(r"^(VmData|RssAnon):\s+(\d+) kB", re.MULTILINE)
STACK = 8 * 2**20  # of each thread to come: counted when it starts, hardly used


@contextmanager
def refused_past(limit: int | None) -> Iterator[None]:
    """Within, memory of this process past `limit` is refused: a MemoryError, or torch's error.

    Counted is what may be written, used or not; what is reserved but unused now stays free. Where
    the system does not tell or does not limit, nothing happens; a tighter limit stays.

    Args:
        limit: bytes of private pages; None for no end.
    """
    if limit is None or _as_data(limit) is None or resource is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    _limits.append((limit, soft, hard))
    renew()
    try:
        yield
    finally:
        _limits.pop()
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


_limits: list[tuple[int, int, int]] = []  # bytes of pages; the soft and hard limit before


def renew() -> None:
    """Count again what is reserved but unused, once pages have gone back to the system.

    The heap's addresses stay when its pages go, and would be counted as if they were used.
    """
    most = _as_data(_limits[-1][0]) if _limits else None
    if most is not None and resource is not None:
        _, soft, hard = _limits[-1]
        known = [n for n in (most, soft, hard) if n != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min(known), hard))


def _as_data(limit: int) -> int | None:
    """The limit as the system counts data: what is unused now, and threads to come, beside it."""
    try:
        text = STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = {name: int(count) * 1024 for name, count in FIELDS.findall(text)}
    if len(found) < 2:
        return None
    unused = max(0, found["VmData"] - found["RssAnon"])
    return limit + unused + STACK * 2 * (os.cpu_count() or 1)
