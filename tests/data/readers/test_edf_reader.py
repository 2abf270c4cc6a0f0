"""EDF, EDF+ and BDF: values, rates, gaps, annotations, subjects, and broken headers."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import read, read_events, read_header
from convivo.data.readers.edf import Annotation, doubts, read_annotations
from convivo.data.readers.moments import classes_in
from convivo.errors import ReadError

_place = Path(__file__).with_name("edf_files.py")
_spec = importlib.util.spec_from_file_location("edf_files", _place)
edf_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(edf_files)
Channel, save_edf, tal = edf_files.Channel, edf_files.save_edf, edf_files.tal

SAMPLES = np.random.default_rng(5).integers(-3000, 3000, 400)


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
def test_digital_values_become_millivolts(tmp_path, suffix):
    wide, step = (-3276.8, 3276.7), 0.1
    if suffix == ".bdf":
        wide, step = (-8388608, 8388607), 1.0
    channels = [Channel(SAMPLES, 100, physical=wide), Channel(-SAMPLES, 100, "Temp", "degC", wide)]
    path = save_edf(tmp_path / f"a{suffix}", channels, record_s=0.5)
    raw = read(path)
    assert raw.header == read_header(path)
    assert (raw.header.shape, raw.header.channels) == ((400,), 2)
    assert (raw.header.spacing, raw.header.spacing_unit) == ((0.005,), "s")
    assert raw.header.channel_names == ("ECG", "Temp")
    np.testing.assert_allclose(raw.array[0], SAMPLES * step / 1e3, atol=1e-6)  # uV -> mV
    np.testing.assert_allclose(raw.array[1], -SAMPLES * step, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
def test_another_reader_agrees(tmp_path, suffix):
    edfio = pytest.importorskip("edfio")
    notes = [tal(i) + tal(i + 0.25, f"t{i}", duration=0.5) for i in range(4)]
    channels = [Channel(SAMPLES, 100), Channel(SAMPLES[::2], 50, "Resp", "V")]
    kind = f"{suffix[1:].upper()}+C"
    path = save_edf(tmp_path / f"a{suffix}", channels, notes=notes, kind=kind)
    other = (edfio.read_bdf if suffix == ".bdf" else edfio.read_edf)(path)
    np.testing.assert_allclose(read(path).array[0], other.signals[0].data / 1e3, atol=1e-6)
    found = [(m.onset_s, m.duration_s, m.text) for m in read_annotations(path)]
    assert found == [(a.onset, a.duration, a.text) for a in other.annotations]


def test_rates_that_differ_go_to_the_commonest(tmp_path):
    time = np.arange(400) / 100
    wave = np.round(2000 * np.sin(2 * np.pi * 3 * time))
    channels = [
        Channel(wave, 100, "a"),
        Channel(wave[::2], 50, "b"),
        Channel(wave, 100, "c"),
        Channel(np.repeat(wave, 2), 200, "d"),
    ]
    path = save_edf(tmp_path / "a.edf", channels)
    raw = read(path)
    assert raw.array.shape == (4, 400)
    assert raw.header.spacing == (0.01,)
    middle = slice(40, -40)
    np.testing.assert_allclose(raw.array[1, middle], raw.array[0, middle], atol=5e-3)
    (doubt,) = doubts(path)
    assert doubt == (
        "mixed-rates",
        "channels are sampled at 50, 100, 200 Hz; all are resampled to 100 Hz",
    )
    two = save_edf(tmp_path / "b.edf", [Channel(wave, 100), Channel(wave[::2], 50)])
    assert read_header(two).spacing == (0.01,)  # of equals the highest


def test_gaps_are_nan_and_time_stays_true(tmp_path):
    starts = [0.5, 1.5, 4.5, 5.5]
    notes = [tal(s) + (tal(s + 0.1, "beat") if s > 4 else b"") for s in starts]
    path = save_edf(tmp_path / "a.edf", [Channel(SAMPLES, 100)], notes=notes, kind="EDF+D")
    array = read(path).array[0]
    assert array.shape == (600,)
    assert np.flatnonzero(np.isnan(array)).tolist() == list(range(200, 400))
    np.testing.assert_allclose(array[400:], SAMPLES[200:] * 1e-4, atol=1e-6)
    assert [round(m.onset_s, 6) for m in read_annotations(path)] == [4.1, 5.1]
    far = [tal(s) for s in (0, 1, 2, 9000)]
    path = save_edf(tmp_path / "b.edf", [Channel(SAMPLES, 100)], notes=far, kind="EDF+D")
    with pytest.raises(ReadError, match="spans at most 4 times its recorded length; got 9001 s"):
        read(path)
    back = [tal(s) for s in (0, 1, 0.5, 3)]
    path = save_edf(tmp_path / "c.edf", [Channel(SAMPLES, 100)], notes=back, kind="EDF+D")
    with pytest.raises(ReadError, match="follow each other in time; got records that overlap"):
        read(path)


@pytest.mark.parametrize(
    ("kind", "patient", "subject"),
    [
        ("EDF+C", "P17 F 02-MAY-1951 Doe_Jane", "P17"),
        ("EDF+C", "X F X Doe_Jane", None),
        ("", "Jane Doe", None),  # free text of plain EDF: it may be a name
    ],
)
def test_the_code_is_the_subject_and_the_name_stays_where_it_is(tmp_path, kind, patient, subject):
    notes = [tal(i) for i in range(4)]
    channels = [Channel(SAMPLES, 100)]
    path = save_edf(tmp_path / "a.edf", channels, notes=notes, kind=kind, patient=patient)
    head = read_header(path)
    assert head.subject == subject
    assert "Doe" not in repr(head)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ReadError) as caught:
        read_header(path)
    assert "Doe" not in str(caught.value)


def test_equal_labels_are_told_apart(tmp_path):
    channels = [Channel(SAMPLES, 100, label) for label in ("F1", "F2", "F1")]
    path = save_edf(tmp_path / "a.edf", channels)
    assert read_header(path).channel_names == ("F1", "F2", "F1 (2)")
    assert doubts(path) == [("duplicate-channels", "'F1' names several channels of the recording")]


def test_triggers_of_biosemi_are_no_signal(tmp_path):
    channels = [Channel(SAMPLES, 100), Channel(SAMPLES, 100, "Status")]
    assert read_header(save_edf(tmp_path / "a.bdf", channels)).channel_names == ("ECG",)


def test_annotations_alone_are_no_recording(tmp_path):
    notes = [tal(0) + tal(0, "Sleep stage W", duration=30)]
    path = save_edf(tmp_path / "a.edf", [], notes=notes, kind="EDF+C", record_s=0)
    with pytest.raises(ReadError, match="holds ordinary signals; got annotations only"):
        read_header(path)
    assert read_annotations(path) == [Annotation(0.0, 30.0, "Sleep stage W")]


def test_an_unclosed_recording_holds_the_records_that_are_there(tmp_path):
    path = save_edf(tmp_path / "a.edf", [Channel(SAMPLES, 100)])
    content = path.read_bytes()
    path.write_bytes(content[:236] + b"-1      " + content[244:-50])
    assert read_header(path).shape == (300,)


@pytest.mark.parametrize(
    ("place", "text", "message"),
    [
        (0, b"9       ", "must be an EDF or BDF file"),
        (236, b"many    ", "the number of records is a number; got 'many'"),
        (252, b"0   ", "the number of signals is a whole number from 1"),
        (244, b"0       ", "a record of signals lasts more than 0 s; got 0 s"),
        (256 + 120, b"32767   ", "has a range from low to high; got physical"),
        (256 + 216, b"-5      ", "the samples of 'ECG' is a whole number"),
        (236, b"99      ", "it is truncated"),
    ],
)
def test_broken_headers_are_one_error(tmp_path, place, text, message):
    path = save_edf(tmp_path / "a.edf", [Channel(SAMPLES, 100)])
    content = bytearray(path.read_bytes())
    content[place : place + len(text)] = text
    path.write_bytes(content)
    with pytest.raises(ReadError, match=message):
        read(path)


@pytest.mark.parametrize("length", [0, 5, 200, 300, 700])
def test_every_truncation_is_one_error(tmp_path, length):
    path = save_edf(tmp_path / "a.edf", [Channel(SAMPLES, 100)])
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ReadError, match=r"truncated|empty file"):
        read(path)


def test_broken_annotations_are_one_error(tmp_path):
    notes = [b"nonsense", b"", b"", b""]
    path = save_edf(tmp_path / "a.edf", [Channel(SAMPLES, 100)], notes=notes, kind="EDF+C")
    with pytest.raises(ReadError, match="lists of onset, duration and text; got b'nonsense'"):
        read_annotations(path)


def test_moments_of_the_classes(tmp_path):
    notes = [tal(i) for i in range(4)]
    notes[0] += tal(0, "W", duration=1) + tal(1.5, "N2") + tal(3.99, "W") + tal(9, "W")
    channels = [Channel(SAMPLES, 100)]
    path = save_edf(tmp_path / "a.edf", channels, notes=notes, kind="EDF+C")
    events = read_events(path, ("N2", "W"), read_header(path))
    assert events.positions.tolist() == [50, 150, 399]  # the one at 9 s is beyond the end
    assert events.labels.tolist() == [1, 0, 1]


def test_stages_are_cut_into_the_epochs_they_were_scored_in(tmp_path):
    channels = [Channel(np.tile(SAMPLES, 2), 4)]
    notes = [tal(i) for i in range(200)]
    notes[0] += tal(0, "Sleep stage W", duration=90) + tal(90, "Sleep stage 2", duration=60)
    path = save_edf(tmp_path / "a.edf", channels, notes=notes, kind="EDF+C")
    events = read_events(path, ("Sleep stage 2", "Sleep stage W"), read_header(path))
    assert events.positions.tolist() == [60, 180, 300, 420, 540]
    assert events.labels.tolist() == [1, 1, 1, 0, 0]


def test_texts_that_are_classes():
    def marks(**counts: int) -> list[Annotation]:
        return [Annotation(0.0, None, text) for text, n in counts.items() for _ in range(n)]

    assert classes_in([marks(T0=4, T1=5), marks(T0=1, remark=1)]) == ("T0", "T1")
    assert classes_in([marks(T0=50, remark=1)]) == ()
    stages = [Annotation(0.0, 30.0, f"Sleep stage {s}") for s in "W12?"]
    assert classes_in([stages]) == ("Sleep stage 1", "Sleep stage 2", "Sleep stage W")
    assert classes_in([]) == ()


BRAINVISION = """Brain Vision Data Exchange Header File Version 1.0
[Common Infos]
DataFile={data}
MarkerFile=a.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=2
SamplingInterval=4000
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=Fp1,,0.5,µV
Ch2=Fp2,,0.5,µV
"""
MARKERS = """Brain Vision Data Exchange Marker File, Version 1.0
[Common Infos]
DataFile=a.eeg
[Marker Infos]
Mk1=Stimulus,S  1,26,1,0
"""


def brainvision(folder: Path, data: str = "a.eeg") -> Path:
    (folder / "a.vhdr").write_text(BRAINVISION.format(data=data), encoding="utf-8")
    (folder / "a.vmrk").write_text(MARKERS)
    SAMPLES.astype("<i2").tofile(folder / "a.eeg")
    return folder / "a.vhdr"


def test_brainvision(tmp_path):
    pytest.importorskip("mne")
    path = brainvision(tmp_path)
    raw = read(path)
    assert raw.header == read_header(path)
    assert (raw.header.channel_names, raw.header.spacing) == (("Fp1", "Fp2"), (0.004,))
    np.testing.assert_allclose(raw.array, SAMPLES.reshape(-1, 2).T * 0.5e-3, atol=1e-7)
    events = read_events(path, ("Stimulus/S  1",), raw.header)
    assert (events.positions.tolist(), events.labels.tolist()) == ([25], [0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("../secret.eeg", "names files of its own folder; got \"DataFile='../secret.eeg'\""),
        ("gone.eeg", "its DataFile lies beside it; got no gone.eeg"),
    ],
)
def test_brainvision_stays_in_its_folder(tmp_path, data, message):
    with pytest.raises(ReadError) as caught:
        read(brainvision(tmp_path, data))
    assert message.replace('"', "") in str(caught.value).replace('"', "")
