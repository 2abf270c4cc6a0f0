"""One case through the preparation: Sample -> image and target on the prepared grid."""

from collections.abc import Callable

import numpy as np

from convivo.arrays.preparation import (
    Placement,
    Preparation,
    graded,
    placed,
    prepare,
    prepare_labels,
    prepare_positions,
)
from convivo.data.sample import Events, Sample

Prepared = tuple[np.ndarray, Placement, int | float | np.ndarray | Events | None]


def prepared_target(
    sample: Sample, placement: Placement, preparation: Preparation
) -> int | float | np.ndarray | Events | None:
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
        most = int(labels.max(initial=0))
        few = np.uint8 if most < 256 else np.int16
        return labels.astype(few if most < 2**15 else np.int32)
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


def prepare_read(
    read: Callable[[], Sample], preparation: Preparation
) -> tuple[np.ndarray, Placement]:
    """The image of one case through the preparation; of what was read nothing is left meanwhile.

    Args:
        read: gives the case, whose image nobody else holds: of a large volume the stored values
            and two grids of grey values would be more than the prediction itself takes.
    """
    sample = read()
    shape, affine, spacing = sample.image.shape[1:], sample.affine, sample.spacing
    values = graded(
        sample.image, preparation, affine=affine, channel_names=sample.channel_names, over=True
    )
    del sample
    return placed(values, shape, preparation, affine=affine, spacing=spacing)
