"""Data without any label, for prediction only: its files as cases, to be looked at."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from convivo.data.problems import WHOLE, problem
from convivo.data.readers import read_header
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ReadError

REMEDY = "Put images in a folder per class, or masks beside them; predict takes files as is"


def opened(index: Index) -> Index:
    """The same index, a case for every unlabelled image, volume, series or record in it."""
    top = index.root if index.root.is_dir() else index.root.parent
    cases = tuple(case for path in index.unlabelled for case in _items(Path(path), top))
    return replace(index, cases=cases, classes=(), label_values=None, unlabelled=())


def no_labels(cases: int) -> Problem:
    """The problem that says what such data are good for."""
    message = f"{cases} of {cases} without labels: there is nothing to learn from"
    return problem("no-labels", WHOLE, message, REMEDY)


def require_labels(labelled: bool, index: Index, cases: int) -> None:
    """Refuse to train on data without labels.

    Raises:
        ReadError: `labelled` is false.
    """
    if not labelled:
        got = f"{cases} files without labels (layout {index.layout}, {index.spatial_dims} "
        raise ReadError(index.root, "the data hold a labelled case", f"{got}spatial axes)", REMEDY)


def _items(path: Path, top: Path) -> Iterator[Case]:
    """A file, or the items of a container; one that cannot be read says so when it is."""
    name = path.relative_to(top).as_posix() if path.is_relative_to(top) else path.name
    name = path.name if name == "." else name  # DATA itself is the series
    try:
        header = read_header(path)
    except ReadError:
        yield Case(id=name, image=(str(path),))
        return
    if header.count == 1:
        yield Case(id=name, image=(str(path),), header=header)
        return
    for item in range(header.count):
        yield Case(id=f"{name}#{item}", image=(str(path),), index=item)
