"""What a packed store is of: one hash over the bytes of all sources and how they are prepared."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from convivo.arrays.preparation import Preparation
from convivo.data.sample import Case, Index
from convivo.data.store.layout import FORM
from convivo.files import plain, sha256, write_text

HEADERS = (".hea", ".vhdr", ".mhd", ".nhdr", ".hdr")  # their data lies in files of the same stem
SETTLED = 2.0  # seconds after its last change before the times of a file are trusted
KEY_LENGTH = 32


class Digests:
    """SHA-256 of files; kept with their size and times, so that unchanged ones are not read again.

    Args:
        path: the JSON file that they are kept in.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._fresh = path, False
        try:
            self._known = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):  # none yet, or a damaged one: everything is read
            self._known = {}

    def of(self, path: Path) -> str:
        """The hash of a file's bytes."""
        seen = path.stat()
        times = [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]
        known = self._known.get(str(path))
        if known and known[:-1] == times:
            return known[-1]
        digest = sha256(path)
        if time.time() - max(seen.st_mtime, seen.st_ctime) > SETTLED:
            self._known[str(path)] = [*times, digest]
            self._fresh = True
        return digest

    def save(self) -> None:
        """Keep what was read anew."""
        if self._fresh:
            write_text(self.path, json.dumps(self._known))
            self._fresh = False


def source_files(path: Path) -> list[Path]:
    """The files behind a case's path: itself, the halves of a record, all of a folder."""
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    if path.suffix.lower() in HEADERS:
        start = path.stem + "."
        return sorted(p for p in path.parent.iterdir() if p.name.startswith(start) and p.is_file())
    return [path] if path.exists() else []


def store_key(
    cases: Sequence[Case], index: Index, preparation: Preparation, digests: Digests, *, half: bool
) -> str:
    """The name of what these cases are when prepared: equal bytes, equal settings, equal name."""
    memo: dict[str, str] = {}

    def source(names: Iterable[str]) -> list[str]:
        for name in names:
            if name not in memo:
                files = source_files(Path(name))
                memo[name] = _joined(f"{p.name}:{digests.of(p)}" for p in files)
        return [memo[name] for name in names]

    total = hashlib.sha256()
    about = {
        "form": FORM,
        "half": half,
        "preparation": preparation.to_dict(),
        "values": index.label_values,
        "classes": index.classes,
        "events": index.events,
        "extra": dict(index.extra),
    }
    total.update(json.dumps(plain(about), sort_keys=True).encode())
    for case in cases:
        label = [] if case.label is None else source([case.label])
        what = [case.index, case.label_index, case.label_names, case.target]
        row = [os.fspath(case.id), source(case.image), label, what]
        total.update(json.dumps(plain(row)).encode())
    return total.hexdigest()[:KEY_LENGTH]


def _joined(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
