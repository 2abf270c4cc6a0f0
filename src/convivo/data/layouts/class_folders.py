"""A folder per class, with or without train/val/test above: the layout of most image sets."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from convivo.data.file_words import IMAGES, LABELS
from convivo.data.layouts.listing import (
    SPLITS,
    dimensions,
    folders,
    formats_in,
    given_splits,
    has_items,
    item_files,
    split_folders,
)
from convivo.data.problems import problem
from convivo.data.sample import Case, Index, Problem, Split
from convivo.errors import ReadError

NAME = "class-folders"


def matches(root: Path) -> bool:
    """Whether subfolders, here or one split down, hold image, volume or array files.

    Folders whose files are of different kinds (recordings, volumes, slides) are no classes, but
    data sets beside each other.
    """
    if not root.is_dir():
        return False
    found = (_classes(folder) for folder in (*split_folders(root).values(), root))
    return any(classes and _alike(classes.values()) for classes in found)


def _alike(folders_of_classes: Collection[Path]) -> bool:
    """Whether at least half of the folders have a format in common."""
    counts = Counter(one for folder in folders_of_classes for one in formats_in(folder))
    return 2 * max(counts.values(), default=0) >= len(folders_of_classes)


def index(root: Path) -> Index:
    """Every file of every class folder; classes are sorted by name.

    A class may be empty in one of the splits. Files of a test folder without class folders are
    for prediction; other files outside a class folder are `missing-label`. A single class is
    returned as it is: whoever inspects it says so.

    Raises:
        ReadError: no file in any class folder, or none of them can be read.
    """
    splits = split_folders(root)
    classed = {split: folder for split, folder in splits.items() if _classes(folder)}
    parts: dict[Split | None, Path] = {**classed} if classed else {None: root}
    classes = sorted({name for folder in parts.values() for name in _classes(folder)})
    cases: list[Case] = []
    problems: list[Problem] = []
    for split, folder in parts.items():
        found = _classes(folder)
        for target, name in enumerate(classes):
            cases += _cases(root, found[name], split, target) if name in found else []
        problems += [_outside(path, root) for path in item_files(folder)]
    if not cases:
        raise ReadError(root, "class folders hold files", "none", "Check the path")
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=_dimensions(cases, len(classes)),
        cases=given_splits(cases),
        classes=tuple(classes),
        problems=tuple(problems),
        unlabelled=tuple(
            str(path.absolute())
            for split, folder in splits.items()
            if split == "test" and split not in classed
            for path in item_files(folder)
        ),
    )


def _classes(root: Path) -> dict[str, Path]:
    """Class name -> folder: subfolders that hold items and are not named as splits or masks."""
    taken = {*SPLITS, *IMAGES, *LABELS}
    return {
        folder.name: folder
        for folder in folders(root)
        if folder.name.lower() not in taken and has_items(folder)
    }


def _cases(root: Path, folder: Path, split: Split | None, target: int) -> list[Case]:
    start = folder.relative_to(root).as_posix()
    return [
        Case(
            id=f"{start}/{path.name}",
            image=(str(path.absolute()),),
            target=target,
            split=split,
        )
        for path in item_files(folder)
    ]


def _outside(path: Path, root: Path) -> Problem:
    message, remedy = "the file lies in no class folder", "Move it to its class or away"
    return problem("missing-label", path.relative_to(root).as_posix(), message, remedy)


def _dimensions(cases: list[Case], classes: int) -> int:
    # the first files of every class, so that one damaged class folder does not decide
    step = max(1, len(cases) // (4 * classes))
    return dimensions([cases[0].image[0], *(case.image[0] for case in cases[::step])])
