"""How a packed store lies on disk: a Zarr v3 group, chunked for patches, chunks kept in shards.

KEY/
  arrays.zarr/      a Zarr group, readable by any Zarr library
    images          (N, C, *S) where all cases are alike, else a group of arrays (C, *S)
    labels          the same of label maps, where there are any
    places          (N, K - 1, p) positions of the classes but the first, zeros behind them
  cases.jsonl       shape, target and numbers of positions of each case
  complete.json     that all is there: every file and its size
"""

from collections.abc import Sequence
from math import ceil, prod

FORM = 1  # of what is packed; another number is another key
CHUNK = {1: (16384,), 2: (256, 256), 3: (64, 64, 64)}
SHARD_BYTES = 64 * 2**20  # of a file, as far as chunks allow it
SHARD_CHUNKS = 1024  # in a file at most: its index is read with each chunk
ARRAYS, CASES, COMPLETE = "arrays.zarr", "cases.jsonl", "complete.json"


def chunk_of(size: Sequence[int]) -> tuple[int, ...]:
    """Spatial sizes of a chunk: what a patch reads beyond itself is small, what is tiny is whole.

    Example:
        >>> chunk_of((40, 512, 512)), chunk_of((28, 28)), chunk_of((70,))
        ((40, 64, 64), (28, 28), (70,))
    """
    return tuple(min(n, c) for n, c in zip(size, CHUNK[len(size)], strict=True))


def shard_rows(lead: int, size: Sequence[int], itemsize: int) -> int:
    """Rows of the first spatial axis in a shard of one case; the other axes are whole in it.

    Args:
        lead: channels, or 1.
    Example:
        >>> shard_rows(1, (300, 512, 512), 2)
        128
    """
    chunk = chunk_of(size)
    others = [ceil(n / c) for n, c in zip(size[1:], chunk[1:], strict=True)]
    a_row = lead * chunk[0] * prod(n * c for n, c in zip(others, chunk[1:], strict=True)) * itemsize
    rows = max(1, min(SHARD_BYTES // a_row, SHARD_CHUNKS // prod(others)))
    return chunk[0] * min(rows, ceil(size[0] / chunk[0]))


def together(lead: int, size: Sequence[int], itemsize: int) -> int:
    """Cases of one shape that share a shard; 1 where a case fills one or more.

    Example:
        >>> together(3, (64, 64), 4), together(1, (256, 256, 256), 2)
        (1024, 1)
    """
    if shard_rows(lead, size, itemsize) < size[0] or tuple(size) != chunk_of(size):
        return 1
    return max(1, min(SHARD_CHUNKS, SHARD_BYTES // (lead * prod(size) * itemsize)))


def shard_of(lead: Sequence[int], size: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Spatial sizes of a shard, multiples of the chunk's."""
    chunk = chunk_of(size)
    rows = shard_rows(prod(lead), size, itemsize)
    rest = (ceil(n / c) * c for n, c in zip(size[1:], chunk[1:], strict=True))
    return rows, *rest
