"""What the axes of an unnamed array item mean: which is channels, how far samples are apart.

Used by the formats of named arrays, whose attributes may say it; else sizes tell.
"""

from collections.abc import Mapping, Sequence

import numpy as np

COLOURS = (3, 4)
FEW_CHANNELS = 4  # of a volume with four axes
LEADS = 16  # most rows that make two axes a signal ...
LONGER = 8  # ... when the other axis is so many times longer
SPACING_MM = ("spacing", "voxel_spacing", "voxelspacing", "pixel_spacing", "pixelspacing")
SPACING_MM += ("voxel_size", "voxelsize", "pixel_size", "pixelsize", "pixdim")
RATES = ("sampling_rate", "samplingrate", "sample_rate", "sfreq", "fs", "rate", "frequency")
PER_MM = {"mm": 1.0, "millimeter": 1.0, "um": 1e-3, "µm": 1e-3, "micrometer": 1e-3}
PER_MM |= {"micron": 1e-3, "nm": 1e-6, "nanometer": 1e-6, "cm": 10.0, "m": 1e3, "meter": 1e3}


def without(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """The shape with one axis taken out.

    Example:
        >>> without((5, 7, 9), 0), without((7, 9), None)
        ((7, 9), (7, 9))
    """
    return tuple(n for i, n in enumerate(shape) if i != axis)


def channel_axis(shape: Sequence[int], attributes: Mapping[str, object]) -> int | None:
    """The axis of an item that holds channels, None where every axis is spatial.

    An attribute `axes` ("CYX") decides. Else: two axes of which one has at most 16 rows and the
    other is 8 times longer are leads and time; of three axes a last one of 3 or 4, or a first one
    of 1, 3 or 4, is colour; of four the first, or the last where it is shorter and at most 4.

    Example:
        >>> [channel_axis(s, {}) for s in ((12, 1000), (64, 64, 3), (9, 64, 64), (40, 40, 30, 2))]
        [0, 2, None, 3]
    """
    axes = attributes.get("axes")
    if isinstance(axes, str) and len(axes) == len(shape):
        return axes.lower().index("c") if "c" in axes.lower() else None
    if len(shape) == 2:
        short = int(shape[1] < shape[0])
        is_leads = shape[short] <= LEADS and shape[1 - short] >= LONGER * shape[short]
        return short if is_leads else None
    if len(shape) == 3:
        if shape[2] in COLOURS and min(shape[:2]) > FEW_CHANNELS:
            return 2
        first = shape[0] in (1, *COLOURS) and min(shape[1:]) > FEW_CHANNELS
        return 0 if first else None
    if len(shape) == 4:
        last = shape[3] <= FEW_CHANNELS and shape[3] < shape[0]
        return 3 if last else 0
    return None


def item_shape(shape: Sequence[int], attributes: Mapping[str, object]) -> tuple[int, ...]:
    """An item's shape with channels first: (C, *S).

    Example:
        >>> item_shape((64, 48, 3), {}), item_shape((64, 48), {})
        ((3, 64, 48), (1, 64, 48))
    """
    axis = channel_axis(shape, attributes)
    return (1 if axis is None else shape[axis], *without(shape, axis))


def channels_first(item: np.ndarray, attributes: Mapping[str, object]) -> np.ndarray:
    """An item as (C, *S), contiguous."""
    axis = channel_axis(item.shape, attributes)
    moved = item[np.newaxis] if axis is None else np.moveaxis(item, axis, 0)
    return np.ascontiguousarray(moved)


def spacing_of(
    attributes: Mapping[str, object], spatial_dims: int
) -> tuple[tuple[float, ...] | None, str]:
    """Distance between samples per axis and its unit, from attributes in the array's own order.

    `spacing`, `voxel_size`, `pixel_size` ... are mm unless `unit` says otherwise;
    `element_size_um` is micrometres; `resolution` without a unit is a ratio only (unit "px"); a
    signal's `fs` or `sampling_rate` is in Hz.

    Example:
        >>> spacing_of({"spacing": [5.0, 0.8, 0.8]}, 3), spacing_of({"fs": 250}, 1)
        (((5.0, 0.8, 0.8), 'mm'), ((0.004,), 's'))
    """
    if spatial_dims == 1:
        rates = [_floats(attributes[key]) for key in RATES if key in attributes]
        known = [rate[0] for rate in rates if len(rate) == 1]
        return ((1.0 / known[0],), "s") if known else (None, "samples")
    scale = PER_MM.get(str(attributes.get("unit", attributes.get("units", ""))).lower())
    found = [(_floats(attributes[k]), scale or 1.0, "mm") for k in SPACING_MM if k in attributes]
    if "element_size_um" in attributes:
        found.append((_floats(attributes["element_size_um"]), 1e-3, "mm"))
    if "resolution" in attributes:
        unit = "mm" if scale else "px"
        found.append((_floats(attributes["resolution"]), scale or 1.0, unit))
    for values, factor, unit in found:
        if len(values) in (1, spatial_dims):
            full = values * spatial_dims if len(values) == 1 else values
            return tuple(float(f"{v * factor:.12g}") for v in full), unit
    return None, "px"


def _floats(value: object) -> list[float]:
    """Positive finite numbers of an attribute, else none."""
    try:
        numbers = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return []
    good = numbers.size and np.isfinite(numbers).all() and (numbers > 0).all()
    return [float(n) for n in numbers] if good else []
