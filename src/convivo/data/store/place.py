"""Where packed stores lie, one writer at a time, and whether the disk has room for another."""

import fcntl
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from convivo.errors import PlanError, UsageError

MIB = 2**20
ROOM = 1.05  # of what a store takes at most, before it is begun


def default_place() -> Path:
    """The folder of packed stores: by XDG's rule on Linux, else as the platform has it."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(named)
    elif platform.system() == "Darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path.home() / ".cache"
    return folder / "convivo" / "stores"


def checked_place(named: str | None, root: Path) -> Path:
    """The folder that stores go to, made where it is not there.

    Args:
        named: what the user set. root: the data, which is never written to.
    Raises:
        UsageError: inside the data, or not to be written.
    """
    place = Path(named).expanduser().resolve() if named else default_place()
    inside = root.is_dir() and root.exists() and place.is_relative_to(root.resolve())
    if inside:
        rule = "packed data lies outside of the data"
        raise UsageError("--store", rule, place, "Name a folder elsewhere")
    try:
        place.mkdir(parents=True, exist_ok=True)
        writable = os.access(place, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        rule = "a folder to keep packed data in must be writable"
        raise UsageError("--store", rule, place, "Name another: --store DIR")
    return place


def must_have_room(place: Path, needed: int) -> None:
    """Refuse to begin a store that the disk cannot hold.

    Raises:
        PlanError: too little is free.
    """
    free = shutil.disk_usage(place).free
    if needed * ROOM > free:
        rule = f"the disk must hold the packed data, up to {needed * ROOM / MIB:,.0f} MiB"
        remedy = "Free some, or name a folder on another disk: --store DIR"
        raise PlanError(place, rule, f"{free / MIB:,.0f} MiB free", remedy)


@contextmanager
def one_writer(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until nobody else packs the same data; a writer that was killed holds nobody up."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another process packs the same data; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
