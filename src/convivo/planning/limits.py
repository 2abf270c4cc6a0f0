"""The memory that the machine grants this process, whoever set the limit: a cap by default.

Totals, not what happens to be free, so that the same command plans the same twice.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]

MIB = 2**20
STEP = 16 * MIB  # limits are rounded down to it: a few pages more or less change no plan
PHYSICAL_SHARE = 0.9  # the rest is the system's and others'
GROUP_SHARE = 0.97  # a group's limit counts pages of mapped files and the kernel's tables too
# Of address space, what the threads of a run will still reserve without touching it: stacks.
THREADS_TO_COME, STACK = 8, 8 * MIB
GROUP = "the memory group"
UNLIMITED = 2**60  # a group without a limit says a huge number, or "max"
STATUS = re.compile(r"^(VmSize|VmData|RssAnon|RssShmem):\s+(\d+) kB", re.MULTILINE)


def memory_limit() -> int | None:
    """Bytes of private and shared pages that this process may hold in all; None where untold.

    The smallest of what the memory groups (cgroup version 1 and 2, and the groups above) allow,
    what RLIMIT_AS and RLIMIT_DATA leave once address space that is reserved but not used is taken
    off, and nine tenths of the machine's memory. Asked after torch is imported and its threads
    are set, since mapped libraries count as address space.
    """
    found = [limit for _, limit in memory_limits()]
    return min(found) if found else None


def limit_source() -> str:
    """Who sets the limit of `memory_limit`, in words; empty where nobody does."""
    found = memory_limits()
    return min(found, key=lambda row: row[1])[0] if found else ""


def killing_limit() -> int | None:
    """The limit at which the system ends this process unasked: of its memory group."""
    found = [limit for name, limit in memory_limits() if name == GROUP]
    return min(found) if found else None


def memory_limits(root: Path = Path("/")) -> list[tuple[str, int]]:
    """Every limit there is: who sets it, and the bytes that it leaves.

    Args:
        root: where /proc and /sys lie.
    """
    rows: list[tuple[str, float]] = [("the machine", total * PHYSICAL_SHARE) for total in _total()]
    rows += [(GROUP, limit * GROUP_SHARE) for limit in _groups(root)]
    status = _status(root)
    held = status.get("RssAnon", 0) + status.get("RssShmem", 0)
    for name, counted in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        limit = _soft_limit(name)
        if limit is not None:
            unused = max(0, status.get(counted, held) - held)
            rows.append((name, limit - unused - THREADS_TO_COME * STACK))
    return [(name, max(0, int(count) // STEP * STEP)) for name, count in rows]


def _total() -> Iterator[int]:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return
    if total > 0:
        yield total


def _soft_limit(name: str) -> int | None:
    number = getattr(resource, name, None)
    if resource is None or number is None:
        return None
    soft, _ = resource.getrlimit(number)
    return None if soft in {resource.RLIM_INFINITY, -1} else soft


def _groups(root: Path) -> Iterator[int]:
    """Limits of the group this process is in and of all above it, of either version."""
    text = _read(root / "proc/self/cgroup")
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            files = ("memory.max", "memory.high")
            tops = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif "memory" in controllers.split(","):
            files, tops = ("memory.limit_in_bytes",), [root / "sys/fs/cgroup/memory"]
        else:
            continue
        for top in tops:
            yield from _limits_upwards(top, path, files)


def _limits_upwards(top: Path, path: str, files: tuple[str, ...]) -> Iterator[int]:
    """From a group to the topmost; in a container the path may be the host's, and not be there."""
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    for depth in range(len(parts), -1, -1):
        for name in files:
            value = _read(top.joinpath(*parts[:depth], name)).strip()
            if value.isdigit() and int(value) < UNLIMITED:
                yield int(value)


def _status(root: Path) -> dict[str, int]:
    text = _read(root / "proc/self/status")
    return {name: int(count) * 1024 for name, count in STATUS.findall(text)}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
