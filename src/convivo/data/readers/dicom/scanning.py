"""Path -> Scan: the header of a file and its planes, remembered while the file stays as it is."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from convivo.data.readers.dicom.instance import Instance, instance_of
from convivo.data.readers.dicom.opening import open_header
from convivo.data.readers.dicom.planes import Plane, planes_of
from convivo.data.readers.dicom.references import references_of
from convivo.data.readers.failures import reading
from convivo.errors import ReadError

THREADS = 8  # files wait for the disk more than for the processor


@dataclass(frozen=True, slots=True)
class Scan:
    """A file and its planes, none where it is no image."""

    file: Instance
    planes: tuple[Plane, ...]


def scan(path: Path) -> Scan:
    """The header of a file; remembered while the file stays as it is.

    Raises:
        ReadError: no DICOM, damaged, truncated, or without sense.
    """
    with reading(path, "dicom"):
        state = path.stat()
        return _scan(str(path), state.st_size, state.st_mtime_ns)


def scan_all(paths: Sequence[Path]) -> list[Scan | ReadError]:
    """Every file's header, in order, or the error it gave; several at a time."""

    def look(path: Path) -> Scan | ReadError:
        try:
            return scan(path)
        except ReadError as error:
            return error

    with ThreadPoolExecutor(min(THREADS, 4 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(look, paths))


@lru_cache(maxsize=16384)
def _scan(path: str, size: int, changed: int) -> Scan:
    dataset, held = open_header(Path(path))
    file = instance_of(Path(path), dataset, held)
    if file.kind in ("segmentation", "contours"):
        file = replace(file, **references_of(dataset))
    planes = planes_of(file, dataset) if file.kind in ("image", "segmentation") else ()
    return Scan(file, planes)
