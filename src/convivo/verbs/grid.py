"""Many images in one picture: rows and columns of them, signals as drawn lines, volumes cut."""

from math import ceil, sqrt
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from convivo.files import replacing

GAP, TRACE_HEIGHT, LEAST_SIDE = 2, 64, 48
PAPER = 255


def write_grid(path: Path, images: np.ndarray) -> Path:
    """Save images (n, C, *S) as one PNG, as square as it can be, in order of rows.

    uint8 is shown as it is, other values from the least to the greatest of each. Three channels
    are colours, of others the first is shown; of a volume its middle plane.
    """
    tiles = [_tile(image) for image in images]
    columns = ceil(sqrt(len(tiles)))
    rows = ceil(len(tiles) / columns)
    height, width = tiles[0].shape[:2]
    page = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), PAPER, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        page[top : top + height, left : left + width] = tile
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        Image.fromarray(page).save(part, format="PNG")
    return path


def _tile(image: np.ndarray) -> np.ndarray:
    """(C, *S) -> (h, w, 3) uint8, small ones enlarged."""
    if image.ndim == 2:
        return _trace(image[0])
    if image.ndim == 4:
        image = image[..., image.shape[-1] // 2]
    grey = np.stack([_bytes(channel) for channel in (image if len(image) == 3 else image[:1])])
    tile = np.moveaxis(np.repeat(grey, 3 // len(grey), axis=0), 0, -1)
    times = max(1, ceil(LEAST_SIDE / max(tile.shape[:2])))
    return tile.repeat(times, axis=0).repeat(times, axis=1)


def _bytes(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    return np.clip((values - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)


def _trace(values: np.ndarray) -> np.ndarray:
    """A signal (T,) as a black line on white."""
    width = max(2 * TRACE_HEIGHT, min(len(values), 4 * TRACE_HEIGHT))
    canvas = Image.new("L", (width, TRACE_HEIGHT), PAPER)
    low, high = float(values.min()), float(values.max())
    x = np.linspace(1, width - 2, len(values))
    y = (TRACE_HEIGHT - 4) * (1 - (values - low) / max(high - low, 1e-6)) + 2
    ImageDraw.Draw(canvas).line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=0)
    return np.repeat(np.asarray(canvas)[..., None], 3, axis=2)
