"""Folders of EDF recordings: labelled by annotations, by hypnograms beside them, by a table."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.errors import ReadError

_place = Path(__file__).parents[1] / "readers/edf_files.py"
_spec = importlib.util.spec_from_file_location("edf_files", _place)
edf_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(edf_files)
Channel, save_edf, tal = edf_files.Channel, edf_files.save_edf, edf_files.tal


def record(path: Path, *, patient: str = "X X X X", seed: int = 0, marks: bytes = b"") -> Path:
    """Four seconds at 100 Hz with annotations in the first record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-900, 900, 400)
    notes = [tal(i) + (marks if i == 0 else b"") for i in range(4)]
    channels = [Channel(samples, 100)]
    return save_edf(path, channels, notes=notes, kind="EDF+C", patient=patient)


TASKS = b"".join(tal(0.5 + 0.4 * i, f"T{i % 2}", duration=0.2) for i in range(8))


def test_annotations_of_classes_are_events(tmp_path):
    for number in (10, 9):
        record(tmp_path / f"r{number}.edf", patient=f"P{number} X X X", seed=number, marks=TASKS)
    record(tmp_path / "bare.edf", seed=3)
    found = inspect_data(tmp_path)
    index = found.index
    assert (index.layout, index.task, index.spatial_dims) == ("edf", "classify", 1)
    assert index.events
    assert index.classes == ("T0", "T1")
    assert [(c.id, c.subject) for c in found.cases] == [("r9.edf", "P9"), ("r10.edf", "P10")]
    assert found.unit_source == "EDF patient code"
    assert [(p.code, p.path) for p in found.problems] == [("missing-label", "bare.edf")]
    assert [row["count"] for row in found.class_counts] == [8, 8]
    events = found.load(found.cases[0]).target
    assert events.positions.tolist() == [60 + 40 * i for i in range(8)]
    assert events.labels.tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("recording", "hypnogram"),
    [
        ("SC4001E0-PSG.edf", "SC4001EC-Hypnogram.edf"),
        ("night1.edf", "night1_annotations.edf"),
    ],
)
def test_a_hypnogram_beside_its_recording(tmp_path, recording, hypnogram):
    samples = np.random.default_rng(0).integers(-900, 900, 480)
    save_edf(tmp_path / recording, [Channel(samples, 4)])
    stages = tal(0) + tal(0, "Sleep stage W", duration=60) + tal(60, "Sleep stage 2", duration=60)
    save_edf(tmp_path / hypnogram, [], notes=[stages], kind="EDF+C", record_s=0)
    found = inspect_data(tmp_path)
    assert [case.id for case in found.cases] == [recording]
    assert found.index.classes == ("Sleep stage 2", "Sleep stage W")
    assert found.index.extra == {"event_seconds": 30.0}
    events = found.load(found.cases[0]).target
    assert (events.positions.tolist(), events.labels.tolist()) == (
        [60, 180, 300, 420],
        [1, 1, 0, 0],
    )
    assert not [p for p in found.problems if p.path]


def test_a_table_gives_whole_recordings_a_class(tmp_path):
    for name in ("a", "b", "c"):
        record(tmp_path / f"{name}.edf", seed=ord(name))
    (tmp_path / "REFERENCE.csv").write_text("a.edf,ill\nb,well\ngone,well\n")
    index = detect(tmp_path)
    assert (index.layout, index.events, index.classes) == ("edf", False, ("ill", "well"))
    assert [(c.id, c.target, c.subject) for c in index.cases] == [
        ("a.edf", 0, "a"),
        ("b.edf", 1, "b"),
    ]
    assert {p.code for p in index.problems} == {"missing-label", "missing-image"}


def test_a_folder_per_class_and_a_manifest_hold_recordings(tmp_path):
    for name in ("ill", "well"):
        record(tmp_path / f"one/{name}/1.edf")
        record(tmp_path / f"two/{name}.edf")
    assert detect(tmp_path / "one").layout == "class-folders"
    (tmp_path / "two/all.csv").write_text("path,label\nill.edf,x\nwell.edf,y\n")
    assert detect(tmp_path / "two").layout == "manifest"


def test_without_labels_all_is_for_prediction(tmp_path):
    for name in ("a", "b"):
        record(tmp_path / f"{name}.edf", marks=tal(1, f"remark {name}"))
    index = detect(tmp_path)
    assert [Path(path).name for path in index.unlabelled] == ["a.edf", "b.edf"]
    assert detect(tmp_path / "a.edf").unlabelled == index.unlabelled[:1]


def test_damaged_and_odd_recordings_are_told(tmp_path):
    record(tmp_path / "a.edf", marks=TASKS + TASKS)
    samples = np.random.default_rng(1).integers(-900, 900, 400)
    channels = [Channel(samples, 100, "F1"), Channel(samples[::2], 50, "F1")]
    notes = [tal(i) + (TASKS if i == 0 else b"") for i in range(4)]
    save_edf(tmp_path / "odd.edf", channels, notes=notes, kind="EDF+C")
    (tmp_path / "cut.edf").write_bytes((tmp_path / "a.edf").read_bytes()[:-300])
    index = detect(tmp_path)
    assert [(p.code, p.path) for p in index.problems] == [
        ("truncated", "cut.edf"),
        ("duplicate-channels", "odd.edf"),
        ("mixed-rates", "odd.edf"),
    ]
    with pytest.raises(ReadError, match=r"cut\.edf: .*truncated"):
        detect(tmp_path / "cut.edf")
