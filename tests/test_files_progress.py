import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from convivo.errors import ReadError
from convivo.files import plain, read_json, replacing, sha256, write_json, write_text
from convivo.progress import Progress, duration


def test_file_appears_whole_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with replacing(path) as part:
        part.write_text("half")
        assert not path.exists()
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_error_leaves_nothing_and_an_older_file_as_it_was(tmp_path, error):
    path = tmp_path / "b.txt"

    def fail():
        with replacing(path) as part:
            part.write_text("half")
            raise error("power")

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_text_is_utf8(tmp_path):
    write_text(tmp_path / "t.txt", "µm ± 3")
    assert (tmp_path / "t.txt").read_bytes() == "µm ± 3".encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32("inf"), None),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1.0, np.nan], [-np.inf, 2.0]]), [[1.0, None], [None, 2.0]]),
        ((1, "a", None, False), [1, "a", None, False]),
        ({1: {"x": float("-inf")}, "y": (2,)}, {"1": {"x": None}, "y": [2]}),
        (Path("a/b"), "a/b"),
        ({"one"}, ["one"]),
    ],
)
def test_plain_values_are_what_json_knows(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found, allow_nan=False)


def test_json_document_there_and_back(tmp_path):
    path = tmp_path / "d.json"
    write_json(path, {"µ": [1, np.float64("nan")]})
    assert read_json(path) == {"µ": [1, None]}
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "µ" in text
    assert text.endswith("}\n")


def test_missing_document_is_named(tmp_path):
    with pytest.raises(ReadError, match=r"d\.json: the file must be there; got nothing\. Is this"):
        read_json(tmp_path / "d.json")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}"])
def test_document_that_is_not_json_is_named(tmp_path, content):
    (tmp_path / "d.json").write_bytes(content)
    with pytest.raises(ReadError, match=r"d\.json: the file must be JSON; got"):
        read_json(tmp_path / "d.json")


def test_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "f") == hashlib.sha256(b"abc" * 100_000).hexdigest()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7260, "2 h 01 min"),
    ],
)
def test_duration_for_people(seconds, text):
    assert duration(seconds) == text


def aged(bar, seconds):
    """The bar as it is so many seconds later."""
    bar.started -= seconds
    bar.shown -= seconds
    return bar


def test_progress_prints_plain_lines_where_there_is_no_terminal(capsys):
    bar = aged(Progress("reading", 40, unit="cases"), 10)
    bar.update(20, ", loss 0.5")
    bar.update(21)  # too soon after the last line
    bar.say("a line that stays")
    bar.close()
    captured = capsys.readouterr()
    first, second = captured.err.splitlines()
    assert first.startswith("reading 20/40, ")
    assert "cases/s, " in first
    assert first.endswith(" left, loss 0.5")
    assert second == "a line that stays"
    assert not set("\r\x1b") & set(captured.err)
    assert captured.out == ""


def test_progress_prints_again_after_a_while(capsys):
    bar = aged(Progress("step", 40), 10)
    bar.update(20)
    aged(bar, 20).update(30)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "step 20/40", "step 30/40",
    ]  # fmt: skip


def test_rate_leaves_out_what_an_earlier_run_did(capsys):
    aged(Progress("step", 1000, unit="steps", start=900), 50).update(950)
    assert "1.0 steps/s, 50 s left" in capsys.readouterr().err


def test_the_first_thing_does_not_set_the_pace(capsys):
    """It took 100 seconds, of which most made ready; the nine after it took 90."""
    bar = aged(Progress("reading", 20, quiet=True), 100)
    bar.update(1)
    bar.since = (1, bar.since[1] - 90)
    bar.quiet = False
    bar.update(10)
    assert "0.1 /s, 1 min 40 s left" in capsys.readouterr().err


def test_nothing_done_yet_has_no_time_left(capsys):
    aged(Progress("step", 10), 5).update(0)
    assert capsys.readouterr().err.endswith("? left\n")


def test_progress_is_silent_at_first_and_when_quiet(capsys):
    Progress("reading", 40).update(1)
    quiet = aged(Progress("reading", 40, quiet=True), 10)
    quiet.update(20)
    quiet.say("nothing")
    quiet.close()
    assert capsys.readouterr() == ("", "")
