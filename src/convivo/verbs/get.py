"""get: a public data set by its name, checked, with its licence beside it."""

import hashlib
import shutil
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from convivo.data.catalogue import CATALOGUE, LICENCES, Source, find
from convivo.data.fetching import fetch
from convivo.data.unpacking import unpack
from convivo.errors import ReadError, UsageError
from convivo.files import sha256, write_text
from convivo.progress import Progress

NOTE = "SOURCE.txt"  # beside the data: where it comes from, and what may be done with it
CONNECTIONS = 4  # at a time, to a server that others use as well
MEGABYTE = 10**6


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """What came: folder, number of files, bytes received, SHA-256 of the file that was named."""

    path: Path
    files: int
    bytes: int
    sha256: str
    resumed: int


@dataclass(frozen=True, kw_only=True)
class Got:
    """The answer of `get`; `document()` is its JSON."""

    sources: tuple[Source, ...]
    arrived: Arrived | None = None
    already: bool = False

    def document(self) -> dict[str, Any]:
        done = None if self.arrived is None else asdict(self.arrived) | {"already": self.already}
        return {"schema": 1, "sets": [_entry(source) for source in self.sources], "done": done}

    def text(self) -> str:
        """The same in lines for people."""
        if self.arrived is None:
            rows = [f"{s.name:<20} {s.licence:<13} {s.title}{_about(s)}" for s in self.sources]
            return "\n".join([*rows, "convivo get NAME [--out DIR] brings one of them"])
        how = "is there already" if self.already else f"{self.arrived.files} files, checked"
        (source,) = self.sources
        return f"{self.arrived.path}: {how}\n  licence {source.licence}, see {NOTE} in it"


def get(
    name: str | None = None,
    *,
    out: str | Path = ".",
    mirror: str | None = None,
    quiet: bool = False,
    pause: float = 1.0,
) -> Got:
    """Download a data set into `out`/NAME, or list those that are known.

    Whole or not at all; what a broken transfer brought is kept in `out`/.NAME.part and used by the
    next attempt.

    Args:
        name: of the data set; None lists all.
        mirror: another folder of the web that holds its files.
        quiet: no progress, and the licence only in the answer.
        pause: seconds before a broken transfer is taken up again.
    Raises:
        UsageError: an unknown name, a folder that is there already, or no room.
        ReadError: no answer, a missing file, another content than published, an unsafe archive.
    """
    if name is None:
        return Got(sources=tuple(CATALOGUE.values()))
    source = find(name)
    if mirror is not None:
        source = source.at(mirror)
    folder = Path(out) / source.name
    if folder.exists():
        return Got(sources=(source,), arrived=_there(folder), already=True)
    bar = Progress(source.name, 0, unit="MB", quiet=quiet)
    bar.say("\n".join(introduction(source)))
    staging = Path(out) / f".{source.name}.part"
    try:
        arrived = bring(source, staging, folder, bar=bar, pause=pause)
    finally:
        bar.close()
    return Got(sources=(source,), arrived=arrived)


def introduction(source: Source) -> list[str]:
    """What is to be known before anything is transferred."""
    return [
        f"{source.name}: {source.title}{_about(source)}",
        f"  licence   {source.licence}, {LICENCES[source.licence]}",
        f"  home      {source.home}",
        f"  from      {source.url}",
        f"  checksum  {source.checksum}",
    ]


def bring(
    source: Source, staging: Path, folder: Path, *, bar: Progress, pause: float = 1.0
) -> Arrived:
    """Fetch, check, unpack and put in place; `staging` is used again after a failure."""
    kinds: dict[str, Callable[..., tuple[Path, Arrived]]] = {
        "file": _bring_file,
        "tar": _bring_tar,
        "listed": _bring_listed,
    }
    content, arrived = kinds[source.kind](source, staging, bar, pause)
    lines = [*introduction(source), f"  sha-256   {arrived.sha256} of {source.file}"]
    write_text(content / NOTE, "\n".join([*lines, f"  bytes     {arrived.bytes}", ""]))
    content.replace(folder)
    shutil.rmtree(staging, ignore_errors=True)
    return replace(arrived, path=folder)


def _bring_file(
    source: Source, staging: Path, bar: Progress, pause: float, copies: int = 1
) -> tuple[Path, Arrived]:
    def tick(done: int, total: int) -> None:
        bar.total = max(total, done) // MEGABYTE  # 0 where the server does not say
        bar.update(done // MEGABYTE)

    path, content = staging / source.file, staging / "content"
    got = fetch(source.url, path, md5=source.md5, copies=copies, tick=tick, pause=pause)
    content.mkdir(exist_ok=True)
    path = path.replace(content / source.file)
    found = Arrived(path=path, files=1, bytes=got.bytes, sha256=got.sha256, resumed=got.resumed)
    return content, found


def _bring_tar(source: Source, staging: Path, bar: Progress, pause: float) -> tuple[Path, Arrived]:
    _, got = _bring_file(source, staging, bar, pause, copies=2)
    unpacked = staging / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # of an attempt that was interrupted
    files = unpack(got.path, unpacked)
    got.path.unlink()
    tops = list(unpacked.iterdir())
    content = tops[0] if len(tops) == 1 and tops[0].is_dir() else unpacked
    return content, replace(got, files=files)


def _bring_listed(
    source: Source, staging: Path, bar: Progress, pause: float
) -> tuple[Path, Arrived]:
    """The files that a list names with their SHA-256, a few at a time."""
    content = staging / "content"
    listing = fetch(source.url, content / source.file, pause=pause)
    wanted = listed(listing.path)
    bar.total, bar.unit = len(wanted), "files"

    def one(name: str, digest: str) -> tuple[int, int]:
        path = content / name
        if path.is_file() and sha256(path) == digest:
            return path.stat().st_size, path.stat().st_size
        address = source.folder + urllib.parse.quote(name)
        got = fetch(address, path, sha256=digest, pause=pause)
        return got.bytes, got.resumed

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waiting = [pool.submit(one, *row) for row in wanted.items()]
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                bar.update(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    _check_records(source, content, wanted)
    sizes = [future.result() for future in waiting]
    return content, Arrived(
        path=content,
        files=len(wanted),
        bytes=sum(size for size, _ in sizes),
        sha256=listing.sha256,
        resumed=sum(resumed for _, resumed in sizes),
    )


def listed(path: Path) -> dict[str, str]:
    """File names and their SHA-256 from lines `<sha-256> <name>`. Raises ReadError."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.strip().partition(" ")
        name = name.strip().lstrip("*").removeprefix("./")
        if not digest:
            continue
        inside = PurePosixPath(name).parts and not set("\\:") & set(name)
        inside = inside and name[0] != "/" and ".." not in PurePosixPath(name).parts
        if not inside or len(digest) != 2 * hashlib.sha256().digest_size:
            rule = "lines are the SHA-256 of a file and its name within the data set"
            raise ReadError(path, rule, repr(line), "Report it to the makers of the data set")
        found[name] = digest.lower()
    if not found:
        raise ReadError(path, "a list of files", "nothing", "Look at the data set's home page")
    return found


def _check_records(source: Source, content: Path, files: dict[str, str]) -> None:
    """Every record that the data set names has a file."""
    records = content / "RECORDS"
    if not records.is_file():
        return
    names = records.read_text(encoding="utf-8", errors="replace").split()
    known = set(files) | {str(PurePosixPath(name).with_suffix("")) for name in files}
    for name in names:
        if name not in known and not any(file.startswith(name) for file in files):
            rule = f"{source.file} lists the files of every record"
            raise ReadError(source.url, rule, f"none of {name}", "Report it to its makers")


def _there(folder: Path) -> Arrived:
    """A data set that came earlier. Raises UsageError where the folder is something else."""
    note = folder / NOTE
    if not note.is_file():
        rule = "the folder for the data must be new"
        raise UsageError(str(folder), rule, "a folder of something else", "Choose another --out")
    rows = [line.split() for line in note.read_text(encoding="utf-8").splitlines()[1:]]
    said = {row[0]: row[1] for row in rows if len(row) > 1}
    files = sum(path.is_file() for path in folder.rglob("*")) - 1
    size = int(said.get("bytes", 0))
    return Arrived(
        path=folder, files=files, bytes=size, sha256=said.get("sha-256", ""), resumed=size
    )


def _about(source: Source) -> str:
    return "" if source.bytes is None else f", about {source.bytes / MEGABYTE:,.0f} MB"


def _entry(source: Source) -> dict[str, Any]:
    keys = ("name", "title", "licence", "home", "url", "md5", "bytes", "checksum")
    return {key: getattr(source, key) for key in keys} | {"licence_url": LICENCES[source.licence]}
