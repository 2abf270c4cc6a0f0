"""Series in CSV: a row each, with or without names of columns, the class wherever it stands."""

import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.data.readers import read
from convivo.errors import ReadError

LENGTH = 40


def rows_of(count, classes=(0, 1)):
    rng = np.random.default_rng(count)
    kinds = sorted(classes[n % len(classes)] for n in range(count))  # as many tables are
    return kinds, np.round(rng.random((count, LENGTH)), 4)


def write(path, rows, names=None, delimiter=","):
    lines = [names] if names else []
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in [*lines, *rows]) + "\n")


@pytest.mark.parametrize("last", [True, False])
def test_without_names_and_the_class_at_either_end(tmp_path, last):
    kinds, values = rows_of(400, (0, 1, 4))
    for part, rows in (("train", range(0, 400, 2)), ("test", range(1, 400, 2))):
        write(tmp_path / f"beats_{part}.csv", [
            [*values[n], f"{kinds[n]:.1f}"] if last else [kinds[n], *values[n]] for n in rows
        ])  # fmt: skip
    index = detect(tmp_path)
    assert (index.layout, index.task, index.classes) == ("ucr", "classify", ("0", "1", "4"))
    assert [case.split for case in index.cases] == ["train"] * 200 + ["test"] * 200
    case = index.cases[3]
    assert (case.id, case.header.shape) == ("beats_train.csv#3", (LENGTH,))
    np.testing.assert_array_equal(load(case, index).image[0], values[6].astype(np.float32))


def test_columns_named_by_numbers_beside_class_and_patient(tmp_path):
    kinds, values = rows_of(60, ("healthy", "tumour"))
    write(
        tmp_path / "raman.csv",
        [[f"s{n}", f"p{n // 3}", kinds[n], *values[n]] for n in range(60)],
        ["sample_id", "patient", "diagnosis", *(f"{400 + 3.5 * n:.1f}" for n in range(LENGTH))],
        ";",
    )
    found = inspect_data(tmp_path)
    assert found.index.classes == ("healthy", "tumour")
    assert (found.unit, len(set(found.units.values()))) == ("subject", 20)
    assert found.unit_source == "column of the table"


def test_columns_named_by_a_word_and_a_number(tmp_path):
    kinds, values = rows_of(50, (1, 5))
    write(
        tmp_path / "data.csv",
        [[f"X{n}.V1", *(100 * values[n]).astype(int), kinds[n]] for n in range(50)],
        ["", *(f"X{n}" for n in range(1, LENGTH + 1)), "y"],
    )
    assert detect(tmp_path / "data.csv").classes == ("1", "5")


def test_a_table_without_classes_is_for_prediction(tmp_path):
    write(tmp_path / "a.csv", rows_of(9)[1])
    index = detect(tmp_path)
    assert (index.cases, len(index.unlabelled)) == ((), 1)
    assert read(tmp_path / "a.csv", 8).array.shape == (1, LENGTH)


def test_tables_of_other_things_are_no_series(tmp_path):
    features = [f"feature_{word}" for word in ("mean", "error", "worst")]
    write(tmp_path / "a.csv", [[1.0, 2.0, 3.0, 0]] * 9, [*features, "target"])
    for root in (tmp_path, tmp_path / "a.csv"):
        with pytest.raises(ReadError, match="must be of a known layout"):
            detect(root)
    with pytest.raises(ReadError, match=r"a table of series has 20 columns of values or more; got"):
        read(tmp_path / "a.csv", 0)


def test_a_row_of_another_width_is_named(tmp_path):
    kinds, values = rows_of(40)
    rows = [[*values[n], kinds[n]] for n in range(40)]
    rows[7] = rows[7][:-3]
    write(tmp_path / "a.csv", rows)
    with pytest.raises(
        ReadError, match=rf"a\.csv:8: a row has {LENGTH + 1} cells; got {LENGTH - 2}"
    ):
        detect(tmp_path)
