"""The files in the folders named on the command line, each under a random id.

The page never sends a path: it lists, and names an id of the list. Links are not followed.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from convivo.data.readers import is_item
from convivo.errors import UsageError
from convivo.lab.answers import Refusal
from convivo.lab.intake import TABLES

DEPTH, MOST = 4, 500


class Roots:
    """Files that may be opened.

    Args:
        paths: folders or files of the command line.
    Raises:
        UsageError: one of them is not there.
    """

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        for path in paths:
            if not path.exists():
                raise UsageError(path, "must be a file or folder", "nothing", "Check the path")
        self._roots = tuple(path.resolve() for path in paths)
        self._entries: dict[str, Path] = {}

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those of the command line, resolved."""
        return tuple(root for root in self._roots if root.is_dir())

    def listed(self) -> list[dict]:
        """The files there are now: id, and the path as seen from its root."""
        known = {path: entry for entry, path in self._entries.items()}
        shown = []
        for root in self._roots:
            for path in sorted(_walk(root))[: MOST - len(shown)]:
                entry = known.get(path) or secrets.token_hex(12)
                self._entries[entry] = path
                seen = path.relative_to(root) if path != root else Path(path.name)
                shown.append({"entry": entry, "name": seen.as_posix(), "root": root.name})
        return shown

    def path(self, entry: str) -> Path:
        """The file of an entry, if it still lies where it was.

        Raises:
            Refusal: no such entry, gone, or a link by now.
        """
        path = self._entries.get(entry)
        if path is None or not path.is_file() or path.resolve() != path or not self._within(path):
            raise Refusal(404, "gone", "there is no such file in the list", "List again")
        return path

    def _within(self, path: Path) -> bool:
        return any(path == root or path.is_relative_to(root) for root in self._roots)


def _walk(root: Path) -> Iterator[Path]:
    if root.is_file():
        if not root.is_symlink():
            yield root
        return
    for folder, names, files in os.walk(root, followlinks=False):
        here = Path(folder)
        if len(here.relative_to(root).parts) >= DEPTH:
            names.clear()
        names[:] = sorted(name for name in names if name[0] != ".")
        for name in sorted(files):
            path = here / name
            if name[0] != "." and _readable(name) and not path.is_symlink():
                yield path


def _readable(name: str) -> bool:
    return is_item(name) or name.lower().endswith((*TABLES, ".hea"))
