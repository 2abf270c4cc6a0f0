"""Files, or a folder of files, that name no classes by their place: arrays with labels inside, a
pair told apart by name, or images without labels, for prediction only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data import sandbox
from convivo.data.file_words import IMAGES
from convivo.data.layouts.listing import (
    dimensions,
    folders,
    given_splits,
    has_items,
    in_order,
    item_files,
    relative,
)
from convivo.data.readers import read_header, reader_for, suffix_of
from convivo.data.readers.failures import reading
from convivo.data.readers.named_arrays import Contents
from convivo.data.sample import Case, Header, Index, Problem
from convivo.data.survey import damaged
from convivo.errors import ReadError, UsageError

NAME = "array"


@dataclass(frozen=True)
class _File:
    """A file of named arrays: its contents, and the class of each item where it has one."""

    path: Path
    contents: Contents
    classes: Sequence[str] | None

    @property
    def labelled(self) -> bool:
        return any(part.kind != "none" for part in self.contents.parts)


def matches(root: Path) -> bool:
    """Whether the file is of a known format, or the folder (or its `images/`) holds such files.

    A file that is named itself may also be a table of numbers, which a folder is not searched for;
    not a CSV file: with series in it `ucr` takes it, and it may be a table of anything.
    """
    if root.is_file() or suffix_of(root) == ".zarr":
        return suffix_of(root) not in (None, ".csv")
    return root.is_dir() and any(has_items(folder) for folder in _places(root))


def index(root: Path) -> Index:
    """The items of HDF5, Zarr and MATLAB files that hold labels; other files are unlabelled.

    Raises:
        ReadError: none of the files can be read, or files with maps and files with classes.
    """
    files = [root] if not root.is_dir() or suffix_of(root) == ".zarr" else _all(root)
    found, problems = _described(root, files)
    labelled = [file for file in found if file.labelled]
    named = {file.path for file in labelled}
    kinds = {file.classes is None for file in labelled}
    if len(kinds) > 1:
        rule, got = "all files have labels of one kind", "label maps and classes"
        raise ReadError(root, rule, got, "Keep them in two folders")
    segment = kinds == {True}
    classes = [] if segment else in_order({c for file in labelled for c in file.classes or ()})
    top = root.parent if files == [root] else root
    return Index(
        layout=NAME,
        root=root,
        task="segment" if segment else "classify",
        spatial_dims=dimensions(sorted(named) or files),
        cases=given_splits(case for file in labelled for case in _cases(file, top, classes)),
        classes=tuple(classes),
        problems=tuple(problems),
        unlabelled=tuple(str(path.absolute()) for path in files if path not in named),
    )


def _places(root: Path) -> list[Path]:
    return [root, *(folder for folder in folders(root) if folder.name.lower() in IMAGES)]


def _all(root: Path) -> list[Path]:
    return [path for folder in _places(root) for path in item_files(folder)]


def _described(root: Path, files: list[Path]) -> tuple[list[_File], list[Problem]]:
    """Files of named arrays; a damaged one among several is a problem, alone it is the error."""
    found, problems = [], []
    for path in files:
        module = reader_for(path)
        if module is None or not hasattr(module, "describe"):
            continue
        try:
            found.append(_file(path))
        except (ReadError, UsageError) as error:
            if len(files) == 1 or isinstance(error, UsageError):
                raise
            problems.append(damaged(relative(path, root), error))
    return found, problems


def _file(path: Path) -> _File:
    contents, classes = sandbox.alone(_looked_at, path) if path.is_file() else _looked_at(path)
    return _File(path, contents, classes)


def _looked_at(path: Path) -> tuple[Contents, Sequence[str] | None]:
    module = reader_for(path)
    assert module is not None
    with reading(path, path.suffix[1:]):
        return module.describe(path), module.read_classes(path)


def _cases(file: _File, root: Path, classes: list[str]) -> Iterator[Case]:
    name, image = relative(file.path, root), (str(file.path.absolute()),)
    place = {text: number for number, text in enumerate(classes)}
    splits = [part.image.split for part in file.contents.parts for _ in range(part.count)]
    alike: Header | None = None
    if len(file.contents.parts) == 1:  # many items of one array share a header
        alike = read_header(file.path, 0)
    for item in range(file.contents.count):
        single = file.contents.count == 1
        yield Case(
            id=name if single else f"{name}#{item}",
            image=image,
            index=None if single else item,
            label=image[0] if file.classes is None else None,
            label_index=None if single else item,
            target=None if file.classes is None else place[file.classes[item]],
            split=splits[item],
            header=alike,
        )
