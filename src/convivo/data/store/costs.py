"""What prepared cases take, told from their headers: in memory, on disk, and while streamed."""

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from convivo.arrays.preparation import Preparation, prepared_shape
from convivo.data.sample import Case
from convivo.data.store.foreground import MOST_PLACES, places_format
from convivo.data.store.layout import SHARD_BYTES, chunk_of
from convivo.data.store.series import RECENT

HALF_BEYOND_BYTES = 7 * 2**28  # past this float16 is kept: half the bytes, 3 decimal digits
CASE_BYTES = 600  # tables in memory of a case that is not: its id, shape, counts


def shape_of(case: Case, preparation: Preparation) -> tuple[int, ...]:
    """The prepared shape (C, *S) of an inspected case, from its header."""
    header = case.header
    if header is None:
        raise TypeError("an inspected case has its header")
    affine = None if header.affine is None else np.asarray(header.affine)
    return prepared_shape(header.shape, preparation, affine=affine, spacing=header.spacing)


def in_half(
    shapes: Iterable[Sequence[int]], preparation: Preparation, *, beyond: int = HALF_BEYOND_BYTES
) -> bool:
    """Whether images are kept as float16: all cases of a data set together are large.

    Values that were not normalized may be of any size, and stay float32.

    Args:
        shapes: (C, *S) of all cases, whichever part they are in.
    """
    return preparation.normalization != "none" and _sizes(shapes)[0] > beyond


def cost(
    shapes: Iterable[Sequence[int]], *, maps: bool, half: bool = False, classes: int = 1
) -> int:
    """Bytes that prepared images of these shapes (C, *S) take in memory.

    Args:
        maps: a label map beside each, of at most 256 classes. half: images in float16.
        classes: of the maps; but for the first, positions of each are kept.
    Example:
        >>> cost([(3, 10, 10)] * 2, maps=True)
        2600
    """
    shapes = list(shapes)
    images, labels = _sizes(shapes)
    places = 0
    if maps:
        sizes = [prod(shape[1:]) for shape in shapes]
        places = sum(places_format(n).itemsize * min(n, MOST_PLACES) for n in sizes)
    return images // (2 if half else 1) + (labels if maps else 0) + places * (classes - 1)


def packed_bytes(
    shapes: Iterable[Sequence[int]], *, maps: bool, half: bool = False, classes: int = 1
) -> int:
    """Most bytes of a packed store on disk: as if nothing could be compressed."""
    return cost(shapes, maps=maps, half=half, classes=classes)


def streaming_cost(
    shapes: Iterable[Sequence[int]], patch: Sequence[int], *, maps: bool, half: bool = False
) -> int:
    """Bytes that reading from a packed store takes, whatever it holds: but for the tables of its
    cases the same for any number and any size of them.

    Small cases that were used last, and the chunks that one patch touches, beside it.

    Args:
        patch: (*S) of what is cut from a case.
    """
    shapes = list(shapes)
    if not shapes:
        return 0
    largest = max(shapes, key=prod)
    chunk = chunk_of(largest[1:])
    rows = zip(patch, chunk, largest[1:], strict=True)
    touched = prod(min(n, (-(-p // c) + 1) * c) for p, c, n in rows)
    item = (2 if half else 4) * largest[0] + (1 if maps else 0)
    return (
        CASE_BYTES * len(shapes)
        + min(RECENT, cost(shapes, maps=maps, half=half))
        + (3 * touched * item)
    )


def packing_cost(shapes: Iterable[Sequence[int]], *, maps: bool, half: bool = False) -> int:
    """Bytes beside the reading of cases while they are packed: a shard, and its encoded form."""
    largest = max(shapes, key=prod, default=(0,))
    item = prod(largest) * (2 if half else 4) + (prod(largest[1:]) if maps else 0)
    return 2 * max(SHARD_BYTES, item)


def _sizes(shapes: Iterable[Sequence[int]]) -> tuple[int, int]:
    """Bytes of float32 images and of uint8 label maps."""
    rows = [(prod(shape), prod(shape[1:])) for shape in shapes]
    return 4 * sum(n for n, _ in rows), sum(n for _, n in rows)
