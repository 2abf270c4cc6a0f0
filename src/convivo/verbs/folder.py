"""A run folder: who may write it, and what is read from it."""

import fcntl
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from convivo.errors import ReadError, UsageError
from convivo.files import read_json


class Folder:
    """The files of a run, by name.

    Args:
        path: the run folder; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None
        self._made: list[Path] = []

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def claim(self, *, resume: bool) -> None:
        """Make the folder ours: new or empty, or an unfinished run to go on with.

        Raises:
            UsageError: a file is in the way, the folder is in use, or another process writes it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(self.path, "--out must be a folder", "a file", "Name another one")
        used = self.path.is_dir() and any(self.path.iterdir())
        if used and not resume:
            remedy = "Name another folder, or add --resume to go on with the run in it"
            raise UsageError(self.path, "--out must be new or empty", "a folder in use", remedy)
        known = (".lock", "plan.json", "folds.json")
        if used and not any((self / name).exists() for name in known):
            remedy = "Name the folder of an earlier run"
            raise UsageError(self.path, "--resume needs a run", "a folder without one", remedy)
        try:
            self._made = [p for p in (self.path, *self.path.parents) if not p.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self / ".lock").open("w")
        except OSError as error:
            raise UsageError(self.path, "--out must be writable", error, "Name another") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            remedy = "Wait for it, or name another folder"
            raise UsageError(
                self.path, "one process writes a run", "a run in progress", remedy
            ) from None
        if used:
            self._sweep()

    def _sweep(self) -> None:
        """Remove the unfinished files that a killed process left."""
        for part in self.path.rglob(".*.part"):
            part.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Take back a claim before anything was written: the folders made for it go."""
        if self._lock is None:
            return
        self.release()
        (self / ".lock").unlink(missing_ok=True)
        with suppress(OSError):  # something is in it: not ours to remove
            for folder in self._made:
                folder.rmdir()

    def release(self) -> None:
        """Let others write the folder again."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def finished(self) -> bool:
        return (self / "receipt.json").exists()

    def json(self, name: str) -> Any:
        return read_json(self / name)

    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            ReadError: no config.toml, or a damaged one.
        """
        try:
            return tomllib.loads((self / "config.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            rule = "a run folder holds a config.toml"
            raise ReadError(self.path, rule, error, "Name the folder of a run") from None
