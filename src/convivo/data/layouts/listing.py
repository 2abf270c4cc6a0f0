"""What the layouts share: looking into folders, natural order, names of splits, pairs by name."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convivo.data.readers import is_item, read_header, stem_of
from convivo.data.sample import Case, Split
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
PREFIX = re.compile(r"^(mask|masks|label|labels|seg|gt|image|images|img)[_-]", re.IGNORECASE)
SUFFIX = re.compile(
    r"[_-](mask|masks|label|labels|seg|segmentation|gt|manual|image|img)$", re.IGNORECASE
)


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
    return sorted(Path(e.path) for e in _visible(folder) if e.is_dir())


def item_files(folder: Path) -> list[Path]:
    """Image, volume and array files in natural order; nothing is opened. Raises ReadError."""
    names = [e.name for e in _visible(folder) if is_item(e.name) and e.is_file()]
    return [folder / name for name in sorted(names, key=natural)]


def has_items(folder: Path) -> bool:
    """Whether the folder itself holds an image, volume or array file."""
    return any(is_item(e.name) and e.is_file() for e in _visible(folder))


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
            return len(read_header(path).shape)
        except ReadError as error:
            first = first or error
    assert first is not None, "callers give at least one path"
    raise first


@dataclass(frozen=True)
class Pairs:
    """Images with their label file, images without one, label files without an image."""

    matched: tuple[tuple[Path, Path], ...]
    images: tuple[Path, ...]
    labels: tuple[Path, ...]


def pair(images: Sequence[Path], labels: Sequence[Path]) -> Pairs:
    """Match by name without suffix; where that fails, also without `_mask`, `seg_` and the like.

    Example:
        >>> found = pair([Path("a.png"), Path("b.png")], [Path("a_mask.png"), Path("c.png")])
        >>> [image.name for image, _ in found.matched], [path.name for path in found.labels]
        (['a.png'], ['c.png'])
    """
    exact = {stem_of(path): path for path in reversed(labels)}
    loose = {plain_stem(path): path for path in reversed(labels)}
    matched, alone = [], []
    for image in images:
        label = exact.get(stem_of(image)) or loose.get(plain_stem(image))
        if label is None:
            alone.append(image)
        else:
            matched.append((image, label))
    used = {label for _, label in matched}
    rest = tuple(path for path in labels if path not in used)
    return Pairs(tuple(matched), tuple(alone), rest)


def plain_stem(path: Path) -> str:
    """The stem without a word that says image or mask.

    Example:
        >>> plain_stem(Path("ISIC_01_segmentation.png")), plain_stem(Path("mask-7.tif"))
        ('isic_01', '7')
    """
    stem = stem_of(path)
    return (SUFFIX.sub("", PREFIX.sub("", stem)) or stem).lower()
