"""The child of `sandbox`: works on one item after another within limits, and answers each.

Its decoders may crash, hang or ask for all memory: that ends this process and nothing else.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

IDLE_S, IDLE = 20.0, 86  # without work it ends, with this status: it holds memory
ORPHAN_S = 2.0  # how often it looks whether its parent is still there
FAILED, LOST, BROKEN, DONE = "failed", "lost", "broken", "done"


def serve(memory: int) -> None:
    """Answer (work, items) from stdin with one (state, result) an item on stdout, until it closes.

    Args:
        memory: bytes that may be allocated beside what the interpreter holds now.
    """
    requests = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what decoders print is no answer
        os.dup2(nowhere, stream)
    limit(memory)
    threading.Thread(target=_leave_when_orphaned, args=(os.getppid(),), daemon=True).start()
    answers.send(DONE)
    with suppress(EOFError, OSError):  # the parent went
        while requests.poll(IDLE_S):
            for answer in _answers(requests):
                answers.send(answer)
        os._exit(IDLE)


def _answers(requests: Connection) -> Iterator[tuple[str, object]]:
    """The answers to one request."""
    try:
        work, items = requests.recv()
    except (EOFError, OSError):
        raise
    except Exception as error:  # what is to be done cannot be imported here
        yield BROKEN, repr(error)
        return
    yield from (_answer(work, item) for item in items)


def limit(memory: int) -> None:
    """Bound the address space, write no core file, and be the first to go when memory is short."""
    import resource

    held = _held()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + memory if held else resource.RLIM_INFINITY
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most) if wanted != resource.RLIM_INFINITY else most
    with suppress(OSError, ValueError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _held() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _answer(work: Callable[[object], object], item: object) -> tuple[str, object]:
    try:
        return DONE, work(item)
    except MemoryError:
        return LOST, "out of memory"
    except Exception as error:  # the parent meets it itself, and tells it in its own words
        return FAILED, repr(error)


def _leave_when_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHAN_S)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
