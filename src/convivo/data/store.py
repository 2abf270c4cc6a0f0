"""Prepared cases in memory: Sample -> Store. Raw files are read and prepared once per run.

Letters: N cases, C channels, *S spatial axes.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

import numpy as np

from convivo.arrays.preparation import (
    Placement,
    Preparation,
    prepare,
    prepare_labels,
    prepare_positions,
)
from convivo.data.sample import Events, Sample

HALF_BEYOND_BYTES = 2**30  # past this the store keeps float16: half the memory, 3 decimal digits
HALF_MOST = float(np.finfo(np.float16).max)  # larger values would become infinite

Target = int | float | np.ndarray | Events | None
Prepared = tuple[np.ndarray, Placement, Target]


@dataclass(frozen=True, kw_only=True)
class Store:
    """Cases ready for batching.

    images: one array (N, C, *S) where all cases are alike, else a list of (C, *S) float arrays.
    targets: per case a class index, a (*S) uint8/int16 label map, or Events in samples of the
    prepared signal. placements: the way back to each case's own grid.
    """

    ids: tuple[str, ...]
    units: tuple[str, ...]
    images: Sequence[np.ndarray] | np.ndarray
    targets: Sequence[Target]
    placements: Sequence[Placement]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.images[0].shape[0])


def prepared_target(sample: Sample, placement: Placement, preparation: Preparation) -> Target:
    """The sample's target on the prepared grid; moments move with the sampling rate."""
    if isinstance(sample.target, Events):
        positions = prepare_positions(sample.target.positions, placement)
        return Events(
            positions=positions,
            labels=sample.target.labels,
            stored=sample.target.positions,
        )
    if isinstance(sample.target, np.ndarray) and sample.target.ndim == preparation.spatial_dims:
        labels = prepare_labels(sample.target, placement)
        return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.int16)
    # A NumPy number is a class index or a number too, for `Batches` as for the metrics.
    plain = isinstance(sample.target, np.generic | np.ndarray) and np.ndim(sample.target) == 0
    return np.asarray(sample.target).item() if plain else sample.target


def prepare_sample(sample: Sample, preparation: Preparation) -> Prepared:
    """One case through the preparation, image and target alike."""
    image, placement = prepare(
        sample.image,
        preparation,
        affine=sample.affine,
        spacing=sample.spacing,
        channel_names=sample.channel_names,
    )
    return image, placement, prepared_target(sample, placement, preparation)


def build_store(
    load: Callable[[str], Sample],
    ids: Iterable[str],
    preparation: Preparation,
    *,
    workers: int = 2,
    half_beyond: int = HALF_BEYOND_BYTES,
    tick: Callable[[int], None] | None = None,
) -> Store:
    """Read and prepare the named cases, in order, with a few reading threads.

    Args:
        load: case id -> Sample, thread-safe.
        half_beyond: bytes of float32 images past which the store keeps float16.
        tick: called with the number of cases done so far.
    """
    names, units = tuple(ids), []
    images, targets, placements = [], [], []

    def one(name: str) -> tuple[str, Prepared]:
        sample = load(name)
        return sample.unit, prepare_sample(sample, preparation)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for done, (unit, (image, placement, target)) in enumerate(pool.map(one, names), 1):
            units.append(unit)
            images.append(image)
            targets.append(target)
            placements.append(placement)
            if tick is not None:
                tick(done)
    packed = _packed(images, half_beyond)
    return Store(
        ids=names, units=tuple(units), images=packed, targets=targets, placements=placements
    )


def cost(
    shapes: Iterable[Sequence[int]], *, maps: bool, half_beyond: int = HALF_BEYOND_BYTES
) -> int:
    """Bytes that a store of prepared images of these shapes (C, *S) holds.

    Args:
        maps: a label map beside each, of at most 256 classes.
        half_beyond: as in `build_store`.
    Example:
        >>> cost([(3, 10, 10)] * 2, maps=True)
        2600
    """
    images, labels = _sizes(shapes)
    half = images > half_beyond
    return images // (2 if half else 1) + (labels if maps else 0)


def building_cost(shapes: Iterable[Sequence[int]], *, half_beyond: int = HALF_BEYOND_BYTES) -> int:
    """Bytes beyond `cost` while it is built: float32 images until all are there."""
    images, _ = _sizes(shapes)
    return images // 2 if images > half_beyond else 0


def _sizes(shapes: Iterable[Sequence[int]]) -> tuple[int, int]:
    """Bytes of float32 images and of uint8 label maps."""
    rows = [(prod(shape), prod(shape[1:])) for shape in shapes]
    return 4 * sum(n for n, _ in rows), sum(n for _, n in rows)


def _packed(images: list[np.ndarray], half_beyond: int) -> np.ndarray | list[np.ndarray]:
    """One contiguous array where all are alike; float16 where float32 would be too much.

    Takes the list over: each array is let go as soon as it is copied.
    """
    total = sum(image.nbytes for image in images)
    half = total > half_beyond and max(float(np.abs(i).max()) for i in images) <= HALF_MOST
    dtype = np.float16 if half else np.float32
    if images and len({image.shape for image in images}) == 1:
        packed = np.empty((len(images), *images[0].shape), dtype)
        for i in range(len(images)):
            packed[i] = images[i]
            images[i] = packed[i]
        return packed
    for i in range(len(images)):
        images[i] = images[i].astype(dtype, copy=False)
    return images
