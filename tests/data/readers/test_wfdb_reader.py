"""WFDB records and annotations: what comes back, and what is refused with a reason."""

import sys
from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import wfdb as reader
from convivo.errors import ReadError, UsageError

REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the checkout")
CLASSES = ("N", "S", "V", "F", "Q")


def write_record(folder: Path, name: str, digital: np.ndarray, head: str = "") -> Path:
    """A record in format 16: 200 units per mV, signals (C, T)."""
    lines = [f"{name} {len(digital)} 360 {digital.shape[1]}"]
    lines += [f"{name}.dat 16 200 16 0 0 0 0 lead{i}" for i in range(len(digital))]
    (folder / f"{name}.dat").write_bytes(digital.T.astype("<i2").tobytes())
    path = folder / f"{name}.hea"
    path.write_text("\n".join(lines) + f"\n{head}")
    return path


def ramp(channels: int = 2, length: int = 700) -> np.ndarray:
    return np.arange(channels * length).reshape(channels, length) % 1000


def test_a_record_is_read_in_millivolt_with_its_header(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ramp())
    raw = reader.read(path)
    assert raw.array.dtype == np.float32
    np.testing.assert_allclose(raw.array, ramp() / 200, atol=1e-6)
    assert raw.header.shape == (700,)
    assert raw.header.channels == 2
    assert raw.header.spacing == (1 / 360,)
    assert (raw.header.spacing_unit, raw.header.axes) == ("s", "T")
    assert raw.header.channel_names == ("lead0", "lead1")
    assert reader.header(path) == raw.header


def test_microvolt_become_millivolt(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ramp(1))
    path.write_text("r1 1 360 700\nr1.dat 16 2/uV 16 0 0 0 0 II\n")
    np.testing.assert_allclose(reader.read(path).array, ramp(1) / 2000, atol=1e-6)


def test_missing_samples_stay_nan(tmp_path: Path) -> None:
    digital = ramp(1)
    digital[0, 7] = -32768
    assert np.isnan(reader.read(write_record(tmp_path, "gap", digital)).array[0, 7])


def test_dots_and_blanks_in_paths_are_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "my records v1.2"
    folder.mkdir()
    path = write_record(folder, "r1", ramp()).rename(folder / "r.1.hea")
    assert reader.read(path).array.shape == (2, 700)


def test_a_length_that_is_not_stated_follows_from_the_file(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ramp())
    path.write_text(path.read_text().replace("r1 2 360 700", "r1 2 360"))
    assert reader.header(path).shape == (700,)
    assert reader.read(path).array.shape == (2, 700)


def test_signals_of_two_rates_come_at_the_frame_rate(tmp_path: Path) -> None:
    frames = np.stack([np.arange(50), 10 * np.arange(50), 10 * np.arange(50) + 4], axis=1)
    (tmp_path / "r1.dat").write_bytes(frames.astype("<i2").tobytes())
    path = tmp_path / "r1.hea"
    path.write_text("r1 2 100 50\nr1.dat 16 1 16 0 0 0 0 A\nr1.dat 16x2 1 16 0 0 0 0 B\n")
    signal = reader.read(path).array
    np.testing.assert_allclose(signal[1], 10 * np.arange(50) + 2)


def test_segments_are_joined(tmp_path: Path) -> None:
    write_record(tmp_path, "s1", ramp(2, 70))
    write_record(tmp_path, "s2", ramp(2, 90))
    path = tmp_path / "joint.hea"
    path.write_text("joint/2 2 360 160\ns1 70\ns2 90\n")
    assert reader.segments(path) == ("s1", "s2")
    assert reader.header(path).channel_names == ("lead0", "lead1")
    expected = np.concatenate([ramp(2, 70), ramp(2, 90)], axis=1) / 200
    np.testing.assert_allclose(reader.read(path).array, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("comment", "subject"),
    [
        ("# Patient ID: 17", "17"),
        ("#subject: p-003", "p-003"),
        ("# Patient 4", "4"),
        ("# age: 75  subject was awake", None),
        ("# 69 M 1085 1629 x1", None),
        ("# Reason for admission: healthy control", None),
    ],
)
def test_the_subject_is_taken_from_a_plain_comment(
    tmp_path: Path, comment: str, subject: str | None
) -> None:
    assert reader.header(write_record(tmp_path, "r1", ramp(), comment)).subject == subject


def test_a_missing_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"none\.hea: .*header; got no such file"):
        reader.header(tmp_path / "none.hea")


def test_a_missing_signal_file_is_refused(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ramp())
    (tmp_path / "r1.dat").unlink()
    with pytest.raises(ReadError, match=r"signal file must be there; got no r1\.dat"):
        reader.read(path)


def test_a_truncated_signal_file_is_refused(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ramp())
    content = (tmp_path / "r1.dat").read_bytes()
    (tmp_path / "r1.dat").write_bytes(content[:1001])
    with pytest.raises(ReadError, match=r"must hold 2800 bytes; got r1\.dat truncated at 1001"):
        reader.header(path)


@pytest.mark.parametrize("content", [b"", b"not a header at all", b"\x00\xff" * 40, b"r1 two 360"])
def test_a_damaged_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r1.hea"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"r1\.hea: .*; got "):
        reader.read(path)


def test_a_header_without_signals_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r1.hea"
    path.write_text("r1 0 360 700\n")
    with pytest.raises(ReadError, match="needs signals and a rate; got 0 signals"):
        reader.header(path)


@pytest.mark.parametrize("name", ["../r1.dat", "/etc/passwd", "x::https://host/r1.dat"])
def test_a_header_may_not_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r1.hea"
    path.write_text(f"r1 1 360 700\n{name} 16 200 16 0 0 0 0 II\n")
    with pytest.raises(ReadError, match=r"not a readable WFDB file|files of its own folder"):
        reader.read(path)


def test_without_the_package_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(tmp_path, "r1", ramp())
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(UsageError, match=r"pip install 'convivo\[signals\]'"):
        reader.header(path)


def test_beats_written_are_beats_read(tmp_path: Path) -> None:
    positions = np.array([5, 400, 70_000, 70_300])
    made = reader.write_annotation("my.rec 1", positions, ["N", "V", "S", "Q"], 360, tmp_path)
    assert made == tmp_path / "my.rec 1.cvo"
    assert [path.name for path in tmp_path.iterdir()] == ["my.rec 1.cvo"]
    events = reader.read_events(made, CLASSES)
    assert events.positions.tolist() == positions.tolist()
    assert events.labels.tolist() == [0, 2, 1, 4]
    assert events.positions.dtype == events.labels.dtype == np.int64


def test_a_class_that_is_not_asked_for_has_no_index(tmp_path: Path) -> None:
    made = reader.write_annotation("r", np.array([5, 9]), ["/", "L"], 360, tmp_path, "atr")
    assert reader.read_events(made, CLASSES[:4]).labels.tolist() == [-1, 0]


def test_no_beats_are_an_empty_annotation(tmp_path: Path) -> None:
    made = reader.write_annotation("r", np.array([]), [], 360, tmp_path)
    assert reader.read_events(made, CLASSES).positions.size == 0


@pytest.mark.parametrize(
    ("positions", "symbols", "reason"),
    [
        ([1, 2], ["N"], "one symbol per position; got 2 positions and 1"),
        ([2, 1], ["N", "N"], "positions ascend from 0"),
        ([-1, 1], ["N", "N"], "positions ascend from 0"),
        ([1, 2], ["N", "+"], r"symbols are beat symbols; got \['\+'\]"),
    ],
)
def test_beats_that_make_no_sense_are_not_written(
    tmp_path: Path, positions: list[int], symbols: list[str], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        reader.write_annotation("r", np.array(positions), symbols, 360, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_annotation_of_another_rate_is_brought_to_the_record(tmp_path: Path) -> None:
    write_record(tmp_path, "r1", ramp())
    made = reader.write_annotation("r1", np.array([10, 20]), ["N", "N"], 180, tmp_path, "atr")
    assert reader.read_events(made, CLASSES).positions.tolist() == [20, 40]


def test_a_truncated_annotation_is_refused(tmp_path: Path) -> None:
    made = reader.write_annotation("r", np.arange(9) * 300, ["N"] * 9, 360, tmp_path, "atr")
    content = made.read_bytes()
    for length in (len(content) - 2, 7, 0):
        made.write_bytes(content[:length])
        with pytest.raises(ReadError, match=rf"r\.atr: .*end mark; got {length} bytes"):
            reader.read_events(made, CLASSES)


def test_a_missing_annotation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="annotation file must be there; got no such file"):
        reader.read_events(tmp_path / "r.atr", CLASSES)


def test_positions_come_from_the_annotation_beside_the_record(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ramp())
    reader.write_annotation("r1", np.array([30, 60]), ["N", "N"], 360, tmp_path, "qrs")
    positions, source = reader.beat_positions(path)
    assert (positions.tolist(), source) == ([30, 60], "qrs")


def test_positions_are_detected_on_the_rhythm_lead(tmp_path: Path) -> None:
    at = np.arange(0, 30 * 360)
    beats = np.arange(200, at.size - 200, 300)
    ecg = sum(np.exp(-0.5 * ((at - beat) / 4) ** 2) for beat in beats)
    path = write_record(tmp_path, "r1", np.stack([np.zeros(at.size), 250 * ecg]))
    path.write_text(path.read_text().replace("lead0", "V1").replace("lead1", "MLII"))
    positions, source = reader.beat_positions(path)
    assert source == "xqrs"
    nearest = np.abs(beats[:, None] - positions).min(axis=1)
    assert np.mean(nearest <= 10) > 0.9


@pytest.mark.parametrize("signal", [np.zeros(5000), np.full(5000, np.nan), np.arange(9.0)])
def test_a_flat_empty_or_short_lead_has_no_beats(signal: np.ndarray) -> None:
    assert reader.detect_beats(signal, 360).size == 0


@pytest.mark.data
@needs_real_data
def test_mitbih_record_114_has_its_leads_swapped_and_1879_beats() -> None:
    raw = reader.read(REAL / "mitbih" / "114.hea")
    assert raw.array.shape == (2, 650_000)
    assert raw.header.channel_names == ("V5", "MLII")
    events = reader.read_events(REAL / "mitbih" / "114.atr", CLASSES)
    assert np.bincount(events.labels).tolist() == [1820, 12, 43, 4]


@pytest.mark.data
@needs_real_data
@pytest.mark.parametrize(
    ("name", "shape"), [("100_3chan", (3, 999)), ("s0010_re", (15, 38_400)), ("a103l", (3, 82_500))]
)
def test_odd_records_are_read(name: str, shape: tuple[int, int]) -> None:
    assert reader.read(REAL / "odd_inputs" / "wfdb" / f"{name}.hea").array.shape == shape
