"""When the folders of DICOM files are classes: not where each of them is one patient."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from convivo.data.layouts.listing import folders, split_folders
from convivo.data.readers import is_item
from convivo.data.readers.dicom.catalogue import dicom_files
from convivo.data.readers.dicom.places import Item
from convivo.data.readers.dicom.scanning import Scan, scan
from convivo.data.sample import Split
from convivo.errors import ReadError

Place = tuple[str, Split | None]
"""Name of a class, and the split its folder lies in."""
FOLDERS_TRIED, FILES_TRIED = 24, 8


def images_in_class_folders(root: Path) -> bool:
    """Whether single images lie in a folder per class: then `class-folders` is their layout."""
    parts = list(split_folders(root).values()) or [root]
    tried = [folder for part in parts for folder in folders(part)][:FOLDERS_TRIED]
    found: dict[str, list[Scan]] = {}
    for folder in tried:
        files = list(islice(dicom_files(folder), FILES_TRIED))
        if any(path.parent != folder or not is_item(path) for path in files):
            return False
        found.setdefault(folder.name, []).extend(_readable(files))
    if any(len({s.file.series for s in few}) < len(few) for few in found.values()):
        return False  # slices of one series
    subjects = {name: [s.file.subject for s in few] for name, few in found.items() if few}
    return are_classes(subjects, unknown=True)


def are_classes(subjects: Mapping[str, Sequence[str | None]], *, unknown: bool) -> bool:
    """Whether folders are classes, from the subjects of what they hold.

    A folder that holds several subjects is no patient. unknown: what is held of folders where no
    file names its subject.

    Example:
        >>> are_classes({"a": ["p1", "p2"], "b": ["p3"]}, unknown=False)
        True
        >>> are_classes({"p1": ["p1", "p1"], "p2": ["p2"]}, unknown=True)
        False
    """
    if len(subjects) < 2:
        return False
    known = [{one for one in several if one} for several in subjects.values()]
    return any(len(one) > 1 for one in known) or (unknown and not any(known))


def class_folders_of(root: Path, items: Sequence[Item]) -> dict[str, Place] | None:
    """Class name and split by item id where the first folders are classes, else None."""
    splits = {folder.name: split for split, folder in split_folders(root).items()}
    found: dict[str, Place] = {}
    shared = _shared(items, splits)
    for item in items:
        parts = item.id.split("/")[shared:]
        split = splits.get(parts[0]) if len(parts) > 1 else None
        below = parts[1:] if split else parts
        if len(below) < 2:
            return None  # a series outside of any folder
        found[item.id] = (below[0], split)
    subjects: dict[str, list[str | None]] = {}
    for item in items:
        subjects.setdefault(found[item.id][0], []).append(item.volume.header.subject)
    return found if are_classes(subjects, unknown=False) else None


def _shared(items: Sequence[Item], splits: Mapping[str, Split]) -> int:
    """How many folders all items have in common, from the top."""
    first = items[0].id.split("/")[:-1]
    for depth, name in enumerate(first):
        if name in splits or any(item.id.split("/")[:-1][depth : depth + 1] != [name]
                                 for item in items):  # fmt: skip
            return depth
    return len(first)


def _readable(files: Sequence[Path]) -> Iterator[Scan]:
    for path in files:
        try:
            yield scan(path)
        except ReadError:
            continue
