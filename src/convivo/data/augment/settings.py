"""How strongly and how often a batch is altered: plain numbers, and presets by kind of data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from convivo.errors import ConfigError, nearest_name

LABELS = ("nearest", "linear")
LARGE = 2**15  # values of an item from which on it is changed where it lies, not in a copy


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Strengths are the largest change drawn; p_* is the chance of an item to get that change.

    Place, images and volumes (together, chance p_spatial): rotate_deg, scale (0.2: sizes from
    1 / 1.2 to 1.2), shift (share of each axis), flip_axes (spatial axes, each with chance 1/2).
    elastic: largest displacement, as share of the distance between control points, of which there
    are elastic_points along the longest axis; at most 0.4, so that nothing folds.
    Place, signals (chance p_spatial): scale and shift along time, time_warp (largest local
    displacement, as share of the length; at most 0.1, so that time never runs backwards).
    Place, all: crop (largest share of each axis that is cut off; the rest fills the picture).
    labels: "nearest", or "linear": the class of the largest share after linear interpolation
    (smoother borders, a few times slower); label maps of signals are always by the nearest.
    Grey values (in deviations of the normalised image): gain and contrast (0.2: factors from
    1 / 1.2 to 1.2, of the values or of their distance from the mean), brightness (offset),
    gamma (as gain, of the exponent), noise (largest deviation), blur (largest deviation of the
    kernel, in samples of the finest axis; at least half of it is drawn), low_resolution (largest
    shrink factor), bias (as gain, of a smooth field over the darkest value).
    cutout (largest share of each axis of a box that is set to 0, the mean; labels stay). mixup (the
    alpha of a beta distribution: items mixed with others, see `mixup.mixed`; classes only).
    Signals (in deviations): baseline_wander, powerline (amplitudes), muscle (deviation of a burst);
    p_lead_drop (chance of each channel to be silent, never all), p_polarity (sign of all channels).

    Raises:
        ConfigError: a number outside its range.
    """

    flip_axes: tuple[int, ...] = ()
    rotate_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    time_warp: float = 0.0
    p_spatial: float = 0.0
    elastic: float = 0.0
    elastic_points: int = 4
    p_elastic: float = 0.0
    crop: float = 0.0
    p_crop: float = 0.0
    labels: str = "nearest"
    gain: float = 0.0
    p_gain: float = 0.0
    contrast: float = 0.0
    p_contrast: float = 0.0
    brightness: float = 0.0
    p_brightness: float = 0.0
    gamma: float = 0.0
    p_gamma: float = 0.0
    noise: float = 0.0
    p_noise: float = 0.0
    blur: float = 0.0
    p_blur: float = 0.0
    low_resolution: float = 1.0
    p_low_resolution: float = 0.0
    bias: float = 0.0
    p_bias: float = 0.0
    cutout: float = 0.0
    p_cutout: float = 0.0
    mixup: float = 0.0
    p_mixup: float = 0.0
    baseline_wander: float = 0.0
    p_baseline_wander: float = 0.0
    powerline: float = 0.0
    p_powerline: float = 0.0
    muscle: float = 0.0
    p_muscle: float = 0.0
    p_lead_drop: float = 0.0
    p_polarity: float = 0.0

    def __post_init__(self) -> None:
        axes = self.flip_axes
        whole = all(isinstance(axis, int) and axis >= 0 for axis in axes)
        if not whole or len(set(axes)) != len(axes):
            raise _refusal("flip_axes", "different spatial axes, from 0", axes)
        if self.labels not in LABELS:
            raise _refusal("labels", " or ".join(map(repr, LABELS)), self.labels)
        if not isinstance(self.elastic_points, int) or not 1 <= self.elastic_points <= 32:
            raise _refusal("elastic_points", "a whole number from 1 to 32", self.elastic_points)
        for field in fields(self):
            if field.name not in ("flip_axes", "labels", "elastic_points"):
                self._check(field.name, getattr(self, field.name))

    def _check(self, name: str, value: object) -> None:
        low, high = _RANGES.get(name, (0.0, 1.0 if name.startswith("p_") else float("inf")))
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value < float("inf") or value > high:
            limit = f"from {low:g} to {high:g}" if high < float("inf") else f"of at least {low:g}"
            raise _refusal(name, f"a number {limit}", value)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"flip_axes": list(self.flip_axes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Augmentation":
        """The inverse of `to_dict`; keys that are missing take their default.

        Raises:
            ConfigError: an unknown key or a value outside its range.
        """
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigError("augment", "a known key", key, nearest_name(key, known))
        plain: dict[str, Any] = dict(values)
        axes = plain.get("flip_axes", ())
        if not isinstance(axes, (list, tuple)):
            raise _refusal("flip_axes", "a list of spatial axes", axes)
        return cls(**plain | {"flip_axes": tuple(axes)})


_RANGES = {
    "low_resolution": (1.0, 8.0),
    "rotate_deg": (0.0, 180.0),
    "shift": (0.0, 1.0),
    "time_warp": (0.0, 0.1),
    "blur": (0.0, 4.0),
    "elastic": (0.0, 0.4),
    "crop": (0.0, 0.9),
    "cutout": (0.0, 1.0),
}


def default(
    spatial_dims: int, task: str, flips_allowed: Sequence[int] | bool = (), *, small: bool = False
) -> Augmentation:
    """The preset for a kind of data.

    Args:
        spatial_dims: 1 signals, 2 images, 3 volumes.
        task: "classify" or "segment" (label maps ask for less often moved items: small
            structures lose their shape in repeated interpolation).
        flips_allowed: spatial axes along which mirror images look natural; True for all.
        small: pictures of so few samples a side that a blur takes away what there is to see.
    Raises:
        ConfigError: another number of axes.
    """
    if spatial_dims not in (1, 2, 3):
        raise _refusal("spatial_dims", "1, 2 or 3", spatial_dims)
    if isinstance(flips_allowed, bool):
        flips = tuple(range(spatial_dims)) if flips_allowed else ()
    else:
        flips = tuple(int(axis) for axis in flips_allowed)
    if spatial_dims == 1:
        return Augmentation(flip_axes=flips, **_SIGNAL)
    moved = 0.5 if task == "classify" else 0.35
    sharp: dict[str, Any] = {"p_blur": 0.0, "p_low_resolution": 0.0} if small else {}
    return Augmentation(flip_axes=flips, p_spatial=moved, **_PICTURE | sharp)


_PICTURE: dict[str, Any] = {
    "rotate_deg": 15.0,
    "scale": 0.15,
    "shift": 0.06,
    "contrast": 0.25,
    "p_contrast": 0.3,
    "brightness": 0.2,
    "p_brightness": 0.3,
    "gamma": 0.4,
    "p_gamma": 0.25,
    "noise": 0.15,
    "p_noise": 0.15,
    "blur": 1.0,
    "p_blur": 0.15,
    "low_resolution": 2.0,
    "p_low_resolution": 0.1,
}

_SIGNAL: dict[str, Any] = {
    "scale": 0.1,
    "shift": 0.03,
    "time_warp": 0.01,
    "p_spatial": 0.5,
    "gain": 0.25,
    "p_gain": 0.5,
    "noise": 0.1,
    "p_noise": 0.3,
    "baseline_wander": 0.5,
    "p_baseline_wander": 0.3,
    "powerline": 0.15,
    "p_powerline": 0.1,
    "muscle": 0.3,
    "p_muscle": 0.15,
    "p_lead_drop": 0.03,
}


def _refusal(name: str, rule: str, got: object) -> ConfigError:
    return ConfigError("augment", f"{name} is {rule}", repr(got), f"Change augment.{name}")
