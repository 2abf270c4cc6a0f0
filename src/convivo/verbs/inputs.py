"""What `predict` is given: files, containers and folders, as a list of single inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.layouts import detect
from convivo.data.naming import TEXT, map_name
from convivo.data.readers import read_header, reader_for, suffix_of
from convivo.data.sample import Index
from convivo.data.unlabelled import opened
from convivo.errors import ConvivoError, ReadError, UsageError

LEFT_OUT = ("missing-label", "unreadable", "truncated")  # of training, not of a prediction


@dataclass(frozen=True, kw_only=True)
class Input:
    """One image, volume, series or record. id: its name among the outputs."""

    id: str
    path: Path
    index: int | None = None

    @property
    def map_name(self) -> str:
        """What its label map is called."""
        return map_name(self.id, self.path, self.index)

    @property
    def record(self) -> str:
        """What a record is called: its path without the suffix.

        Example:
            >>> Input(id="ward/100.hea", path=Path("100.hea")).record
            'ward/100'
        """
        return Path(self.id).with_suffix("").as_posix()


def find_inputs(given: Sequence[str | Path]) -> list[Input]:
    """Every single input behind the given paths, in natural order.

    A folder stands for its images (of a data set with labels: the images, not the labels), a
    container for its items.

    Raises:
        ReadError: a path that does not exist, or nothing readable at all. UsageError: two inputs
        would have one name among the outputs.
    """
    found: list[Input] = []
    for entry in map(Path, given):
        if not entry.exists():
            raise ReadError(entry, "the input must exist", "nothing", "Check the path")
        found += _in_folder(entry) if entry.is_dir() else _in_file(entry, entry.name)
    if not found:
        where = ", ".join(str(g) for g in given)
        raise ReadError(where, "an image, volume or signal", "no readable file", "Name the files")
    names = [one.id for one in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        rule = "inputs need different names, since outputs are named after them"
        raise UsageError("predict", rule, f"two named {twice!r}", "Predict them into two folders")
    return found


def _in_file(path: Path, name: str) -> list[Input]:
    """A file is one input, or the items of a container. A damaged one is kept: it is reported."""
    try:
        count = read_header(path).count
    except ConvivoError:
        count = 1
    if count == 1:
        return [Input(id=name, path=path)]
    return [Input(id=f"{name}#{item}", path=path, index=item) for item in range(count)]


def _in_folder(root: Path) -> list[Input]:
    try:
        index = detect(root)
    except ConvivoError:
        return _readable(root)
    return _of_index(root.absolute(), index) or _readable(root)


def _of_index(root: Path, index: Index) -> list[Input]:
    """The images of a data set: labelled, unlabelled, and those a training leaves out."""
    items = {(case.image[0], case.index) for case in index.cases}
    items |= {(case.image[0], case.index) for case in opened(index).cases}
    left_out = (root / p.path for p in index.problems if p.code in LEFT_OUT)
    if index.layout == "wfdb":  # whatever is wrong there, the record is named by its header
        left_out = (path.with_suffix(".hea") for path in left_out)
    whole = index.layout == "dicom"  # there a folder is a series
    items |= {(str(path), None) for path in left_out if path.is_file() or (whole and path.is_dir())}
    rows = [_named(root, Path(path), item) for path, item in items]
    return sorted(rows, key=lambda one: natural(one.id))


def _named(root: Path, path: Path, item: int | None) -> Input:
    inside = path != root and path.is_relative_to(root)  # a folder may be one DICOM series
    name = path.relative_to(root).as_posix() if inside else path.name
    return Input(id=name if item is None else f"{name}#{item}", path=path, index=item)


def _readable(root: Path) -> list[Input]:
    files = [
        p for p in root.rglob("*")
        if p.is_file() and not any(part.startswith(".") for part in p.relative_to(root).parts)
        and reader_for(p) is not None and suffix_of(p) not in TEXT
    ]  # fmt: skip
    files.sort(key=lambda p: natural(p.relative_to(root).as_posix()))
    return [one for p in files for one in _in_file(p, p.relative_to(root).as_posix())]


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
