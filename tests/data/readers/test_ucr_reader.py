"""Series of the UCR and UEA archives: every format they come in, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import ucr as reader
from convivo.errors import ReadError

REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the checkout")

ARFF = """%by “someone”, for 1 °C
@Relation things

@attribute att1 numeric
@ATTRIBUTE 'att 2' REAL
@attribute att3 numeric
@attribute target {-1,'a b'}
@data
1.5,?,2e1,'a b'
% a comment between
 1, 2, 3,-1
"""
RELATIONAL = """@relation things
@attribute series relational
@attribute t1 numeric
@attribute t2 numeric
@end series
@attribute class {walk,run}
@data
'1,2,3\\n4,5,?',walk
"7,8\\n9,10",run
"""
TS = """# a comment
@problemName things
@timeStamps false
@univariate false
@classLabel true walk run
@data
1,2,3:4,?,6:walk
7,8,9:10,NaN:run
"""


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def values(path: Path, index: int) -> list:
    return np.where(np.isnan(a := reader.read(path, index).array), -99, a).tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_univariate_arff(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "x.arff", ARFF, encoding)
    assert reader.labels(path) == ["a b", "-1"]
    assert values(path, 0) == [[1.5, -99, 20]]
    assert values(path, 1) == [[1, 2, 3]]
    head = reader.header(path, 1)
    assert (head.shape, head.channels, head.count, head.axes) == ((3,), 1, 2, "T")
    assert (head.spacing, head.spacing_unit) == (None, "samples")


def test_relational_arff_has_a_channel_per_line(tmp_path: Path) -> None:
    path = write(tmp_path, "x.arff", RELATIONAL)
    assert reader.labels(path) == ["walk", "run"]
    assert values(path, 0) == [[1, 2, 3], [4, 5, -99]]
    assert values(path, 1) == [[7, 8], [9, 10]]


def test_ts_has_a_channel_per_colon(tmp_path: Path) -> None:
    path = write(tmp_path, "x.ts", TS)
    assert reader.labels(path) == ["walk", "run"]
    assert values(path, 0) == [[1, 2, 3], [4, -99, 6]]
    assert values(path, 1) == [[7, 8, 9], [10, -99, -99]]
    assert reader.read(path, 0).array.dtype == np.float32


def test_ts_without_classes(tmp_path: Path) -> None:
    path = write(tmp_path, "x.ts", "@classLabel false\n@data\n1,2:3,4\n")
    assert reader.labels(path) == [None]
    assert values(path, 0) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("separator", ["\t", ",", "   ", ", "])
def test_columns_of_text_begin_with_the_class(tmp_path: Path, separator: str) -> None:
    rows = [["1.0000000e+00", "1.5", "2", "3"], ["-1", "4", "NaN", "NaN"]]
    text = "\n".join(separator.join(row) for row in rows)
    path = write(tmp_path, "x_TRAIN.txt", text)
    assert reader.labels(path) == ["1", "-1"]
    assert values(path, 0) == [[1.5, 2, 3]]
    assert values(path, 1) == [[4]]  # archives pad shorter series at their end


def test_one_column_is_one_series_with_its_rate(tmp_path: Path) -> None:
    path = write(tmp_path, "ecg.txt", "# Sampling Rate (Hz):= 500.00\n2044.0\n2051\n\n2060\n")
    raw = reader.read(path)
    assert raw.array.tolist() == [[2044, 2051, 2060]]
    assert (raw.header.spacing, raw.header.spacing_unit) == ((0.002,), "s")
    assert reader.labels(path) == [None]


def test_a_read_series_is_the_callers_own(tmp_path: Path) -> None:
    path = write(tmp_path, "x.ts", TS)
    reader.read(path, 0).array[:] = 0
    assert values(path, 0)[0] == [1, 2, 3]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "1\t2\t3\n")
    assert values(path, 0) == [[2, 3]]
    write(tmp_path, "x.tsv", "1\t7\t8\n")
    os.utime(path, (1, 1))
    assert values(path, 0) == [[7, 8]]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("x.ts", "@timeStamps true\n@data\n(1,2):a\n", "equal time steps; got @timeStamps true"),
        ("x.ts", "@classLabel true a\n@data\n(0,1),(1,2):a\n", r"x\.ts:3: .*\(time, value\) pairs"),
        ("x.ts", "@targetLabel true\n@data\n1,2:0.5\n", "series have classes"),
        ("x.ts", "@classLabel true a\n", r"has a line @data; got none"),
        ("x.ts", "export const x = 1\n", r"x\.ts:1: a \.ts file begins with @ keys"),
        ("x.ts", "@classLabel true a\n@data\n1,two:a\n", r"x\.ts:3: values are numbers; got 'two'"),
        ("x.ts", "@classLabel true a\n@data\n1,2:a\n1,2:3,4:a\n", "same dimensions; got 1 to 2"),
        ("x.ts", "@data\n", "at least one series; got none"),
        ("x.arff", "@attribute a numeric\n@attribute b numeric\n@data\n1,2\n", "is the class; got"),
        ("x.arff", "@relation r\n", "has a line @data"),
        ("x.arff", "hello\n", "has @ keys; got hello"),
        ("x.arff", ARFF + "1,2,3\n", "one value per attribute; got 3 values for 4"),
        ("x.arff", ARFF + "{0 1, 3 a}\n", "got a sparse row"),
        ("x.txt", "This is a README.\n", "values are numbers; got 'is'"),
        ("x.tsv", "1\t2\t3\n4\n", r"x\.tsv:2: a row holds a class and values"),
        ("x.tsv", "", "at least one series"),
        ("x.txt", "1 2\x003\n", "stored as text; got binary content"),
    ],
)
def test_a_file_of_another_format_is_refused(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    with pytest.raises(ReadError, match=reason):
        reader.read(write(tmp_path, name, text), 0)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"x\.ts: a file must be there; got No such file"):
        reader.header(tmp_path / "x.ts")


def test_a_series_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "x.ts", TS)
    with pytest.raises(ReadError, match="holds the series 0 to 1; got number 2"):
        reader.read(path, 2)
    with pytest.raises(ReadError, match=r"one series is read at a time; got 2 series"):
        reader.read(path)


@pytest.mark.data
@needs_real_data
def test_real_archives() -> None:
    ecg = REAL / "ecg200_ucr" / "ECG200_TRAIN.arff"
    motions = REAL / "basicmotions_uea" / "BasicMotions_TEST.ts"
    assert reader.labels(ecg).count("-1") == 31
    assert reader.read(ecg, 99).array.shape == (1, 96)
    assert reader.labels(motions).count("Running") == 10
    assert reader.read(motions, 39).array.shape == (6, 100)
    text = REAL / "odd_inputs" / "text_signals" / "ecg.txt"
    assert reader.read(text).array.shape == (1, 15_000)
