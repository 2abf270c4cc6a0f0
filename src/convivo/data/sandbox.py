"""Reads foreign files in child processes with limits: one that kills its decoder costs one file.

Children are started when first needed and kept for a while: they take a second to start.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from convivo.data.sandboxed import BROKEN, DONE, IDLE, LOST
from convivo.errors import ReadError

Item = TypeVar("Item")
Found = TypeVar("Found")
Lost = Callable[[Item, str], Found]
"""What stands for the result of an item whose process died, and why it did."""

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.raw.readline()); "
    "from convivo.data.sandboxed import serve; serve(int(sys.argv[1]))"
)
START_S = 60.0  # until a child has imported what it needs
LEAST_S = 30.0  # for one item, and more for larger files:
BYTES_PER_S = 2**21
LEAST_MEMORY = 2**30  # bytes
RESTED = f"exit status {IDLE}"
_KEPT: list["_Child"] = []
_LOCK = threading.Lock()


class _Gone(Exception):
    """The child died or was ended; the text says why."""


class _Child:
    """A process that answers items one by one."""

    def __init__(self) -> None:
        words = [sys.executable, "-c", BOOT, str(_memory())]
        calm = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | calm, start_new_session=True, bufsize=0,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        path = [str(Path(part).absolute()) for part in sys.path]
        self.process.stdin.write(json.dumps(path).encode() + b"\n")
        self.requests = Connection(os.dup(self.process.stdin.fileno()), readable=False)
        self.answers = Connection(os.dup(self.process.stdout.fileno()), writable=False)
        self.receive(START_S)

    def send(self, work: object, items: Sequence[Any]) -> None:
        try:
            self.requests.send((work, list(items)))
        except OSError as error:
            raise _Gone(self.end()) from error

    def receive(self, seconds: float) -> Any:
        """The next answer. Raises _Gone: the process died, or took longer than `seconds`."""
        try:
            if self.answers.poll(seconds):
                return self.answers.recv()
        except (EOFError, OSError) as error:
            raise _Gone(self.end()) from error
        self.end()
        raise _Gone(f"no answer within {seconds:.0f} seconds")

    def end(self) -> str:
        """End the process; how it ended by itself."""
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.requests, self.answers):
            if pipe is not None:
                pipe.close()
        return f"signal {-code}" if code < 0 else f"exit status {code}"


def guarded(
    work: Callable[[Item], Found],
    items: Sequence[Item],
    *,
    bytes_of: Callable[[Item], int],
    lost: Callable[[Item, str], Found],
) -> Iterator[Found]:
    """`work` on each item in a child process, results in order as they come.

    What `work` raises is raised here, from a second try in this process. Where no child can be
    started (another system, no memory) all is done in this process.

    Args:
        work: a function of a module, or a partial of one: it is pickled.
        bytes_of: size of the item's files, for how long it may take.
        lost: the result for an item whose process died or took too long.
    """
    place, child = 0, None
    try:
        while place < len(items):
            try:
                child = child or _taken()
            except (_Gone, OSError):
                break
            try:
                child.send(work, items[place:])
                while place < len(items):
                    item = items[place]
                    state, found = child.receive(LEAST_S + bytes_of(item) / BYTES_PER_S)
                    if state == BROKEN:
                        break
                    place += 1
                    yield _meant(state, found, work, item, lost)
            except _Gone as error:
                child = None
                if str(error) != RESTED:
                    place += 1
                    yield lost(items[place - 1], str(error))
            else:
                break
    except BaseException:
        _ended(child)
        raise
    _kept(child)
    yield from map(work, items[place:])


def _meant(
    state: str,
    found: Any,
    work: Callable[[Item], Found],
    item: Item,
    lost: Callable[[Item, str], Found],
) -> Found:
    """The result that an answer stands for."""
    if state == LOST:
        return lost(item, found)
    return found if state == DONE else work(item)


def alone(work: Callable[[Path], Found], path: Path) -> Found:
    """`work` on one file in a child process.

    Raises:
        ReadError: reading it ended the process. What `work` raises.
    """

    def lost(path: Path, why: str) -> Found:
        rule, remedy = "a file can be read without harm", "Replace the file or leave it out"
        raise ReadError(path, rule, f"the end of the process that read it ({why})", remedy)

    if not possible():
        return work(path)
    return next(guarded(work, [path], bytes_of=lambda path: path.stat().st_size, lost=lost))


def possible() -> bool:
    """Whether this system lets child processes be limited and listened to."""
    return os.name == "posix" and bool(sys.executable)


def _taken() -> _Child:
    with _LOCK:
        if _KEPT:
            return _KEPT.pop()
    return _Child()


def _kept(child: _Child | None) -> None:
    if child is not None:
        with _LOCK:
            _KEPT.append(child)


def _ended(child: _Child | None) -> None:
    """For one that still works on items nobody waits for."""
    if child is not None:
        child.process.kill()
        child.end()


def _memory() -> int:
    """Bytes a child may take: what is free now."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 2**40
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), 0)
    return max(LEAST_MEMORY, free * 1024)


@atexit.register
def rest() -> None:
    """End the children that wait for work: each holds some 90 MiB."""
    with _LOCK:
        while _KEPT:
            _ended(_KEPT.pop())
