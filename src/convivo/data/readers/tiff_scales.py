"""How far the pixels of a TIFF are apart, where the file says it with a unit: OME and ImageJ.

The plain resolution tags are not believed: programs write 72 dpi whatever the image shows.
"""

import re
from typing import TYPE_CHECKING

from convivo.data.readers.array_axes import PER_MM

if TYPE_CHECKING:
    import tifffile

PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
MICRON = "um"  # OME's unit where none is written


def scales_mm(file: "tifffile.TiffFile", axes: str) -> tuple[float, ...] | None:
    """Millimetres between samples along `axes` ("ZYX" or "YX"); None where one is not known."""
    known = _ome(file.ome_metadata) if file.is_ome else _imagej(file) if file.is_imagej else {}
    found = [known.get(axis) for axis in axes]
    values = tuple(value for value in found if value is not None and value > 0)
    return values if len(values) == len(axes) else None


def _ome(text: str | None) -> dict[str, float]:
    """Axis -> mm from the first image of the XML; read by pattern, so that no entity is expanded.

    Example:
        >>> _ome('<Pixels PhysicalSizeX="0.5" PhysicalSizeY="2" PhysicalSizeYUnit="mm">')
        {'Y': 2.0, 'X': 0.0005}
    """
    tag = PIXELS.search(text or "")
    values = dict(re.findall(r'(\w+)="([^"]*)"', tag[0])) if tag else {}
    found: dict[str, float] = {}
    for axis in "ZYX":
        factor = PER_MM.get(values.get(f"PhysicalSize{axis}Unit", MICRON).lower())
        size = _number(values.get(f"PhysicalSize{axis}"))
        if factor is not None and size is not None:
            found[axis] = float(f"{size * factor:.12g}")
    return found


def _imagej(file: "tifffile.TiffFile") -> dict[str, float]:
    """Axis -> mm: pixels per unit from the tags, the slices' distance from the description."""
    about = file.imagej_metadata or {}
    unit = str(about.get("unit", "")).replace("\\u00B5", "µ").lower()
    factor = PER_MM.get(unit)
    tags = file.pages[0].tags  # type: ignore[union-attr]
    if factor is None:
        return {}
    found: dict[str, float] = {}
    for axis, name in (("Y", "YResolution"), ("X", "XResolution")):
        if name in tags and tags[name].value[0]:
            above, below = tags[name].value
            found[axis] = float(f"{factor * below / above:.9g}")
    if (depth := _number(about.get("spacing"))) is not None:
        found["Z"] = float(f"{depth * factor:.12g}")
    return found


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
