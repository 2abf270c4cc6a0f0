"""SIGINT and SIGTERM while a network trains: the step in hand is finished and saved first."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from convivo.errors import Interrupted


@contextmanager
def noted_signals() -> Generator[list[int], None, None]:
    """A list that SIGINT and SIGTERM are noted in, instead of ending the program at once.

    Outside the main thread, where Python lets nobody catch signals, it stays empty.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    try:
        before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: signals are its business
        before = {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt(number: int, step: int) -> NoReturn:
    """End the run for this signal; its state has been saved.

    Raises:
        Interrupted: always, with exit status 128 + number.
    """
    rule, got = "the run was stopped and its state saved", signal.Signals(number).name
    remedy = "Run the same command with --resume to go on"
    raise Interrupted("train", rule, f"{got} after step {step}", remedy, 128 + number)
