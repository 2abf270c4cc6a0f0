"""Archives from the web: files and folders only, all of them within the folder they are put in."""

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from convivo.data.fetching import writing
from convivo.errors import ReadError


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a tar file into `folder`; returns the number of files.

    Nothing is written before every member has been looked at.

    Raises:
        ReadError: no tar file, a damaged one, or a member that is a link, a device, or outside.
        UsageError: no room left.
    """
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            for member in members:
                _check(archive, member)
            for member in members:
                _write(tar, member, folder / member.name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        remedy = "Delete it and get it again"
        raise ReadError(archive, "a tar file, whole", error, remedy) from None
    return sum(member.isfile() for member in members)


def _check(archive: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    # A backslash or a colon would lead elsewhere on Windows.
    inside = not path.is_absolute() and ".." not in path.parts and not set("\\:") & set(member.name)
    if not (inside and (member.isfile() or member.isdir())):
        what = member.name if inside is False else f"{member.name}, a link or a device"
        rule = "members are files and folders within the archive"
        raise ReadError(archive, rule, what, "Do not use this file; report it to its makers")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        assert content is not None  # a file, as checked
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file)
    except tarfile.TarError:
        raise
    except OSError as error:
        raise writing(error, path) from None
