"""Time series of the UCR and UEA archives: `.ts`, `.arff`, columns of numbers in text; `.csv`.

First step of the road for series: path and place in the file -> Header or Raw; `labels` -> classes.
A file holds many series; each is (C, T) float32, C dimensions of T time steps.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from convivo.data.readers import series_csv
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES: tuple[str, ...] = (".arff", ".ts", ".tsv", ".txt", series_csv.SUFFIX)

_MISSING = frozenset({"?", "", "nan", "na"})
_RATE = re.compile(r"sampling[ _]rate[^:=]*[:=]+\s*([0-9.eE+]+)", re.I)
# One ARFF or ts token: a quoted text with backslash escapes, or anything up to the next comma.
_FIELD = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^,]*))\s*(?:,|$)", re.S)

Rows = Iterator[tuple[str | None, np.ndarray]]


@dataclass(frozen=True)
class _File:
    """All series of a file, the label of each (None without one), the rate and the subjects if it
    tells them."""

    series: tuple[np.ndarray, ...]
    labels: tuple[str | None, ...]
    rate_hz: float | None = None
    subjects: tuple[str, ...] = ()


def header(path: Path, index: int | None = None) -> Header:
    """The header of one series; without `index`, of the longest one, with `count` of them all.

    Raises:
        ReadError: no such file or series, or a file that is not of its format.
    """
    file = _load(path)
    if index is None:
        series = max(file.series, key=lambda values: values.shape[1])
    else:
        series = file.series[_checked(path, index, len(file.series))]
    return Header(
        shape=(series.shape[1],),
        channels=series.shape[0],
        dtype="float32",
        axes="T",
        spacing=(1.0 / file.rate_hz,) if file.rate_hz else None,
        spacing_unit="s" if file.rate_hz else "samples",
        count=len(file.series),
    )


def read(path: Path, index: int | None = None) -> Raw:
    """One series as (C, T) float32; missing values inside are NaN, missing ends are cut off.

    Raises:
        ReadError: as in `header`, or no `index` where the file holds several series.
    """
    file = _load(path)
    if index is None and len(file.series) > 1:
        got = f"{len(file.series)} series"
        raise ReadError(path, "one series is read at a time", got, f"Name one: {path}#0")
    place = _checked(path, index or 0, len(file.series))
    return Raw(array=file.series[place].copy(), header=header(path, place))


def labels(path: Path) -> list[str | None]:
    """The class of every series as text, in file order; None where a series has none.

    Raises:
        ReadError: no such file, or a file that is not of its format.
    """
    return list(_load(path).labels)


def subjects(path: Path) -> list[str]:
    """Whose each series is, in file order; [] where the file does not tell.

    Raises:
        ReadError: as of `labels`.
    """
    return list(_load(path).subjects)


def _load(path: Path) -> _File:
    path = Path(path)
    try:
        state = path.stat()
        return _parse(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(path, "a file must be there", error.strerror, "Check the path") from error


@lru_cache(maxsize=4)
def _parse(path: Path, mtime_ns: int, size: int) -> _File:
    """Parse a whole file; time stamp and size are there to notice a changed one."""
    content = path.read_bytes()
    if b"\0" in content:
        raise ReadError(path, "series are stored as text", "binary content", "Check the format")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # old archives: accents and quotes in the comments
    lines = text.splitlines()
    parse = {".arff": _arff, ".ts": _ts, series_csv.SUFFIX: _csv}.get(path.suffix.lower(), _columns)
    rows = [(label, _without_tail(series)) for label, series in parse(path, lines)]
    if not rows:
        raise ReadError(path, "a file holds at least one series", "none", "Check the file")
    _check_channels(path, [series.shape[0] for _, series in rows])
    found = next((_RATE.search(line) for line in lines[:50] if _RATE.search(line)), None)
    return _File(
        series=tuple(series for _, series in rows),
        labels=tuple(label for label, _ in rows),
        rate_hz=float(found.group(1)) if found else None,
        subjects=_subjects(lines) if path.suffix.lower() == series_csv.SUFFIX else (),
    )


def _ts(path: Path, lines: list[str]) -> Rows:
    """`.ts`: keys with @, then one series a line, its dimensions and its class separated by `:`."""
    keys: dict[str, str] = {}
    body = False
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if body:
            yield _ts_row(f"{path}:{number}", line, keys["@classlabel"].startswith("true"))
        elif line.startswith("@"):
            key, *value = line.lower().split(None, 1)
            keys[key] = value[0] if value else ""
            body = key == "@data"
            if body:
                _check_ts(path, keys)
        else:
            raise ReadError(f"{path}:{number}", "a .ts file begins with @ keys", line[:40], _FORMAT)
    if not body:
        raise ReadError(path, "a .ts file has a line @data", "none", _FORMAT)


_FORMAT = "Check that the suffix names the format"


def _check_ts(path: Path, keys: dict[str, str]) -> None:
    if keys.get("@timestamps", "false") == "true":
        remedy = "Resample it to equal steps, without time stamps"
        raise ReadError(path, "series have equal time steps", "@timeStamps true", remedy)
    if keys.get("@targetlabel", "false").startswith("true"):
        raise ReadError(path, "series have classes", "@targetLabel true", "Use a @classLabel")
    keys.setdefault("@classlabel", "false")


def _ts_row(where: str, line: str, labelled: bool) -> tuple[str | None, np.ndarray]:
    if "(" in line:
        remedy = "Resample it to equal steps, without time stamps"
        raise ReadError(where, "series have equal time steps", "(time, value) pairs", remedy)
    parts = line.split(":")
    label = _label(parts.pop()) if labelled else None
    if not parts:
        raise ReadError(where, "a line holds values and a class", line[:40], _FORMAT)
    return label, _stack([_numbers(where, part.split(",")) for part in parts])


def _arff(path: Path, lines: list[str]) -> Rows:
    """`.arff`: a numeric attribute a time step, or one relational attribute; class last."""
    attributes: list[str] = []
    depth, body = 0, False
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("%"):
            continue
        if body:
            yield _arff_row(f"{path}:{number}", line, attributes)
            continue
        key = line.split(None, 1)[0].lower()
        if key == "@attribute":
            relational = line.lower().endswith(" relational")
            if depth == 0:
                attributes.append("relational" if relational else line)
            depth += relational
        elif key == "@end":
            depth -= 1
        elif key == "@data":
            body = True
            _check_arff(path, attributes)
        elif key != "@relation":
            raise ReadError(f"{path}:{number}", "an .arff file has @ keys", line[:40], _FORMAT)
    if not body:
        raise ReadError(path, "an .arff file has a line @data", "none", _FORMAT)


def _check_arff(path: Path, attributes: list[str]) -> None:
    last = attributes[-1] if attributes else "none"
    if len(attributes) < 2 or last.lower().split()[-1] in {"numeric", "real", "integer"}:
        rule = "the last attribute is the class"
        raise ReadError(path, rule, last, "Store the class as a list of names {a,b}")


def _arff_row(where: str, line: str, attributes: list[str]) -> tuple[str | None, np.ndarray]:
    if line.startswith("{"):
        raise ReadError(where, "rows list every value", "a sparse row", "Store it dense")
    cells = _fields(line)
    if len(cells) != len(attributes):
        got = f"{len(cells)} values for {len(attributes)} attributes"
        raise ReadError(where, "a row has one value per attribute", got, "Correct the row")
    *values, label = cells
    if "relational" not in attributes:
        return _label(label), _numbers(where, values)[None]
    # A relational value holds one dimension a line; its line ends are written as \n.
    rows = [row for row in re.split(r"\\n|\n", values[0]) if row.strip()]
    return _label(label), _stack([_numbers(where, row.split(",")) for row in rows])


def _fields(line: str) -> list[str]:
    r"""Comma-separated fields, quotes taken off.

    Example:
        >>> _fields("'1,2\\n3,4', a b")
        ['1,2\\n3,4', 'a b']
    """
    if "'" not in line and '"' not in line:
        return [field.strip() for field in line.split(",")]
    cells, place = [], 0
    while place < len(line):
        match = _FIELD.match(line, place)
        if match is None:  # text after a closing quote: leave the rest as one wrong field
            return [*cells, line[place:]]
        cells.append(next(group for group in match.groups() if group is not None).strip())
        place = match.end()
    return cells


def _columns(path: Path, lines: list[str]) -> Rows:
    """Rows of numbers, class first; a single column of numbers is one series without a class."""
    kept = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
    kept = [(n, line) for n, line in kept if not line.startswith(("#", "%", "@"))]
    rows = [(n, [cell.strip() for cell in _split(line)]) for n, line in kept]
    if rows and all(len(cells) == 1 for _, cells in rows):
        values = [_numbers(f"{path}:{n}", cells) for n, cells in rows]
        yield None, np.concatenate(values)[None]
        return
    for n, (label, *cells) in rows:
        if not cells:
            raise ReadError(f"{path}:{n}", "a row holds a class and values", label[:40], _FORMAT)
        yield _label(_whole(label)), _numbers(f"{path}:{n}", cells)[None]


def _csv(path: Path, lines: list[str]) -> Rows:
    """A table with a row for each series; rows of another width are refused."""
    columns = series_csv.columns_of(lines)
    if columns is None:
        rule = f"a table of series has {series_csv.LEAST_NAMED} columns of values or more"
        raise ReadError(path, rule, "another table", "Name its columns 0, 1, 2, ... and label")
    width = 0
    for number, row in enumerate(csv.reader(lines, delimiter=columns.delimiter), 1):
        if number <= columns.first or not row:
            width = width or len(row)
            continue
        width = width or len(row)
        if len(row) != width:
            where, got = f"{path}:{number}", f"{len(row)} cells"
            raise ReadError(where, f"a row has {width} cells", got, "Correct the row")
        label = None if columns.label is None else _label(_whole(row[columns.label]))
        values = [row[place] for place in columns.values]
        yield label, _numbers(f"{path}:{number}", values)[None]


def _subjects(lines: list[str]) -> tuple[str, ...]:
    columns = series_csv.columns_of(lines)
    if columns is None or columns.subject is None:
        return ()
    rows = [row for row in csv.reader(lines, delimiter=columns.delimiter) if row]
    return tuple(row[columns.subject].strip() for row in rows[columns.first :])


def _split(line: str) -> list[str]:
    if "," in line:
        return line.split(",")
    return line.split("\t") if "\t" in line else line.split()


def _whole(label: str) -> str:
    """A class number without its decimals: older files store 1 as 1.0000000e+00."""
    try:
        value = float(label)
    except ValueError:
        return label
    return str(int(value)) if value.is_integer() else label


def _label(text: str) -> str | None:
    text = text.strip()
    return None if text.lower() in _MISSING else text


def _numbers(where: str, cells: list[str]) -> np.ndarray:
    """(T,) float32; missing values are NaN."""
    try:
        return np.asarray(cells, dtype=np.float64).astype(np.float32)
    except ValueError:
        pass
    try:
        filled = ["nan" if cell.strip().lower() in _MISSING else cell for cell in cells]
        return np.asarray(filled, dtype=np.float64).astype(np.float32)
    except ValueError as error:
        reason = str(error).rpartition(":")[2].strip() or error
        raise ReadError(where, "values are numbers", reason, _FORMAT) from error


def _stack(dimensions: list[np.ndarray]) -> np.ndarray:
    """(C, T) from C dimensions; shorter ones end in NaN."""
    length = max((values.size for values in dimensions), default=0)
    stacked = np.full((len(dimensions), length), np.nan, dtype=np.float32)
    for row, values in zip(stacked, dimensions, strict=True):
        row[: values.size] = values
    return stacked


def _without_tail(series: np.ndarray) -> np.ndarray:
    """The series up to its last step with a value: archives pad unequal lengths with NaN.

    Example:
        >>> _without_tail(np.array([[1.0, np.nan, 3.0, np.nan]])).tolist()
        [[1.0, nan, 3.0]]
    """
    known = np.flatnonzero(~np.isnan(series).all(axis=0))
    return series[:, : known[-1] + 1] if known.size else series


def _check_channels(path: Path, counts: list[int]) -> None:
    if len(set(counts)) > 1:
        rule = "every series has the same dimensions"
        raise ReadError(path, rule, f"{min(counts)} to {max(counts)}", "Split the file")


def _checked(path: Path, index: int, count: int) -> int:
    if not 0 <= index < count:
        rule = f"the file holds the series 0 to {count - 1}"
        raise ReadError(path, rule, f"number {index}", "Check the id")
    return index
