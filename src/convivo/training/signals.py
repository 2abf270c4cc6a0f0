"""SIGTERM ends a run tidily; while its network trains, the step in hand is finished first."""

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


@contextmanager
def terminable() -> Generator[None, None, None]:
    """SIGTERM becomes an error like any other, so that what was begun is tidied.

    Raises:
        Interrupted: inside the block, at the signal.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        remedy = "Run the same command again, with --resume if the run folder is there"
        raise Interrupted("train", "the run was stopped", "SIGTERM", remedy, 128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: signals are its business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt(number: int, step: int) -> NoReturn:
    """End the run for this signal; its state has been saved.

    Raises:
        Interrupted: always, with exit status 128 + number.
    """
    rule, got = "the run was stopped and its state saved", signal.Signals(number).name
    remedy = "Run the same command with --resume to go on"
    raise Interrupted("train", rule, f"{got} after step {step}", remedy, 128 + number)
