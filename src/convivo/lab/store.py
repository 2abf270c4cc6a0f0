"""Arrays by random id, in a private folder that is gone when the lab ends.

Files are named by their id: nothing that a user or a file says becomes a path.
"""

import os
import re
import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from convivo.lab.answers import Refusal

QUOTA = 2**30  # bytes of all arrays; the longest unused go first
MOST_UPLOAD = 2**28  # bytes of one file as sent
MOST_FILES, MOST_GROUPS = 16, 4  # sent together, and at once
MOST_VALUES = 2**26  # of one array, 256 MiB of float32
ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class Item:
    """One array: its file, its size, and what is known of it."""

    path: Path
    size: int
    card: dict


class Store:
    """The arrays of one lab."""

    def __init__(self, quota: int = QUOTA, most_upload: int = MOST_UPLOAD) -> None:
        self.quota, self.most_upload = quota, most_upload
        self.folder = Path(tempfile.mkdtemp(prefix="convivo-lab-"))  # mode 0700
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._lock = threading.Lock()
        self._arriving = 0  # bytes of uploads that are on their way

    def room(self, suffix: str = "") -> Path:
        """The path of a new, empty, private file."""
        path = self.folder / (secrets.token_hex(12) + suffix)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return path

    def keep(self, path: Path, card: dict) -> dict:
        """Take in a file made in `room`; its card with the id."""
        size = path.stat().st_size
        if size > self.quota:
            path.unlink()
            raise Refusal(413, "too-large", "the array exceeds the lab's room", "Crop it first")
        card = {"id": path.stem, **card}
        with self._lock:
            self._items[path.stem] = Item(path, size, card)
            self._make_room()
        return card

    def _make_room(self) -> None:
        while sum(item.size for item in self._items.values()) > self.quota:
            _, oldest = self._items.popitem(last=False)
            oldest.path.unlink(missing_ok=True)

    def _item(self, name: str) -> Item:
        with self._lock:
            if not ID.fullmatch(name) or name not in self._items:
                hint = "Open the data again"
                raise Refusal(404, "gone", "there is no such array, or it made room", hint)
            self._items.move_to_end(name)
            return self._items[name]

    def path(self, name: str) -> Path:
        """The .npy file of an array (C, *S), float32.

        Raises:
            Refusal: there is none of this id (any more).
        """
        return self._item(name).path

    def card(self, name: str) -> dict:
        """What is known of an array: see `intake`.

        Raises:
            Refusal: there is none of this id (any more).
        """
        return self._item(name).card

    def drop(self, name: str) -> None:
        """Forget an array."""
        item = self._item(name)
        with self._lock:
            self._items.pop(name, None)
        item.path.unlink(missing_ok=True)

    def bundle(self, group: str) -> Path:
        """The folder of files that belong together, such as a header and its samples."""
        if not ID.fullmatch(group):
            raise Refusal(400, "parameter", "group: 24 hexadecimal letters", "Reload the page")
        folder = self.folder / f"group-{group}"
        folder.mkdir(mode=0o700, exist_ok=True)
        groups = list(self.folder.glob("group-*"))
        if len(list(folder.iterdir())) >= MOST_FILES or len(groups) > MOST_GROUPS:
            hint = "Name their folder on the command line"
            raise Refusal(413, "too-large", f"at most {MOST_FILES} files at once", hint)
        return folder

    async def receive(self, parts: AsyncIterator[bytes], path: Path) -> Path:
        """Write a body to a private file, as far as it may go."""
        size = 0
        try:
            with open(path, "wb", opener=_private) as file:
                async for part in parts:
                    size += len(part)
                    self._arriving += len(part)
                    if size > self.most_upload or self._arriving > self.quota:
                        most = f"a file holds at most {self.most_upload} bytes"
                        hint = "Name its folder on the command line: convivo lab FOLDER"
                        raise Refusal(413, "too-large", most, hint)
                    file.write(part)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._arriving -= size
        return path

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
