"""Data sets by name, from a server of this machine."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from jsonschema import validate

import convivo
from convivo import schemas
from convivo.cli import main
from convivo.data.catalogue import CATALOGUE, LICENCES, Source, find
from convivo.errors import ReadError, UsageError
from convivo.progress import Progress
from convivo.verbs.get import NOTE, bring, get, listed

from ..web_folder import serving

REAL = Path(__file__).parents[3] / "shared" / "data"


def source(url: str, content: bytes, **more: str) -> Source:
    values = {"name": "Task77_Phantom", "title": "phantoms", "licence": "CC BY 4.0", "home": url}
    values |= {"file": "Task77_Phantom.tar", "kind": "tar", "md5": hashlib.md5(content).hexdigest()}
    return Source(folder=url, **values | more)  # type: ignore[arg-type]


def bring_to(tmp_path: Path, wanted: Source) -> Path:
    folder = tmp_path / wanted.name
    bar = Progress("get", 0, quiet=True)
    return bring(wanted, tmp_path / ".part", folder, bar=bar, pause=0).path


def tar_of(*members: tuple[str, bytes | tarfile.TarInfo]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def sums(files: dict[str, bytes]) -> bytes:
    rows = [f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in files.items()]
    return "\n".join([*rows, ""]).encode()


def medmnist() -> bytes:
    rng, file = np.random.default_rng(0), io.BytesIO()
    arrays = {}
    for split, n in (("train", 12), ("val", 6), ("test", 6)):
        arrays[f"{split}_images"] = rng.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    np.savez_compressed(file, **arrays)
    return file.getvalue()


RECORDS = {
    "RECORDS": b"100\nmore/200\n",
    "100.hea": b"100 1 360 10\n",
    "100.dat": bytes(40),
    "more/200.edf": b"0" + bytes(99),
    "LICENSE.txt": b"ODC-By",
}


def test_an_archive_is_unpacked_and_noted(tmp_path: Path) -> None:
    top = "Task77_Phantom"
    content = tar_of((f"{top}/dataset.json", b"{}"), (f"{top}/imagesTr/a.nii.gz", b"a" * 3000))
    with serving({"Task77_Phantom.tar": content}) as web:
        web.breaks = [700]
        folder = bring_to(tmp_path, source(web.url, content))
    assert (folder / "imagesTr" / "a.nii.gz").read_bytes() == b"a" * 3000
    note = (folder / NOTE).read_text()
    assert "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/" in note
    assert f"{hashlib.sha256(content).hexdigest()} of Task77_Phantom.tar" in note
    assert [path.name for path in tmp_path.iterdir()] == [top]


@pytest.mark.parametrize(
    "member",
    [
        ("../outside", b"x"),
        ("/outside", b"x"),
        ("Task/../../outside", b"x"),
        ("C:outside", b"x"),
        ("..\\outside", b"x"),
        link("Task/link", "../../outside"),
        link("Task/hard", "Task/good", tarfile.LNKTYPE),
        link("Task/device", "", tarfile.CHRTYPE),
    ],
    ids=lambda member: member[0],
)
def test_an_unsafe_archive_is_refused_before_anything_is_written(
    tmp_path: Path, member: tuple
) -> None:
    content = tar_of(("Task/good", b"good"), member)
    with serving({"Task77_Phantom.tar": content}) as web:
        rule = "members are files and folders within the archive; got .*. Do not use this file"
        with pytest.raises(ReadError, match=rule):
            bring_to(tmp_path, source(web.url, content))
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["Task77_Phantom.tar"]


def test_an_archive_cut_short_by_its_makers(tmp_path: Path) -> None:
    content = tar_of(("Task/good", b"good" * 2000))[:3000]
    with (
        serving({"Task77_Phantom.tar": content}) as web,
        pytest.raises(ReadError, match=r"a tar file, whole; got .*. Delete it and get it"),
    ):
        bring_to(tmp_path, source(web.url, content))
    assert not (tmp_path / "Task77_Phantom").exists()


def test_a_container_is_put_in_a_folder_that_inspect_reads(tmp_path: Path) -> None:
    content = medmnist()
    with serving({"phantommnist.npz": content}) as web:
        wanted = source(web.url, content, name="phantom", kind="file", file="phantommnist.npz")
        folder = bring_to(tmp_path, wanted)
    assert (folder / "phantommnist.npz").read_bytes() == content
    found = convivo.inspect(folder).document()
    assert (found["layout"], found["cases"]) == ("medmnist", 24)


def test_listed_files_come_each_with_its_checksum(tmp_path: Path) -> None:
    with serving(RECORDS | {"SHA256SUMS.txt": sums(RECORDS)}) as web:
        web.breaks = [10_000, 3, 3]
        wanted = source(web.url, b"", name="mitdb", kind="listed", file="SHA256SUMS.txt")
        folder = bring_to(tmp_path, wanted)
    for name, content in RECORDS.items():
        assert (folder / name).read_bytes() == content


def test_an_interrupted_set_is_not_there_and_goes_on(tmp_path: Path) -> None:
    files = RECORDS | {"SHA256SUMS.txt": sums(RECORDS)}
    with serving({n: c for n, c in files.items() if n != "100.dat"}) as web:
        wanted = source(web.url, b"", name="mitdb", kind="listed", file="SHA256SUMS.txt")
        with pytest.raises(
            ReadError, match=r"100.dat: a file must be at this address; got HTTP 404"
        ):
            bring_to(tmp_path, wanted)
        assert not (tmp_path / "mitdb").exists()
        there = [name for name in RECORDS if (tmp_path / ".part" / "content" / name).is_file()]
        web.files = files
        web.asked.clear()
        folder = bring_to(tmp_path, wanted)
    asked = [name for name, _ in web.asked]
    assert (folder / "100.dat").read_bytes() == bytes(40)
    assert sorted(asked) == sorted({"SHA256SUMS.txt", *RECORDS} - set(there))


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (b"abc 100.dat\n", r"lines are the SHA-256 of a file and its name .*; got 'abc 100.dat'"),
        (b"0" * 64 + b" ../100.dat\n", r"lines are the SHA-256 of a file and its name within"),
        (b"0" * 64 + b" /etc/passwd\n", r"lines are the SHA-256 of a file and its name within"),
        (b"0" * 64 + b"\n", r"lines are the SHA-256 of a file and its name within"),
        (b"\n", r"a list of files; got nothing"),
    ],
)
def test_a_list_of_something_else_is_refused(tmp_path: Path, listing: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(listing)
    with pytest.raises(ReadError, match=message):
        listed(tmp_path / "list")


def test_a_record_without_files_is_noticed(tmp_path: Path) -> None:
    files = {"RECORDS": b"100\n300\n", "100.hea": b"x"}
    with serving(files | {"SHA256SUMS.txt": sums(files)}) as web:
        wanted = source(web.url, b"", name="mitdb", kind="listed", file="SHA256SUMS.txt")
        with pytest.raises(ReadError, match="lists the files of every record; got none of 300"):
            bring_to(tmp_path, wanted)


def test_the_catalogue_is_complete() -> None:
    assert len(CATALOGUE) == 12 * 4 + 6 * 2 + 10 + 18
    assert all(s.licence in LICENCES and s.url.startswith("https://") for s in CATALOGUE.values())
    assert all(len(s.md5 or "") == 32 for s in CATALOGUE.values() if s.kind != "listed")
    assert len({s.md5 for s in CATALOGUE.values() if s.md5}) == 70
    assert find("PathMNIST_64").url.endswith("/pathmnist_64.npz")


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate(document, schemas.schema("get"))
    assert [row["name"] for row in document["sets"]] == list(CATALOGUE)
    assert document["done"] is None
    assert main(["get"]) == 0
    assert "Task09_Spleen        CC BY-SA 4.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["mitbd"],
            "get: the name of a data set; got 'mitbd'. Did you mean 'mitdb'? 'convivo get'",
        ),
        (["mitdb", "--mirror", "ftp://x"], "--mirror: an address of http or https; got 'ftp://x'"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", *words]) == 2
    assert message in capsys.readouterr().err


def test_another_content_than_published_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({"breastmnist.npz": medmnist()}) as web:
        words = ["get", "breastmnist", "--out", str(tmp_path), "--mirror", web.url, "--json"]
        assert main(words) == 2
    shown = capsys.readouterr()
    error = json.loads(shown.out)["error"]
    assert error["rule"] == f"the content has the published MD5 {CATALOGUE['breastmnist'].md5}"
    assert "licence   CC BY 4.0" in shown.err
    assert not (tmp_path / "breastmnist").exists()


@pytest.mark.data
def test_the_real_file_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (REAL / "breastmnist" / "breastmnist.npz").read_bytes()
    words = ["get", "breastmnist", "--out", str(tmp_path), "--json"]
    with serving({"breastmnist.npz": content}) as web:
        assert main([*words, "--mirror", web.url]) == 0
        first = json.loads(capsys.readouterr().out)
        assert main([*words, "--mirror", web.url]) == 0
    again = json.loads(capsys.readouterr().out)
    for document in (first, again):
        validate(document, schemas.schema("get"))
        assert document["done"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (first["done"]["already"], again["done"]["already"]) == (False, True)
    assert convivo.inspect(tmp_path / "breastmnist").document()["cases"] == 780


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mitdb").mkdir()
    with pytest.raises(UsageError, match=r"must be new; got a folder of something else\. Choose"):
        get("mitdb", out=tmp_path, quiet=True)
