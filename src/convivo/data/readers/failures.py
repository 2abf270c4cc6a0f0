"""What every reader says when a file cannot be read: one ReadError that names file and reason."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convivo.errors import ConvivoError, ReadError, UsageError

TRUNCATION = re.compile(
    r"truncat|expected \d+ bytes|end-of-stream|mmap length|unexpected end|not enough data"
    r"|failed to read \d+|central directory|cannot reshape",
    re.IGNORECASE,
)


def missing(path: object) -> ReadError:
    """The error for a path where nothing is."""
    return ReadError(path, "the file or folder must exist", "nothing there", "Check the path")


def truncated(path: object, got: str) -> ReadError:
    """The error for a file that ends before its data do; its text says "truncated"."""
    rule = "the file must hold all the data that its header promises (it is truncated)"
    return ReadError(path, rule, got, "Copy or download the file again")


def reason(error: BaseException, path: Path) -> str:
    """A foreign error on one line, short enough for one message that names the path before.

    Its kind is named only where its text is no sentence, as that of a KeyError.
    """
    if path.is_file() and not path.stat().st_size:
        return "an empty file"
    words = " ".join(str(error).replace(str(path), path.name).split()).rstrip(".").split()
    if len(words) <= 1 or words[0][0] in "'\"":
        return " ".join((f"{type(error).__name__}:", *words)).rstrip(":")
    if words[0].isalpha() and words[0].istitle():
        words[0] = words[0].lower()
    return " ".join(words)[:200]


def missing_extra(package: str, extra: str, purpose: str) -> UsageError:
    """The error for an optional package that is not installed, naming the extra that brings it."""
    got = f"no package {package!r}"
    return UsageError(purpose, "needs an optional package", got, f"pip install 'convivo[{extra}]'")


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into a UsageError."""
    try:
        yield
    except ConvivoError:
        raise
    except OSError as error:
        rule, got = "the file can be written", error.strerror or reason(error, path)
        raise UsageError(path, rule, got, "Check the folder, its rights and free space") from error


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a parser of foreign files raises into a ReadError about `path`.

    Parsers raise a wide family of errors on damaged input (OSError, SyntaxError, struct.error,
    zlib.error, KeyError, MemoryError ...), so all of them are caught, except our own.
    """
    try:
        yield
    except ConvivoError:
        raise
    except FileNotFoundError as error:
        raise missing(error.filename or path) from error
    except Exception as error:
        if isinstance(error, EOFError) or TRUNCATION.search(str(error)):
            raise truncated(path, reason(error, path)) from error
        remedy = "Replace the file or leave it out"
        rule, got = f"must be a readable {kind.removesuffix('s')} file", reason(error, path)
        raise ReadError(path, rule, got, remedy) from error
