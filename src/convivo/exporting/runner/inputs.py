"""What the runner is given: files, or folders with files, as a list of single inputs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from convivo.data.channel_files import CaseFiles, ChannelFiles, gathered, joined
from convivo.data.naming import input_files, map_name
from convivo.data.readers import format_of, is_folder_item, read_header
from convivo.errors import ConvivoError, ReadError, UsageError


@dataclass(frozen=True)
class Item:
    """One image, volume, series or record.

    name: among the outputs. path: its file, of channels that are files of their own the first.
    index: in a container. case: the files of its channels, where it has several.
    """

    name: str
    path: Path
    index: int | None = None
    case: CaseFiles | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        return (self.path,) if self.case is None else self.case.files

    @property
    def map_name(self) -> str:
        """What its label map is called, as `convivo predict` calls it."""
        return map_name(self.name, self.path, self.index)

    @property
    def record(self) -> str:
        """What a record is called: its path without the suffix."""
        return Path(self.name).with_suffix("").as_posix()


def find_items(given: Sequence[str], channels: ChannelFiles | None = None) -> list[Item]:
    """Every single input behind the paths, in natural order within each.

    A container stands for its items, a folder of DICOM files for its series.

    Args:
        channels: which files are those of one case, as the data of the training had them.
    Raises:
        ReadError: a path that does not exist, or nothing readable. UsageError: two inputs would
        have one name among the outputs.
    """
    found: list[Item] = []
    paths = list(map(Path, given))
    for path in paths:
        if not path.exists():
            raise ReadError(path, "the input must exist", "nothing", "Check the path")
    named = [path for path in paths if not _is_folder(path)]
    cases = gathered(named, channels, named=True)
    for path in paths:
        if _is_folder(path):
            found += _in_folder(path.absolute(), channels)
        else:
            found += joined(_of(path, path.name), cases, partial(_whole, path.parent), found)
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
    sources = {path.resolve() for item in items for path in item.files}
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


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_folder_item(path)


def _whole(root: Path, case: CaseFiles) -> Item:
    """A case of several files, named after its first."""
    return Item(_inside(case.files[0], root), case.files[0], case=case)


def _in_folder(root: Path, rule: ChannelFiles | None) -> list[Item]:
    files = input_files(root)
    found = _series(root) if all(format_of(path) == "dicom" for path in files) else []
    if not found:
        each = (one for path in files for one in _of(path, _inside(path, root)))
        found = joined(each, gathered(files, rule), partial(_whole, root))
    return sorted(found, key=lambda item: _natural(item.name))


def _series(root: Path) -> list[Item]:
    from convivo.data.readers.dicom.places import series_below  # only folders need DICOM

    return [Item(name, path, index) for name, path, index in series_below(root)]


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
