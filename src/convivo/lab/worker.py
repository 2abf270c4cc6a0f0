"""The one process that computes, so that the server answers whatever the layers are doing.

It is started before it is needed, since importing torch takes seconds, and anew when it died or
took too long. What it is asked for is a function of a module of ours, by name.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from convivo.errors import ConvivoError
from convivo.lab.answers import Refusal

BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); " + (
    "from convivo.lab.worker import serve; serve()"
)
START_S, WORK_S = 120.0, 60.0
LEAST_MEMORY = 2**32


class Worker:
    """A process that answers one call after another.

    Args:
        seconds: how long one call may take.
    """

    def __init__(self, seconds: float = WORK_S) -> None:
        self._seconds, self._lock = seconds, threading.Lock()
        self._process: subprocess.Popen | None = None
        self._requests: Connection | None = None
        self._answers: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, and wait until it is ready."""
        with self._lock:
            self._ensure()

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """`work(*arguments)`, computed in the process.

        Raises:
            Refusal: it died, took too long or failed. What `work` raises of our own errors.
        """
        if os.name != "posix":  # pipes of this kind are not to be had
            return work(*arguments)
        with self._lock:
            self._ensure()
            assert self._requests is not None
            try:
                self._requests.send((work, arguments))
                state, found = self._receive(self._seconds)
            except (EOFError, OSError):
                self._end()
                hint = "Try again, with something smaller"
                raise Refusal(503, "worker", "the computing process ended", hint) from None
        if state == "done":
            return found
        if isinstance(found, ConvivoError | Refusal):
            raise found
        raise Refusal(500, "internal", f"the computation failed: {found}", "Report this")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ensure(self) -> None:
        if os.name != "posix" or (self._process and self._process.poll() is None):
            return
        self._end()
        path = json.dumps([str(Path(part).absolute()) for part in sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-c", BOOT, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._answers = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        try:
            self._receive(START_S)
        except (EOFError, OSError):
            self._end()
            hint = "See the terminal"
            raise Refusal(503, "worker", "the computing process cannot start", hint) from None

    def _receive(self, seconds: float) -> tuple[str, Any]:
        assert self._answers is not None
        if not self._answers.poll(seconds):
            raise EOFError
        return self._answers.recv()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        streams = (self._process.stdin, self._process.stdout, self._requests, self._answers)
        for pipe in streams:
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process = None


def serve() -> None:
    """In the process: answer (function, arguments) with (state, result) until stdin closes."""
    from convivo.data.sandboxed import limit

    requests = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # what libraries print is no answer
        os.dup2(nowhere, stream)
    import torch

    import convivo.layers  # noqa: F401  so that the first call does not wait for it

    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    limit(LEAST_MEMORY)
    answers.send(("done", None))
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the lab ended
        while True:
            work, arguments = requests.recv()
            answers.send(_answer(work, arguments))


def _answer(work: Callable[..., Any], arguments: tuple) -> tuple[str, Any]:
    try:
        return "done", work(*arguments)
    except (ConvivoError, Refusal) as error:
        return "failed", error
    except MemoryError:
        return "failed", Refusal(413, "memory", "there is not enough memory", "Use less data")
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
