"""Files from the web, whole or not at all: a broken transfer goes on where it stopped.

What has arrived lies in FILE.part until its checksum is right.
"""

import errno
import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convivo.errors import ConvivoError, ReadError, UsageError

BLOCK = 2**18
TRIES = 5  # attempts in a row that bring nothing new
TIMEOUT = 30.0  # seconds without a byte
AGENT = "convivo (https://pypi.org/project/convivo)"
AGAIN = "Check the connection and run it again: it goes on where it stopped"

Tick = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that has arrived: its size, both hashes, and how much of it was there before."""

    path: Path
    bytes: int
    md5: str
    sha256: str
    resumed: int


def fetch(
    url: str,
    path: Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    copies: int = 1,
    tick: Tick = lambda done, total: None,
    pause: float = 1.0,
) -> Fetched:
    """Bring the file at `url` to `path`.

    Args:
        md5, sha256: what its content must hash to, in hexadecimal, where that is known.
        copies: how often the file must fit on the disk (an archive and what is in it: 2).
        tick: called with the bytes that are there and those of the whole file, 0 if unknown.
        pause: seconds before the second attempt; each later one waits twice as long.
    Raises:
        ReadError: no answer, another answer than the file, or another content than published.
        UsageError: no room left.
    """
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    resumed = _size(part)
    _transfer(url, part, copies=copies, tick=tick, pause=pause)
    digests = _digests(part)
    for kind, wanted in (("md5", md5), ("sha256", sha256)):
        if wanted is not None and digests[kind] != wanted.lower():
            part.unlink()  # the rest of a wrong file is no use
            rule = f"the content has the published {kind.upper()} {wanted.lower()}"
            remedy = "It was not kept; run it again, and if it stays so the file has changed"
            raise ReadError(url, rule, digests[kind], remedy)
    size = _size(part)
    part.replace(path)
    return Fetched(path=path, bytes=size, resumed=min(resumed, size), **digests)


def _check_room(folder: Path, wanted: int) -> None:
    """Refuse to begin what cannot end."""
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise _no_room(folder, f"room for {_megabytes(wanted)}", f"{_megabytes(free)} free")


def writing(error: OSError, path: Path) -> ConvivoError:
    """What a failed write means to whoever asked for the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _no_room(path.parent, "room for the data", "a full disk")
    return UsageError("--out", "a folder that can be written to", error, "Choose another one")


def _no_room(folder: Path, rule: str, got: str) -> UsageError:
    remedy = "Free some or choose another --out; what has arrived is kept"
    return UsageError("--out", f"{folder} has {rule}", got, remedy)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _transfer(url: str, part: Path, *, copies: int, tick: Tick, pause: float) -> None:
    """Append to `part` until all is there; patient as long as something new arrives."""
    failures = 0
    while True:
        before = _size(part)
        try:
            if _receive(url, part, copies, tick):
                return
            problem: object = f"a transfer that ended after {_size(part):,} bytes"
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = f"{type(error).__name__}: {error}"
        failures = 1 if _size(part) > before else failures + 1
        if failures >= TRIES:
            raise ReadError(url, "a server must send the whole file", problem, AGAIN)
        time.sleep(pause * 2 ** (failures - 1))


def _receive(url: str, part: Path, copies: int, tick: Tick) -> bool:
    """One attempt; True when the file is complete."""
    have = _size(part)
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    with _open(request) as answer:
        if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _is_all(answer, part)
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server knows no pieces: all of it anew
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()  # another piece than asked for: from the start, without asking
            return False
        coming = int(answer.headers.get("Content-Length") or 0)
        _check_room(part.parent, coming * copies)
        total = have + coming if coming else 0
        with _appending(part, bool(have)) as file:
            _copy(answer, file, part, lambda done: tick(done, total))
    return _size(part) >= total


def _is_all(answer: Any, part: Path) -> bool:
    """Nothing lies beyond what we have: is that because we have it all?"""
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if total == str(_size(part)):
        return True
    part.unlink()  # it belongs to another file
    return False


def _appending(part: Path, goes_on: bool) -> Any:
    try:
        return part.open("ab" if goes_on else "wb")
    except OSError as error:
        raise writing(error, part) from None


def _copy(answer: Any, file: Any, part: Path, tick: Callable[[int], object]) -> None:
    done = file.tell()
    while block := answer.read(BLOCK):
        try:
            file.write(block)
            file.flush()
        except OSError as error:
            raise writing(error, part) from None
        done += len(block)
        tick(done)


def _open(request: urllib.request.Request) -> Any:
    """The server's answer, also that there is no more of the file. Raises ReadError."""
    request.add_header("User-Agent", AGENT)
    url = request.full_url
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        got = f"HTTP {error.code} {error.reason}"
        error.close()
        if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ReadError(url, "a server must send the file", got, AGAIN) from None
        remedy = "It may have moved: look at the home page, and use --mirror"
        raise ReadError(url, "a file must be at this address", got, remedy) from None
    except urllib.error.URLError as error:
        raise ReadError(url, "a server must answer", error.reason, AGAIN) from None


def _digests(path: Path) -> dict[str, str]:
    hashes = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            for digest in hashes.values():
                digest.update(block)
    return {kind: digest.hexdigest() for kind, digest in hashes.items()}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
