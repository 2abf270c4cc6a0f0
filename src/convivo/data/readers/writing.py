"""Files that appear whole or not at all."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary neighbour to write to; it takes the place of `path` when the block succeeds.

    The neighbour is hidden and ends in the same name, so that the suffix still tells the format
    and a leftover of a killed process is never taken for data.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.tmp-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
