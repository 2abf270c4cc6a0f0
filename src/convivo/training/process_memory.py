"""What the operating system says this process holds, and the most that it has held."""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

STATUS = re.compile(r"(RssAnon|RssFile|RssShmem|VmHWM):\s+(\d+)")
LOOK_SECONDS, FAMILY_LOOKS = 0.02, 50  # children are looked for once in so many looks


def memory_of(process: int | str) -> dict[str, int]:
    """Bytes by name, as the Linux kernel counts them now; nothing where it does not."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {name: int(count) * 1024 for name, count in STATUS.findall(text)}


def held(memory: dict[str, int]) -> int:
    """Private and shared bytes; files that are mapped can be dropped at any time."""
    return memory.get("RssAnon", 0) + memory.get("RssShmem", 0)


def held_now() -> int:
    """The same of this process; 0 where the system does not tell."""
    return held(memory_of("self"))


def children_of(process: int) -> Iterator[int]:
    """Processes that a process has started, and theirs.

    One that is still a copy of its parent, about to become another program, is left out: it would
    count all that it shares with it for a second time.
    """
    own = _command(process)
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found = tasks.read_text(encoding="ascii").split()
        except OSError:  # ended meanwhile
            continue
        for child in map(int, found):
            if _command(child) != own:
                yield child
                yield from children_of(child)


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # ended meanwhile
        return b""


class PeakWatch:
    """A thread that looks every few milliseconds at what the process and its children hold.

    Used as a context. Where the system does not tell, the peak is None.
    """

    def __init__(self) -> None:
        self._peak = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._family: list[int] = []

    @property
    def peak(self) -> int | None:
        """Most private and shared bytes at once so far."""
        return self._peak or None

    def look(self) -> None:
        """Look now."""
        own = held(memory_of("self"))
        theirs = sum(held(memory_of(child)) for child in self._family)
        self._peak = max(self._peak, own + theirs)

    def __enter__(self) -> Self:
        self.look()
        if self._peak:
            self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.look()

    def _watch(self) -> None:
        looks = 0
        while not self._over.wait(LOOK_SECONDS):
            if looks % FAMILY_LOOKS == 0:
                self._family = list(children_of(os.getpid()))
            looks += 1
            self.look()
