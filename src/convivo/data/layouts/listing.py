"""What the layouts share: looking into folders, natural order, names of splits."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from convivo.data import sandbox
from convivo.data.readers import (
    NATIVE_HEADERS,
    format_of,
    is_folder_item,
    is_item,
    read_header,
    stem_of,
    suffix_of,
)
from convivo.data.sample import Case, Header, Split
from convivo.errors import ReadError

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
HEADERS_TRIED = 20


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that counts as people do.

    Example:
        >>> sorted(["10.png", "9.png", "1.png"], key=natural)
        ['1.png', '9.png', '10.png']
    """
    parts = re.split(r"([0-9]+)", text)
    return tuple((int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts))


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if e.name[0] != "." and e.name.lower() not in IGNORED]
    except OSError as error:
        rule, got = "the folder can be opened", error.strerror or "an error"
        raise ReadError(folder, rule, got, "Check the path and your rights") from error


def folders(folder: Path) -> list[Path]:
    """Subfolders by name, hidden and system ones left out. Raises ReadError."""
    return sorted(
        Path(e.path) for e in _visible(folder) if e.is_dir() and not is_folder_item(e.name)
    )


def item_files(folder: Path) -> list[Path]:
    """Image, volume and array files in natural order; nothing is opened. Raises ReadError."""
    return [folder / name for name in sorted(_items(folder), key=natural)]


def has_items(folder: Path) -> bool:
    """Whether the folder itself holds an image, volume or array file."""
    entries = _visible(folder)
    return any(_is_entry(e) and not _is_mat(e.name) for e in entries) or bool(_items(folder))


def formats_in(folder: Path, most: int = 50) -> set[str]:
    """Formats of the first files of a folder, by their names."""
    return {format_of(e.name) for e in islice(filter(_is_entry, _visible(folder)), most)}


def _items(folder: Path) -> list[str]:
    """Names of items; the .mat of a WFDB record (.hea beside it) is a part of that record."""
    entries = _visible(folder)
    names = [e.name for e in entries if _is_entry(e)]
    if not any(map(_is_mat, names)):
        return names
    records = {stem_of(e.name) for e in entries if suffix_of(e.name) == ".hea"}
    return [name for name in names if not (_is_mat(name) and stem_of(name) in records)]


def _is_entry(entry: os.DirEntry[str]) -> bool:
    return is_item(entry.name) and is_folder_item(entry.name) == entry.is_dir()


def _is_mat(name: str) -> bool:
    return name.lower().endswith(".mat")


def split_folders(root: Path) -> dict[Split, Path]:
    """Folders named train, val or test (and their variants). Raises ReadError for two of a kind."""
    found: dict[Split, Path] = {}
    for folder in folders(root):
        split = SPLITS.get(folder.name.lower())
        if split and split in found:
            got = f"{found[split].name} and {folder.name}"
            raise ReadError(root, f"one folder per split ({split})", got, "Merge the two")
        if split:
            found[split] = folder
    return found


def given_splits(cases: Iterable[Case]) -> tuple[Case, ...]:
    """The cases; a split that puts all of them into train is no split and is dropped."""
    cases = tuple(cases)
    if {case.split for case in cases} == {"train"}:
        return tuple(replace(case, split=None) for case in cases)
    return cases


def relative(path: Path, root: Path) -> str:
    """The path below `root` as POSIX text.

    Raises:
        ReadError: the path leaves `root`.
    """
    steps = os.path.relpath(path, root)
    if steps.startswith(".."):
        rule = "files of a data set lie in its folder"
        raise ReadError(root, rule, path, "Move the file there or give the folder above")
    return Path(steps).as_posix()


def dimensions(paths: Sequence[Path | str]) -> int:
    """Spatial axes of the first file that can be read.

    Raises:
        ReadError: of the first files none can be read; the error is that of the first.
    """
    first: ReadError | None = None
    for path in paths[:HEADERS_TRIED]:
        try:
            return len(_guarded_header(Path(path)).shape)
        except ReadError as error:
            first = first or error
    assert first is not None, "callers give at least one path"
    raise first


def _guarded_header(path: Path) -> Header:
    """The header, read in a child process where C code reads it."""
    guard = format_of(path) in NATIVE_HEADERS and path.is_file()
    return sandbox.alone(read_header, path) if guard else read_header(path)


def in_order(names: set[str]) -> list[str]:
    """Class names by value where all are numbers, else by name.

    Example:
        >>> in_order({"10", "9", "-1"}), in_order({"b", "a10", "a9"})
        (['-1', '9', '10'], ['a9', 'a10', 'b'])
    """
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names, key=natural)
