"""What `predict` is given: files, containers and folders, as a list of single inputs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from convivo.data.channel_files import CaseFiles, ChannelFiles, gathered, joined, rule_of
from convivo.data.file_words import outside_label_folders
from convivo.data.layouts import detect
from convivo.data.naming import input_files, map_name
from convivo.data.readers import read_header
from convivo.data.readers.dicom.places import series_below
from convivo.data.sample import Index
from convivo.data.unlabelled import opened
from convivo.errors import ConvivoError, ReadError, UsageError

LEFT_OUT = ("missing-label", "unreadable", "truncated")  # of training, not of a prediction
ALL_INPUTS = ("class-folders", "array")  # layouts that tell images from labels by folders at most


@dataclass(frozen=True, kw_only=True)
class Input:
    """One image, volume, series or record.

    id: its name among the outputs. path: its file, of channels that are files of their own the
    first. index: in a container. case: the files of its channels, where it has several.
    """

    id: str
    path: Path
    index: int | None = None
    case: CaseFiles | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        return (self.path,) if self.case is None else self.case.files

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


def find_inputs(given: Sequence[str | Path], channels: ChannelFiles | None = None) -> list[Input]:
    """Every single input behind the given paths, in natural order within each.

    A folder stands for its images (of a data set with labels: the images, not the labels), a
    container for its items, files that are channels of one case for that case.

    Args:
        channels: which files are those of one case, as the data of the training had them.
    Raises:
        ReadError: a path that does not exist, or nothing readable at all. UsageError: two inputs
        would have one name among the outputs.
    """
    found: list[Input] = []
    entries = list(map(Path, given))
    for entry in entries:
        if not entry.exists():
            raise ReadError(entry, "the input must exist", "nothing", "Check the path")
    cases = gathered([entry for entry in entries if not entry.is_dir()], channels, named=True)
    for entry in entries:
        if entry.is_dir():
            found += _in_folder(entry, channels)
        else:
            found += joined(
                _in_file(entry, entry.name), cases, partial(_whole, entry.parent), found
            )
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


def _whole(root: Path, case: CaseFiles) -> Input:
    """A case of several files, named after its first."""
    return replace(_named(root, case.files[0], None), case=case)


def _in_folder(root: Path, rule: ChannelFiles | None) -> list[Input]:
    root = root.absolute()
    found: list[Input] = []
    try:
        index = detect(root)
    except ConvivoError:
        pass  # of no known layout
    else:
        rule = rule or rule_of(index.extra)
        found = _of_index(root, index, rule)
    found = found or [one for path in input_files(root) for one in _below(root, path)]
    cases = gathered([one.path for one in found], rule)
    rows = joined(found, cases, partial(_whole, root))
    return sorted(rows, key=lambda one: natural(one.id))


def _below(root: Path, path: Path) -> list[Input]:
    return _in_file(path, path.relative_to(root).as_posix())


def _of_index(root: Path, index: Index, rule: ChannelFiles | None) -> list[Input]:
    """The images of a data set: labelled, unlabelled, and those a training leaves out."""
    if index.layout == "dicom":
        found = series_below(root)
        return [Input(id=name, path=path, index=item) for name, path, item in found]
    every = (*index.cases, *opened(index).cases)
    items = dict.fromkeys((Path(case.image[0]), case.index) for case in every)
    paths = {path for path, _ in items}
    left = dict.fromkeys(_left_out(root, index, rule))
    if index.layout in ALL_INPUTS:  # which look at a part of a tree
        left |= dict.fromkeys(input_files(root))
    images = set(outside_label_folders([*paths, *left], root))
    sure = index.layout not in ALL_INPUTS
    known = [_named(root, path, item) for path, item in items if sure or path in images]
    more = [path for path in left if path in images and path not in paths]
    return known + [one for path in more for one in _below(root, path)]


def _left_out(root: Path, index: Index, rule: ChannelFiles | None) -> Iterator[Path]:
    """The files of cases that are no cases of a training."""
    for one in index.problems:
        path = root / one.path
        if index.layout == "wfdb":  # whatever is wrong there, the record is named by its header
            path = path.with_suffix(".hea")
        if one.code in LEFT_OUT and path.is_file():
            yield path
        elif rule is None or one.code not in ("missing-image", "missing-label"):
            continue
        elif path.is_dir():  # of a folder a case
            yield from input_files(path)
        elif path.is_file() and rule.split(path):  # a channel, no label map
            yield path


def _named(root: Path, path: Path, item: int | None) -> Input:
    inside = path != root and path.is_relative_to(root)  # a folder may be one DICOM series
    name = path.relative_to(root).as_posix() if inside else path.name
    return Input(id=name if item is None else f"{name}#{item}", path=path, index=item)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which 2 comes before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
