"""Time series of the UCR and UEA archives, or in CSV: a file, or a pair `X_TRAIN` and `X_TEST`.

Second step of the road for series: folder or file -> Index, one case per series.
"""

import re
from dataclasses import replace
from pathlib import Path

from convivo.data.readers import series_csv
from convivo.data.readers import ucr as reader
from convivo.data.sample import Case, Index, Problem, Split
from convivo.errors import ReadError

NAME = "ucr"

# The archives give the same data in several formats; the first here says most about itself.
_PREFERENCE = (".ts", ".arff", ".tsv", ".txt", ".csv")
_PAIR = re.compile(r"(?P<name>.+)_(?P<part>TRAIN|TEST)$", re.I)
_DIMENSION = re.compile(r"Dimension\d+$", re.I)
_NUMBER_ROW = re.compile(r"^[^,\t ]+([,\t ]+([-+0-9.eE]+|\?|nan))+$", re.I)
_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


def matches(root: Path) -> bool:
    """Whether `root` is such a file or a folder that holds one; a README.txt is none."""
    root = Path(root)
    if root.is_file():
        return _is_series(root)
    return root.is_dir() and bool(_candidates(root))


def index(root: Path) -> Index:
    """All series of a file, or of the one data set in a folder; a pair is a given split.

    Classes are sorted by value where all are numbers, else by name.

    Raises:
        ReadError: no series, several data sets in a folder, or a file that is not of its format.
    """
    root = Path(root)
    files = [root] if root.is_file() else _data_set(root)
    top = root.parent if root.is_file() else root
    found = {path: reader.labels(path) for path in files}
    names = {name for given in found.values() for name in given if name is not None}
    classes = sort_classes(names)
    cases: list[Case] = []
    problems: list[Problem] = []
    known = False
    for path, given in found.items() if classes else ():
        split = _split(path) if len(files) > 1 else None
        whose = reader.subjects(path)
        known = known or bool(whose)
        for place, name in enumerate(given):
            case_id = f"{path.relative_to(top).as_posix()}#{place}"
            if name is None:
                problems.append(_missing_label(f"{path.absolute()}#{place}"))
            else:
                case = _case(case_id, path, place, classes.index(name), split)
                cases.append(replace(case, subject=whose[place] or None) if whose else case)
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=1,
        cases=tuple(cases),
        classes=classes,
        subject_source="column of the table" if known else None,
        problems=tuple(problems),
        unlabelled=() if classes else tuple(str(path.absolute()) for path in files),
    )


def sort_classes(names: set[str]) -> tuple[str, ...]:
    """Class names by value where all are numbers, else by name.

    Example:
        >>> sort_classes({"1", "-1", "10"}), sort_classes({"b", "a", "1"})
        (('-1', '1', '10'), ('1', 'a', 'b'))
    """
    try:
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(names))


def _case(case_id: str, path: Path, place: int, target: int, split: Split | None) -> Case:
    return Case(
        id=case_id,
        image=(str(path.absolute()),),
        index=place,
        target=target,
        split=split,
        header=reader.header(path, place),
    )


def _split(path: Path) -> Split | None:
    match = _PAIR.match(path.stem)
    return _SPLITS[match["part"].lower()] if match else None


def _data_set(root: Path) -> list[Path]:
    """The files of the one data set in a folder, train before test, in the best format there."""
    files = _candidates(root)
    if not files:
        raise ReadError(
            root, "a folder of series holds .ts, .arff, .tsv, .txt or .csv", "none", _REMEDY
        )
    names = {_name(path) for path in files}
    # Multivariate sets also come as one univariate file per dimension; the joint file says it all.
    names = {name for name in names if _DIMENSION.sub("", name) not in names - {name}}
    if len(names) > 1:
        got = ", ".join(sorted(names)[:5])
        raise ReadError(root, "a folder of series holds one data set", got, _REMEDY)
    files = [path for path in files if _name(path) in names]
    best = min((path.suffix.lower() for path in files), key=_PREFERENCE.index)
    return sorted(
        (path for path in files if path.suffix.lower() == best),
        key=lambda path: (_split(path) != "train", path.name),
    )


_REMEDY = "Pass the path of one file"


def _candidates(root: Path) -> list[Path]:
    """Files of series in a folder: those named as pairs if there are any, else all that parse."""
    files = [path for path in sorted(root.iterdir()) if path.suffix.lower() in reader.SUFFIXES]
    files = [path for path in files if path.is_file() and not path.name.startswith(".")]
    pairs = [path for path in files if _PAIR.match(path.stem) and _is_series(path)]
    return pairs or [path for path in files if _is_series(path) and _is_table(path)]


def _name(path: Path) -> str:
    match = _PAIR.match(path.stem)
    return (match["name"] if match else path.stem).lower()


def _is_series(path: Path) -> bool:
    """Whether suffix and name, or the first line of content, say that this holds series."""
    suffix = path.suffix.lower()
    if suffix in {".ts", ".arff"}:
        return _first_line(path, "#%").startswith("@")  # .ts is also a video and a program
    if suffix not in reader.SUFFIXES:
        return False
    if suffix == series_csv.SUFFIX:  # mostly a table of something else
        return series_csv.columns_of(_first_lines(path, "")) is not None
    return bool(_PAIR.match(path.stem) or _NUMBER_ROW.match(_first_line(path, "#%@")))


def _is_table(path: Path) -> bool:
    """Whether an unpaired text file is series, not a few numbers that go with other data."""
    if path.suffix.lower() in {".ts", ".arff"}:
        return True
    if any(entry.is_dir() for entry in path.parent.iterdir()):
        return False
    if path.suffix.lower() == series_csv.SUFFIX:  # known to have columns enough
        return True
    rows = _first_lines(path, "#%@")[:2]
    return len(rows) == 2 and all(len(re.split(r"[,\t ]+", row)) >= 5 for row in rows)


def _first_line(path: Path, comments: str) -> str:
    return next(iter(_first_lines(path, comments)), "")


def _first_lines(path: Path, comments: str) -> list[str]:
    """The lines that are neither blank nor a comment, from the first 64 KiB."""
    with path.open("rb") as file:
        text = file.read(65536).decode("latin-1").removeprefix("\xef\xbb\xbf")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line[0] not in comments]


def _missing_label(path: str) -> Problem:
    return Problem(
        severity="warning",
        code="missing-label",
        path=path,
        message="the series has no class; it is left out",
        remedy="Add the class or use the series to predict",
    )
