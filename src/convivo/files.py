"""Files written whole or not at all, and hashed."""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convivo.errors import ReadError


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """A temporary file beside `path` that takes its place when the block ends well.

    Example:
        >>> with replacing(Path("/tmp/convivo-doctest.txt")) as part:
        ...     _ = part.write_text("whole")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def plain(value: Any) -> Any:
    """A value as JSON knows it: NumPy numbers and arrays unpacked, NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document whole or not at all, without NaN."""
    write_text(path, json.dumps(plain(document), indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        ReadError: missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "Is this a run folder?"
        raise ReadError(path, "the file must be there", "nothing", remedy) from None
    except (OSError, ValueError) as error:
        raise ReadError(path, "the file must be JSON", error, "Restore it or train again") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
