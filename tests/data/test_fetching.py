"""Files from the web: resumed, checked, whole or not at all."""

import hashlib
import shutil
from pathlib import Path

import pytest

from convivo.data.fetching import TRIES, fetch
from convivo.errors import ReadError, UsageError

from ..web_folder import serving, size, unused_address

CONTENT = bytes(range(256)) * 3001
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_arrives_with_its_hashes(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with serving({"a.npz": CONTENT}) as web:
        got = fetch(
            web.url + "a.npz",
            tmp_path / "sub" / "a.npz",
            md5=MD5.upper(),
            sha256=SHA256,
            tick=lambda done, total: seen.append((done, total)),
        )
    assert got.path.read_bytes() == CONTENT
    assert (got.md5, got.sha256, got.bytes, got.resumed) == (MD5, SHA256, len(CONTENT), 0)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(got.path.parent.iterdir()) == [got.path]


def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serving({"a": CONTENT}) as web:
        web.breaks = [1000, 5000]
        got = fetch(web.url + "a", tmp_path / "a", md5=MD5, pause=0)
    assert got.path.read_bytes() == CONTENT
    assert [wish for _, wish in web.asked] == [None, "bytes=1000-", "bytes=6000-"]


def test_a_later_attempt_uses_what_an_earlier_one_brought(tmp_path: Path) -> None:
    with serving({"a": CONTENT}) as web:
        web.breaks = [1000] + [0] * TRIES
        with pytest.raises(ReadError, match=r"a server must send the whole file; got a transfer"):
            fetch(web.url + "a", tmp_path / "a", md5=MD5, pause=0)
        assert not (tmp_path / "a").exists()
        assert size(tmp_path / "a.part") == 1000
        web.asked.clear()
        web.breaks = []
        got = fetch(web.url + "a", tmp_path / "a", md5=MD5, pause=0)
    assert web.asked == [("a", "bytes=1000-")]
    assert got.resumed == 1000
    assert got.path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_of_it_anew(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    with serving({"a": CONTENT}) as web:
        web.ranges = False
        got = fetch(web.url + "a", tmp_path / "a", md5=MD5)
    assert got.path.read_bytes() == CONTENT


def test_what_was_complete_before_is_only_checked(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT)
    with serving({"a": CONTENT}) as web:
        assert fetch(web.url + "a", tmp_path / "a", md5=MD5).path.read_bytes() == CONTENT
    assert len(web.asked) == 1


def test_more_than_the_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT + b"of another file")
    with serving({"a": CONTENT}) as web:
        got = fetch(web.url + "a", tmp_path / "a", md5=MD5, pause=0)
    assert got.path.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_another_content_is_refused_and_not_kept(tmp_path: Path, kind: str) -> None:
    wanted = {"md5": MD5, "sha256": SHA256}[kind]
    with serving({"a": CONTENT[:-1] + b"x"}) as web:
        rule = f"the content has the published {kind.upper()} {wanted}; got "
        with pytest.raises(ReadError, match=rule):
            fetch(web.url + "a", tmp_path / "a", **{kind: wanted})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (None, r"a file must be at this address; got HTTP 404 Not Found. It may have moved"),
        (403, r"a file must be at this address; got HTTP 403 Forbidden"),
        (503, r"a server must send the file; got HTTP 503 Service Unavailable. Check the conn"),
    ],
)
def test_other_answers_than_the_file(tmp_path: Path, status: int | None, message: str) -> None:
    with serving({}) as web:
        web.status = status
        with pytest.raises(ReadError, match=message):
            fetch(web.url + "a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"a server must answer; got .*refused.* Check the conn"):
        fetch(unused_address() + "a", tmp_path / "a")


def test_a_disk_without_room_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    copies = shutil.disk_usage(tmp_path).free // len(CONTENT) + 10**6
    with serving({"a": CONTENT}) as web:
        rule = r"--out: .* has room for [\d,.]+ MB; got [\d,.]+ MB free. Free some or choose"
        with pytest.raises(UsageError, match=rule):
            fetch(web.url + "a", tmp_path / "a", copies=copies)
    assert size(tmp_path / "a.part") == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    (tmp_path / "a.part").symlink_to("/dev/full")
    with serving({"a": CONTENT}) as web:
        rule = r"--out: .* has room for the data; got a full disk. Free some or choose another"
        with pytest.raises(UsageError, match=rule):
            fetch(web.url + "a", tmp_path / "a")


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "a.part").mkdir()
    with (
        serving({"a": CONTENT}) as web,
        pytest.raises(UsageError, match=r"--out: a folder that can be written to; got"),
    ):
        fetch(web.url + "a", tmp_path / "a")
