"""How far, how fast, how long still: a line on stderr, redrawn on a terminal."""

import sys
import time


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(7), duration(75), duration(3725)
        ('7 s', '1 min 15 s', '1 h 02 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Progress of a loop with a known end; silent for its first two seconds, and when quiet.

    The pace is that of all things but the first, which often has something to make ready.

    Args:
        label: what is being done.
        total: number of things.
        unit: what one thing is called, for the rate.
        start: things already done by an earlier run.
    """

    def __init__(
        self, label: str, total: int, *, unit: str = "", quiet: bool = False, start: int = 0
    ) -> None:
        self.label, self.total, self.unit, self.quiet, self.first = label, total, unit, quiet, start
        self.terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.shown = self.started
        self.open = False
        self.since: tuple[int, float] | None = None  # done, and when, after the first

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` of the things are done."""
        now = time.monotonic()
        if self.since is None and done > self.first:
            self.since = done, now
        pause = 0.2 if self.terminal else 15.0
        wait = 2.0 if not self.open else pause
        if self.quiet or now - self.shown < wait:
            return
        self.shown, self.open = now, True
        before, began = self.first, self.started
        if self.since is not None and done > self.since[0]:
            before, began = self.since
        rate = (done - before) / max(now - began, 1e-9)
        left = duration((self.total - done) / rate) if rate > 0 else "?"
        line = f"{self.label} {done}/{self.total}, {rate:.1f} {self.unit}/s, {left} left{text}"
        if self.terminal:
            sys.stderr.write(f"\r\x1b[2K{line[:150]}")
            sys.stderr.flush()
        else:
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.quiet:
            return
        self.close()
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Clear the redrawn line."""
        if self.terminal and self.open:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
