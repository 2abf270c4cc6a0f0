"""Stored array -> what the network sees, and any answer on that grid -> the original grid.

One `Preparation` serves a whole data set and goes into the run; each case gets a `Placement`.
Letters: C channels, *S original and *P prepared spatial sizes, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from convivo.arrays.channels import select_channels
from convivo.arrays.normalization import SCHEMES, normalize, to_unit_range
from convivo.arrays.orientation import Turn, identity, spacing_of, turn_to_ras
from convivo.arrays.placement import Crop, Placement, Regrid, Step
from convivo.arrays.resampling import (
    extent_grid,
    rate_grid,
    rate_ratio,
    resample_on,
    resample_rate,
)
from convivo.errors import ConfigError, ShapeError, nearest_name

SPACING_TOLERANCE = 0.01
"""Spacings closer than this share are the same: resampling would only blur."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How every case of a data set is brought before the network.

    spatial_dims: 1, 2 or 3. channels: how many the network takes. channel_names: their names, if
        they have any; then channels are picked by name.
    orientation: "RAS" turns volumes that have an affine; None leaves the stored axes.
    spacing: distance between samples along each axis after the turn, in the case's own unit
        (mm, s); cases without a spacing stay as they are. None: no resampling.
    size: sizes every case gets, None: each keeps its own. fit: "resize" stretches to them (the
        aspect ratio may change), "crop" cuts or pads around the centre.
    normalization: "zscore", "robust", "fixed" (needs mean and std) or "none".

    Raises:
        ConfigError: a value that is none of these.
    Example:
        >>> p = Preparation(spatial_dims=1, channels=2, spacing=(1 / 250,), normalization="robust")
        >>> Preparation.from_dict(p.to_dict()) == p
        True
    """

    spatial_dims: int
    channels: int
    channel_names: tuple[str, ...] = ()
    orientation: Literal["RAS"] | None = None
    spacing: tuple[float, ...] | None = None
    size: tuple[int, ...] | None = None
    fit: Literal["resize", "crop"] = "resize"
    normalization: str = "zscore"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        names = self.channel_names
        per_axis = f"one positive value per axis ({self.spatial_dims})"
        self._must(self.spatial_dims in (1, 2, 3), "spatial_dims", "1, 2 or 3")
        self._must(self.channels >= 1, "channels", "at least 1")
        self._must(len(names) in (0, self.channels), "channel_names", "one per channel")
        self._must(self.orientation in (None, "RAS"), "orientation", "'RAS' or None")
        self._must(self._per_axis(self.spacing), "spacing", per_axis)
        self._must(self._per_axis(self.size), "size", per_axis)
        self._must(self.fit in ("resize", "crop"), "fit", "'resize' or 'crop'")
        self._must(self.normalization in SCHEMES, "normalization", f"one of {', '.join(SCHEMES)}")
        if self.normalization == "fixed":
            self._must(len(self.mean) in (1, self.channels), "mean", "one per channel")
            self._must(len(self.std) in (1, self.channels), "std", "one per channel")

    def _per_axis(self, values: Sequence[float] | None) -> bool:
        return values is None or (len(values) == self.spatial_dims and min(values) > 0)

    def _must(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            got = repr(getattr(self, name))
            raise ConfigError("preparation", f"{name} is {rule}", got, f"Change {name}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in plain.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preparation":
        """The inverse of `to_dict`.

        Raises:
            ConfigError: an unknown or missing key, or a value out of its range.
        """
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigError("preparation", "a known key", key, nearest_name(key, known))
        for key in ("spatial_dims", "channels"):
            if key not in values:
                got = ", ".join(values) or "nothing"
                raise ConfigError("preparation", f"{key} must be given", got, f"Add {key}")
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**plain)


def prepare(
    image: np.ndarray,
    preparation: Preparation,
    *,
    affine: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
    channel_names: Sequence[str] = (),
) -> tuple[np.ndarray, Placement]:
    """One case as the network sees it.

    Channels, orientation, normalisation, spacing, size, in this order: grey values are measured
    on the stored voxels, where a black background is still exactly black. Padding is zeros for
    signals (the centre of the normalised values), the repeated edge for images and volumes.

    Args:
        image: (C, *S), any real dtype.
        affine: 4 x 4 index -> world mm, for volumes.
        spacing: along the stored axes; taken from `affine` where only that is given.
        channel_names: names of the image's channels, if known.
    Returns:
        (channels, *P) float32, and the placement that leads back.
    Raises:
        ShapeError: wrong number of axes, an empty axis, channels that cannot be converted, a
            degenerate affine.
    """
    values = graded(image, preparation, affine=affine, channel_names=channel_names)
    shape = image.shape[1:]
    return placed(values, shape, preparation, affine=affine, spacing=spacing)


def graded(
    image: np.ndarray,
    preparation: Preparation,
    *,
    affine: np.ndarray | None = None,
    channel_names: Sequence[str] = (),
    over: bool = False,
) -> np.ndarray:
    """The first half of `prepare`, after which the stored values are needed no more.

    Args:
        over: the result may be written over the image, where that has its format.
    Returns:
        (channels, *S), turned: normalised grey values on the stored voxels, float32.
    Raises:
        ShapeError: as `prepare`.
    """
    dims = preparation.spatial_dims
    if image.ndim != dims + 1 or 0 in image.shape:
        rule = f"an image is (channels, {dims} spatial axes), none of them empty"
        raise ShapeError("prepare", rule, f"shape {image.shape}", "Check the file")
    wanted = preparation.channel_names
    image = select_channels(image, preparation.channels, wanted=wanted, names=channel_names)
    turn, _ = _turn(preparation, affine, None)
    scheme = preparation.normalization
    values = to_unit_range(image) if scheme == "fixed" else image
    mean, std = preparation.mean, preparation.std
    return normalize(turn.apply(values), scheme, mean=mean, std=std, over=over)


def placed(
    values: np.ndarray,
    shape: Sequence[int],
    preparation: Preparation,
    *,
    affine: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
) -> tuple[np.ndarray, Placement]:
    """The second half of `prepare`: grey values of `graded` on the prepared grid.

    Args:
        shape: spatial sizes (*S) as stored. Others as in `prepare`.
    Returns:
        As `prepare`.
    Raises:
        ShapeError: a degenerate affine, or a spacing of other axes.
    """
    turn, spacing = _turn(preparation, affine, spacing)
    values, regrids = _to_spacing(values, preparation, spacing)
    values, fits = _to_size(values, preparation)
    placement = Placement(shape=tuple(shape), turn=turn, steps=(*regrids, *fits))
    return np.ascontiguousarray(values, dtype=np.float32), placement


def prepared_shape(
    shape: Sequence[int],
    preparation: Preparation,
    *,
    affine: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
) -> tuple[int, ...]:
    """The shape (channels, *P) that `prepare` gives a case of spatial sizes (*S), from its header.

    Raises:
        ShapeError: a degenerate affine, or a spacing of other axes.
    Example:
        >>> p = Preparation(spatial_dims=2, channels=3, spacing=(2.0, 2.0))
        >>> prepared_shape((7, 9), p, spacing=(1.0, 2.0))
        (3, 4, 9)
    """
    if preparation.size is not None:
        return preparation.channels, *preparation.size
    turn, spacing = _turn(preparation, affine, spacing)
    turned = turn.permute(tuple(shape))
    sizes, _ = _resampled(turned, preparation, spacing)
    return preparation.channels, *sizes


def prepare_labels(labels: np.ndarray, placement: Placement) -> np.ndarray:
    """A label map (*S) on the prepared grid: (*P), same dtype, no new labels."""
    return np.ascontiguousarray(placement.labels_forward(labels))


def restore_labels(labels: np.ndarray, placement: Placement) -> np.ndarray:
    """A label map (*P) back on the case's own grid: (*S), axes and directions as stored.

    What a crop had cut away is label 0.
    """
    return np.ascontiguousarray(placement.labels_back(labels))


def restore_probabilities(probabilities: np.ndarray, placement: Placement) -> np.ndarray:
    """Probabilities (K, *P) back on the case's own grid by linear interpolation: (K, *S) float32.

    What a crop had cut away is class 0 for sure (with a single channel: 0).
    """
    return np.ascontiguousarray(placement.probabilities_back(probabilities), dtype=np.float32)


def prepare_positions(positions: np.ndarray, placement: Placement) -> np.ndarray:
    """Sample indices (n,) of a signal on the prepared grid, rounded; int64, may lie outside."""
    return np.rint(placement.positions_forward(positions)).astype(np.int64)


def _turn(
    preparation: Preparation, affine: np.ndarray | None, spacing: Sequence[float] | None
) -> tuple[Turn, tuple[float, ...] | None]:
    """The turn of a case, and its spacing along the turned axes."""
    dims = preparation.spatial_dims
    turn = identity(dims)
    if spacing is not None and len(spacing) != dims:
        rule = f"one spacing per spatial axis ({dims})"
        raise ShapeError("prepare", rule, tuple(spacing), "Repair the header of the file")
    if dims == 3 and affine is not None:
        turn = turn_to_ras(affine) if preparation.orientation == "RAS" else turn
        spacing = spacing_of(affine) if spacing is None else spacing
    return turn, None if spacing is None else turn.permute(tuple(spacing))


def _to_spacing(
    values: np.ndarray, preparation: Preparation, spacing: tuple[float, ...] | None
) -> tuple[np.ndarray, tuple[Step, ...]]:
    shape = values.shape[1:]
    sizes, rates = _resampled(shape, preparation, spacing)
    if rates is not None:
        _, grid = rate_grid(shape[0], *rates)
        return resample_rate(values, *rates), (Regrid(shape, sizes, (grid,)),)
    return (values, ()) if sizes == shape else _regrid(values, sizes, order=3)


def _resampled(
    shape: tuple[int, ...], preparation: Preparation, spacing: tuple[float, ...] | None
) -> tuple[tuple[int, ...], tuple[int, int] | None]:
    """Sizes at the wanted spacing; of a signal that changes its rate also that, (up, down)."""
    wanted = preparation.spacing
    if wanted is None or spacing is None:
        return shape, None
    ratios = [have / want for have, want in zip(spacing, wanted, strict=True)]
    changes = [abs(ratio - 1) > SPACING_TOLERANCE for ratio in ratios]
    if preparation.spatial_dims == 1 and any(changes):
        rates = rate_ratio(spacing[0], wanted[0])
        size, _ = rate_grid(shape[0], *rates)
        return (size,), rates
    rows = zip(shape, ratios, changes, strict=True)
    return tuple(max(1, round(n * ratio)) if change else n for n, ratio, change in rows), None


def _to_size(values: np.ndarray, preparation: Preparation) -> tuple[np.ndarray, tuple[Step, ...]]:
    size = preparation.size
    if size is None or tuple(size) == values.shape[1:]:
        return values, ()
    if preparation.fit == "resize":
        return _regrid(values, tuple(size), order=1)
    step = Crop(values.shape[1:], tuple(size), edge=preparation.spatial_dims > 1)
    return step.forward(values, 0), (step,)


def _regrid(
    values: np.ndarray, sizes: tuple[int, ...], *, order: int
) -> tuple[np.ndarray, tuple[Step, ...]]:
    shape = values.shape[1:]
    grids = tuple(extent_grid(n, m) for n, m in zip(shape, sizes, strict=True))
    return resample_on(values, sizes, grids, order=order), (Regrid(shape, sizes, grids),)
