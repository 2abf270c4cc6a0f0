"""Folders of WFDB records: labelled beats, labelled records, and what is left out."""

from pathlib import Path

import numpy as np
import pytest

from convivo.data.layouts import wfdb as layout
from convivo.data.readers.wfdb import write_annotation
from convivo.errors import ReadError

REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the checkout")


def add_record(folder: Path, name: str, symbols: str = "", comment: str = "") -> None:
    """A short record, with an annotation where symbols are given."""
    signal = np.arange(2 * 900, dtype="<i2")
    (folder / f"{name}.dat").write_bytes(signal.tobytes())
    lines = [f"{name} 2 360 900"] + [f"{name}.dat 16 200 16 0 0 0 0 {n}" for n in ("MLII", "V1")]
    (folder / f"{name}.hea").write_text("\n".join([*lines, comment]) + "\n")
    if symbols:
        positions = 100 * np.arange(len(symbols))
        write_annotation(name, positions, symbols, 360, folder, "atr")


def test_annotated_records_are_cases_of_beats(tmp_path: Path) -> None:
    for name, symbols in (("10", "NNV"), ("9", "NLA")):
        add_record(tmp_path, name, symbols)
    assert layout.matches(tmp_path)
    index = layout.index(tmp_path)
    assert (index.layout, index.task, index.spatial_dims, index.events) == (
        "wfdb",
        "classify",
        1,
        True,
    )
    assert index.classes == ("N", "S", "V", "F")
    assert [case.id for case in index.cases] == ["9.hea", "10.hea"]
    first = index.cases[0]
    assert first.image == (str(tmp_path / "9.hea"),)
    assert first.label == str(tmp_path / "9.atr")
    assert first.subject == "9"
    assert first.header is not None
    assert first.header.shape == (900,)
    assert index.subject_source == "WFDB record"
    assert index.extra == {"aami": True}
    assert index.problems == ()


def test_the_class_q_is_there_where_a_beat_has_it(tmp_path: Path) -> None:
    add_record(tmp_path, "1", "NN/")
    assert layout.index(tmp_path).classes == ("N", "S", "V", "F", "Q")


def test_a_patient_id_in_the_header_is_the_subject(tmp_path: Path) -> None:
    add_record(tmp_path, "1", "NV", "# Patient ID: 77")
    index = layout.index(tmp_path)
    assert index.cases[0].subject == "77"
    assert index.subject_source == "WFDB header comment"


def test_what_cannot_be_used_is_listed(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4", "5"):
        add_record(tmp_path, name, "NV")
    (tmp_path / "1.atr").unlink()
    (tmp_path / "2.dat").unlink()
    (tmp_path / "3.dat").write_bytes(b"short")
    (tmp_path / "4.atr").write_bytes(b"odd")
    (tmp_path / "._5.hea").write_bytes(b"left by a file manager")
    index = layout.index(tmp_path)
    assert [case.id for case in index.cases] == ["5.hea"]
    found = {Path(problem.path).name: problem.code for problem in index.problems}
    assert found == {
        "1.atr": "missing-label",
        "2.hea": "unreadable",
        "3.hea": "truncated",
        "4.atr": "truncated",
    }
    assert all(problem.severity == "warning" for problem in index.problems)


def test_segments_of_a_record_are_no_cases(tmp_path: Path) -> None:
    add_record(tmp_path, "s1")
    add_record(tmp_path, "s2")
    (tmp_path / "joint.hea").write_text("joint/2 2 360 1800\ns1 900\ns2 900\n")
    write_annotation("joint", np.array([50]), ["N"], 360, tmp_path, "atr")
    assert [case.id for case in layout.index(tmp_path).cases] == ["joint.hea"]


def test_a_reference_table_labels_whole_records(tmp_path: Path) -> None:
    for name in ("A1", "A2", "A3", "A4"):
        add_record(tmp_path, name)
    (tmp_path / "REFERENCE-original.csv").write_text("A1,O\nA2,O\n")
    (tmp_path / "REFERENCE.csv").write_text("A1,~\nA2,N\nA3,A\nA9,N\nA3,N\n")
    index = layout.index(tmp_path)
    assert not index.events
    assert index.classes == ("N", "~")
    assert [(case.id, case.target, case.label) for case in index.cases] == [
        ("A1.hea", 1, None),
        ("A2.hea", 0, None),
    ]
    found = [(problem.code, Path(problem.path).name) for problem in index.problems]
    assert found == [
        ("missing-label", "A3.hea"),
        ("missing-label", "A4.hea"),
        ("missing-image", "A9.hea"),
    ]


def test_a_table_with_a_header_may_name_the_patient(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        add_record(tmp_path, name)
    (tmp_path / "records.csv").write_text("Record,age,Label,Patient\nr1,3,AF,p7\nr2,4,SR,p8\n")
    index = layout.index(tmp_path)
    assert index.classes == ("AF", "SR")
    assert [case.subject for case in index.cases] == ["p7", "p8"]
    assert index.subject_source == "column of records.csv"


def test_a_row_without_a_label_is_refused(tmp_path: Path) -> None:
    add_record(tmp_path, "A1")
    (tmp_path / "REFERENCE.csv").write_text("A1,N\nA2\n")
    with pytest.raises(ReadError, match=r"REFERENCE\.csv:2: .*a record name and a label; got A2"):
        layout.index(tmp_path)


def test_records_without_labels_are_for_prediction(tmp_path: Path) -> None:
    add_record(tmp_path, "1")
    index = layout.index(tmp_path)
    assert index.cases == ()
    assert index.unlabelled == (str(tmp_path / "1.hea"),)
    assert index.problems == ()


def test_a_folder_without_records_is_none_of_these(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert not layout.matches(tmp_path)
    assert not layout.matches(tmp_path / "missing")
    with pytest.raises(ReadError, match=r"holds \.hea files; got none"):
        layout.index(tmp_path)


@pytest.mark.data
@needs_real_data
def test_mitbih_is_22_subjects_with_beats() -> None:
    index = layout.index(REAL / "mitbih")
    assert len(index.cases) == 22
    assert len({case.subject for case in index.cases}) == 22
    assert index.events
    assert index.problems == ()


@pytest.mark.data
@needs_real_data
def test_physionet_2017_takes_the_revised_labels() -> None:
    index = layout.index(REAL / "physionet2017_af" / "training2017")
    assert index.classes == ("A", "N", "O", "~")
    targets = [case.target for case in index.cases if case.target is not None]
    assert np.bincount(targets).tolist() == [55, 90, 55, 25]
