"""What the runner is given: files, or folders with files, as a list of single inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.naming import TEXT, map_name
from convivo.data.readers import read_header, reader_for, suffix_of
from convivo.errors import ConvivoError, ReadError


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


def find_items(given: Sequence[str]) -> list[Item]:
    """Every single input behind the paths; a folder of DICOM slices is one.

    Raises:
        ReadError: a path that does not exist, or nothing readable.
    """
    found: list[Item] = []
    for path in map(Path, given):
        if not path.exists():
            raise ReadError(path, "the input must exist", "nothing", "Check the path")
        found += _in_folder(path) if path.is_dir() and not _is_one(path) else _of(path, path.name)
    if not found:
        rule, remedy = "an image, volume or signal", "Name the files"
        raise ReadError(", ".join(given), rule, "no readable file", remedy)
    return found


def _is_one(folder: Path) -> bool:
    try:
        read_header(folder)
    except ConvivoError:
        return False
    return True


def _in_folder(root: Path) -> Iterator[Item]:
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        hidden = any(part.startswith(".") for part in inside.parts)
        known = reader_for(path) is not None and suffix_of(path) not in TEXT
        if path.is_file() and known and not hidden:
            yield from _of(path, inside.as_posix())


def _of(path: Path, name: str) -> list[Item]:
    try:
        count = read_header(path).count
    except ConvivoError:
        count = 1  # what is wrong with it is told when it is read
    if count == 1:
        return [Item(name, path)]
    return [Item(f"{name}#{place}", path, place) for place in range(count)]
