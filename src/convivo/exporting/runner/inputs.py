"""What the runner is given: files, or folders with files, as a list of single inputs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.naming import TEXT, map_name
from convivo.data.readers import (
    SECOND_HALVES,
    format_of,
    is_folder_item,
    read_header,
    reader_for,
    suffix_of,
)
from convivo.errors import ConvivoError, ReadError, UsageError


@dataclass(frozen=True)
class Item:
    """One image, volume, series or record. name: among the outputs. index: in a container."""

    name: str
    path: Path
    index: int | None = None

    @property
    def map_name(self) -> str:
        """What its label map is called, as `convivo predict` calls it."""
        return map_name(self.name, self.path, self.index)

    @property
    def record(self) -> str:
        """What a record is called: its path without the suffix."""
        return Path(self.name).with_suffix("").as_posix()


def find_items(given: Sequence[str]) -> list[Item]:
    """Every single input behind the paths, in natural order within each.

    A container stands for its items, a folder of DICOM files for its series.

    Raises:
        ReadError: a path that does not exist, or nothing readable. UsageError: two inputs would
        have one name among the outputs.
    """
    found: list[Item] = []
    for path in map(Path, given):
        if not path.exists():
            raise ReadError(path, "the input must exist", "nothing", "Check the path")
        several = path.is_dir() and not is_folder_item(path)
        found += _in_folder(path.absolute()) if several else _of(path, path.name)
    if not found:
        rule, remedy = "an image, volume or signal", "Name the files"
        raise ReadError(", ".join(given), rule, "no readable file", remedy)
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        rule = "inputs need different names, since outputs are named after them"
        raise UsageError("run.py", rule, f"two named {twice!r}", "Predict them into two folders")
    return found


def must_have_own_maps(items: Sequence[Item], out: Path) -> None:
    """Refuse to write a label map over an image, or two to one file.

    Raises:
        UsageError: it names the first of them.
    """
    sources = {item.path.resolve() for item in items}
    taken: dict[Path, str] = {}
    for item in items:
        target = (out / item.map_name).resolve()
        if target in sources:
            rule, remedy = "label maps are not written over images", "Name another folder"
            raise UsageError("--out", rule, repr(item.name), remedy)
        if target in taken:
            rule, got = "inputs need label maps of different names", f"{taken[target]!r}"
            remedy = f"Both would be {target.name}: predict them into two folders"
            raise UsageError("run.py", rule, f"{got}, {item.name!r}", remedy)
        taken[target] = item.name


def _in_folder(root: Path) -> list[Item]:
    from convivo.data.readers.dicom.catalogue import visible_files  # only folders need DICOM

    files = [path for path in visible_files(root) if _is_input(path)]
    found = _series(root) if all(format_of(path) == "dicom" for path in files) else []
    found = found or [one for path in files for one in _of(path, _inside(path, root))]
    return sorted(found, key=lambda item: _natural(item.name))


def _is_input(path: Path) -> bool:
    suffix = suffix_of(path)
    return suffix not in (None, *TEXT, *SECOND_HALVES) and reader_for(path) is not None


def _series(root: Path) -> list[Item]:
    """Every volume of a folder of DICOM files, and the files that cannot be read.

    What is wrong with them, and with a volume that lacks slices, is told when they are read.
    """
    from convivo.data.readers.dicom.catalogue import dicom_files
    from convivo.data.readers.dicom.places import items_of
    from convivo.data.readers.dicom.scanning import Scan, scan_all

    files = list(dicom_files(root))
    if not files:
        return []
    seen = scan_all(files)
    volumes = items_of(root, [one for one in seen if isinstance(one, Scan)])
    broken = [p for p, one in zip(files, seen, strict=True) if not isinstance(one, Scan)]
    return [
        *(Item(one.id, Path(one.path), one.index) for one in volumes),
        *(Item(_inside(path, root), path) for path in broken),
    ]


def _inside(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _of(path: Path, name: str) -> Iterator[Item]:
    try:
        count = read_header(path).count
    except ConvivoError:
        count = 1  # what is wrong with it is told when it is read
    if count == 1:
        yield Item(name, path)
        return
    for place in range(count):
        yield Item(f"{name}#{place}", path, place)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
