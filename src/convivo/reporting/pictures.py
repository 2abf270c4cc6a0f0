"""Pictures of images and volumes as PNG: grey levels or colours, with outlines of the masks.

A picture has at most 256 colours: a ground of 240 levels and the colours of the outlines. That
keeps outlines pure and files a third of the size.
"""

import base64
import io
from collections.abc import Sequence
from math import sqrt

import numpy as np
from PIL import Image, ImageColor

from convivo.reporting.content import CasePicture
from convivo.reporting.planes import Plane, planes
from convivo.reporting.plots import PREDICTION_COLORS, TRUTH_COLORS

GROUND = 240
FIRST_TRUTH, FIRST_PREDICTION = GROUND, GROUND + len(TRUTH_COLORS)
EMPTY = 255
TRUTH_WIDTH, PREDICTION_WIDTH = 6, 3
GAP = 14
WANTED_SIDE, SMALLEST_SIDE = 620, 280
WINDOW = (0.5, 99.5)
SAMPLED = 2**15  # pixels that a palette is found from: of all it takes five times as long


def png_address(case: CasePicture, *, budget: int) -> tuple[str, int, int]:
    """A case as the address of a PNG that is part of the page, and its width and height.

    The picture is made smaller until it has at most `budget` bytes, but never below the size at
    which its longer side has 280 pixels.
    """
    parts = planes(case)
    window = intensity_window([p.image for p in parts])
    extent = max(max(n * s for n, s in zip(p.image.shape[1:], p.pixel, strict=True)) for p in parts)
    side = float(WANTED_SIDE)
    while True:
        indices, palette = montage([drawn(p, side / extent, window) for p in parts])
        data = png(indices, palette)
        if len(data) <= budget or side <= SMALLEST_SIDE:
            address = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
            return address, indices.shape[1], indices.shape[0]
        side = max(side * 0.8, SMALLEST_SIDE)


def intensity_window(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """The values shown as black and white: the 0.5 and 99.5 percentile of what is shown."""
    values = np.concatenate([shown_channels(i).ravel() for i in images])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, WINDOW))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def shown_channels(image: np.ndarray) -> np.ndarray:
    """Three channels as colour; of any other number the first one."""
    return image if image.shape[0] == 3 else image[:1]


def drawn(plane: Plane, zoom: float, window: tuple[float, float]) -> tuple[np.ndarray, list[int]]:
    """A plane at its final size: colour indices (h, w) with outlines, and the ground's palette."""
    size = [max(1, round(n * s * zoom)) for n, s in zip(plane.image.shape[1:], plane.pixel,
                                                       strict=True)]  # fmt: skip
    indices, palette = ground(plane.image, (size[0], size[1]), window)
    for labels, first, width in (
        (plane.truth, FIRST_TRUTH, TRUTH_WIDTH),
        (plane.prediction, FIRST_PREDICTION, PREDICTION_WIDTH),
    ):
        if labels is not None:
            draw_outlines(indices, enlarged(labels, indices.shape), first=first, width=width)
    return indices, palette


def ground(
    image: np.ndarray, size: tuple[int, int], window: tuple[float, float]
) -> tuple[np.ndarray, list[int]]:
    """The image without outlines: colour indices below GROUND (h, w) and their palette."""
    low, high = window
    levels = []
    for channel in shown_channels(image):
        clean = np.nan_to_num(channel.astype(np.float32), nan=low, posinf=high, neginf=low)
        picture = Image.fromarray(clean.clip(low, high), mode=None)
        smooth = picture.resize(size[::-1], Image.Resampling.BICUBIC)
        levels.append(((np.asarray(smooth) - low) / (high - low)).clip(0, 1))
    if len(levels) == 1:
        steps = np.linspace(0, 255, GROUND).round().astype(int)
        return (levels[0] * (GROUND - 1)).round().astype(np.uint8), np.repeat(steps, 3).tolist()
    colors = (np.stack(levels, axis=-1) * 255).round().astype(np.uint8)
    apart = max(1, round(sqrt(colors.shape[0] * colors.shape[1] / SAMPLED)))
    sample = Image.fromarray(np.ascontiguousarray(colors[::apart, ::apart]))
    few = sample.quantize(GROUND, method=Image.Quantize.MEDIANCUT)
    whole = Image.fromarray(colors).quantize(palette=few, dither=Image.Dither.NONE)
    return np.array(whole), list(few.getpalette() or [])


def enlarged(labels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A label map (h, w) at another size, each value taken from the pixel it falls into."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, labels.shape, strict=True))
    return labels[np.ix_(rows, columns)]


def draw_outlines(indices: np.ndarray, labels: np.ndarray, *, first: int, width: int) -> None:
    """Paint the inner boundary of every foreground class, colours repeating after four."""
    for value in np.unique(labels[labels > 0]):
        mask = labels == value
        indices[mask & ~eroded(mask, width)] = first + (int(value) - 1) % len(TRUTH_COLORS)


def eroded(mask: np.ndarray, steps: int) -> np.ndarray:
    """The mask without its outermost pixels; the edge of the picture counts as outside."""
    for _ in range(steps):
        framed = np.pad(mask, 1)
        sides = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
        mask = mask & np.logical_and.reduce(sides)
    return mask


def montage(parts: Sequence[tuple[np.ndarray, list[int]]]) -> tuple[np.ndarray, list[int]]:
    """Planes side by side, centred, with nothing between them.

    Planes of one case share a palette when they are grey; of colour volumes the first one's
    palette would not fit the others, so their levels are brought to one palette beforehand.
    """
    if len(parts) == 1:
        return parts[0]
    arrays, palette = one_palette(parts)
    height = max(a.shape[0] for a in arrays)
    width = sum(a.shape[1] for a in arrays) + GAP * (len(arrays) - 1)
    canvas, left = np.full((height, width), EMPTY, np.uint8), 0
    for array in arrays:
        top = (height - array.shape[0]) // 2
        canvas[top : top + array.shape[0], left : left + array.shape[1]] = array
        left += array.shape[1] + GAP
    return canvas, palette


def one_palette(
    parts: Sequence[tuple[np.ndarray, list[int]]],
) -> tuple[list[np.ndarray], list[int]]:
    """The parts with the palette of the first, to whose colours the others' are matched."""
    reference = parts[0][1]
    arrays = []
    for indices, palette in parts:
        if palette == reference:
            arrays.append(indices)
            continue
        own, shared = (np.reshape(p, (-1, 3)).astype(float) for p in (palette, reference))
        nearest = ((own[:, None] - shared[None]) ** 2).sum(axis=-1).argmin(axis=1)
        table = np.arange(256, dtype=np.uint8)
        table[: len(nearest)] = nearest
        arrays.append(np.where(indices < GROUND, table[indices], indices))
    return arrays, reference


def png(indices: np.ndarray, palette: list[int]) -> bytes:
    """A PNG of colour indices; EMPTY is transparent, so that the page shows through."""
    full = palette + [0] * (3 * GROUND - len(palette))
    for color in (*TRUTH_COLORS, *PREDICTION_COLORS):
        full.extend(ImageColor.getrgb(color)[:3])
    picture = Image.fromarray(indices)
    picture.putpalette(full + [0] * (768 - len(full)))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True, transparency=EMPTY)
    return stream.getvalue()
