"""A folder or file -> Index: which layout it is in, and the cases it holds, pixels unread.

A new layout is one module with `NAME`, `matches(root)`, `index(root)`, and its line here.
"""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from convivo.data.layouts.listing import folders, relative
from convivo.data.readers.failures import missing
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ReadError, UsageError, nearest_name

# in this order: a folder is taken for the first layout that recognises it
LAYOUTS: dict[str, str] = {
    "nnunet": "nnunet",
    "msd": "msd",
    "medmnist": "medmnist",
    "idx": "idx",
    "wfdb": "wfdb",
    "ucr": "ucr",
    "bids": "bids",
    "manifest": "manifest",
    "edf": "edf",
    "dicom": "dicom",
    "image-mask": "image_mask",
    "class-folders": "class_folders",
    "array": "array",
}
LEVELS_DOWN = 2


def detect(root: Path | str, layout: str | None = None) -> Index:
    """The data set at `root`, or the only one up to two folders below it.

    Ids and the paths of problems are relative to `root` wherever the data were found.

    Args:
        layout: take this one instead of the first that fits.
    Raises:
        ReadError: nothing there, an empty folder, no known layout, several data sets.
        UsageError: no layout of this name.
    """
    root = Path(root)
    if layout is not None and layout not in LAYOUTS:
        raise UsageError("layout", "must be known", layout, nearest_name(layout, LAYOUTS))
    if not root.exists():
        raise missing(root)
    if root.is_dir() and not any(root.iterdir()):
        raise ReadError(root, "the folder holds data", "an empty folder", "Check the path")
    names = [layout] if layout else list(LAYOUTS)
    found = _find(root, names, LEVELS_DOWN)
    if found is None:
        raise _unknown(root, layout)
    place, module = found
    return _rebased(module.index(place), place, root)


def _find(root: Path, names: list[str], levels: int) -> tuple[Path, ModuleType] | None:
    here = _recognised(root, names)
    if here or levels == 0 or not root.is_dir():
        return (root, here) if here else None
    below = folders(root)
    found = [(path, module) for path in below if (module := _recognised(path, names))]
    if len(found) > 1:
        got = ", ".join(path.name for path, _ in found[:6]) + (" ..." if len(found) > 6 else "")
        raise ReadError(root, "the folder holds one data set", got, "Name one of these folders")
    if found:
        return found[0]
    return _find(below[0], names, levels - 1) if len(below) == 1 else None


def _recognised(root: Path, names: list[str]) -> ModuleType | None:
    modules = (import_module(f"{__name__}.{LAYOUTS[name]}") for name in names)
    return next((module for module in modules if module.matches(root)), None)


def _unknown(root: Path, layout: str | None) -> ReadError:
    kind = "a file" if root.is_file() else "a folder"
    if layout:
        got = f"{kind} that is none"
        return ReadError(
            root, f"must be of layout {layout}", got, "Leave --layout out to detect it"
        )
    rule = f"must be of a known layout ({', '.join(LAYOUTS)})"
    got, held = f"{kind} in none of them", []
    if root.is_dir():
        held = sorted(path.name for path in root.iterdir())
        got += f" ({', '.join(held[:4])}{' ...' if len(held) > 4 else ''})"
    remedy = "Put images in a folder per class, or in images/ with masks in labels/"
    return ReadError(root, rule, got, remedy)


def _rebased(index: Index, place: Path, root: Path) -> Index:
    """The same index seen from `root`: paths below `place` become paths below `root`."""
    start = "" if place == root else f"{relative(place, root)}/"
    cases: tuple[Case, ...] = index.cases
    if start:
        cases = tuple(replace(case, id=start + case.id) for case in cases)
    problems = tuple(_seen_from(root, start, one) for one in index.problems)
    return replace(index, root=root.absolute(), cases=cases, problems=problems)


def _seen_from(root: Path, start: str, one: Problem) -> Problem:
    path = Path(one.path)
    if path.is_absolute():
        top = root.absolute() if root.is_dir() else root.absolute().parent
        inside = path.is_relative_to(top)
        return replace(one, path=path.relative_to(top).as_posix()) if inside else one
    return replace(one, path=start + one.path)
