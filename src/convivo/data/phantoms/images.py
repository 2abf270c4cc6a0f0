"""Phantom micrographs: stained cells of two types, as images with masks or as folders per class.

Light is absorbed as in a real slide (Beer-Lambert): what lies in the path adds up as optical
density per colour. Every subject is a slide with a staining, lamp and focus of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from convivo.errors import UsageError

SUBJECTS = 8
FADE = 16  # pixels beyond which nothing is left of a soft edge
CLASSES = ("healthy", "infected")

_CYTOPLASM = (0.14, 0.46, 0.30)  # optical density in red, green, blue: eosin
_INCLUSION = (0.75, 0.95, 0.35)  # and a violet nuclear stain
_INFECTED_SHARE = 0.4


_Window = tuple[slice, slice]


@dataclass(frozen=True)
class _Slide:
    """What all images of a subject share."""

    cytoplasm: np.ndarray
    inclusion: np.ndarray
    lamp: np.ndarray
    blur_px: float
    noise: float
    radius_px: float


@dataclass(frozen=True)
class _Cell:
    row: float
    column: float
    radius: float
    infected: bool


def make_images(
    out: Path,
    *,
    seed: int = 0,
    count: int = 40,
    size: tuple[int, int] = (96, 112),
    task: Literal["segment", "classify"] = "segment",
) -> Path:
    """Write stained cells of two types, healthy and with a dark inclusion, as RGB PNG.

    File names begin with the subject: `P03_field_017.png`. The same seed writes the same bytes.

    Args:
        out: folder to write into; made if missing. count: number of images.
        size: rows and columns of a field in pixels; a single cell is shown in half of that.
        task: "segment" writes `images/` and `labels/` with mask values 0 background, 1 healthy,
            2 infected; "classify" writes `healthy/` and `infected/` with one cell an image.
    Returns:
        The folder.
    Raises:
        UsageError: another task.
    """
    if task not in ("segment", "classify"):
        rule = "phantom images are made for segment or classify"
        raise UsageError("make_images", rule, repr(task), "Choose one of them")
    out = Path(out)
    for folder in ("images", "labels") if task == "segment" else CLASSES:
        (out / folder).mkdir(parents=True, exist_ok=True)
    slides = [_draw_slide(np.random.default_rng([seed, 2, s])) for s in range(SUBJECTS)]
    for number in range(1, count + 1):
        generator = np.random.default_rng([seed, 3, number])
        subject = (number - 1) * SUBJECTS // count  # a slide is looked at field by field
        name = f"P{subject + 1:02d}_{'field' if task == 'segment' else 'cell'}_{number:03d}.png"
        draw = _write_field if task == "segment" else _write_cell
        draw(generator, slides[subject], out, name, size)
    return out


def draw_field(
    generator: np.random.Generator, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A field of cells on a slide of its own, (rows, columns, 3), and its mask, both uint8."""
    slide = _draw_slide(generator)
    return _field(generator, slide, _scatter(generator, slide, size), size)


def _write_field(
    generator: np.random.Generator, slide: _Slide, out: Path, name: str, size: tuple[int, int]
) -> None:
    """A field of cells and its mask."""
    image, mask = _field(generator, slide, _scatter(generator, slide, size), size)
    _write_png(out / "images" / name, image)
    _write_png(out / "labels" / name, mask)


def _write_cell(
    generator: np.random.Generator, slide: _Slide, out: Path, name: str, size: tuple[int, int]
) -> None:
    """One cell in the folder of its class; classes take turns, so every subject has both."""
    infected = int(name.removesuffix(".png").rpartition("_")[2]) % 2 == 1
    half = (size[0] // 2, size[1] // 2)
    image, _ = _field(generator, slide, _single(generator, slide, half, infected=infected), half)
    _write_png(out / CLASSES[infected] / name, image)


def _draw_slide(generator: np.random.Generator) -> _Slide:
    strength, depth = generator.uniform(0.7, 1.3), generator.uniform(0.7, 1.1)
    return _Slide(
        cytoplasm=np.array(_CYTOPLASM) * strength * generator.uniform(0.8, 1.2, size=3),
        inclusion=np.array(_INCLUSION) * depth * generator.uniform(0.85, 1.15, size=3),
        lamp=np.array([0.93, 0.90, 0.88]) * generator.uniform(0.9, 1.04, size=3),
        blur_px=generator.uniform(0.5, 0.9),
        noise=generator.uniform(0.008, 0.02),
        radius_px=generator.uniform(9.0, 11.5),
    )


def _scatter(generator: np.random.Generator, slide: _Slide, size: tuple[int, int]) -> list[_Cell]:
    """Cells thrown on a field one by one; they may touch but hardly overlap."""
    wanted = round(generator.uniform(0.35, 0.6) * size[0] * size[1] / (np.pi * slide.radius_px**2))
    cells: list[_Cell] = []
    taken = np.empty((3, wanted + 1))  # rows, columns, radii
    for _ in range(30 * wanted):
        cell = _Cell(
            row=generator.uniform(-4, size[0] + 4),
            column=generator.uniform(-4, size[1] + 4),
            radius=slide.radius_px * generator.normal(1.0, 0.1),
            infected=generator.random() < _INFECTED_SHARE,
        )
        rows, columns, radii = taken[:, : len(cells)]
        gaps = np.hypot(cell.row - rows, cell.column - columns)
        if (gaps > 0.95 * (cell.radius + radii)).all():
            taken[:, len(cells)] = cell.row, cell.column, cell.radius
            cells.append(cell)
        if len(cells) >= wanted:
            break
    return cells


def _single(
    generator: np.random.Generator, slide: _Slide, size: tuple[int, int], *, infected: bool
) -> list[_Cell]:
    """One cell near the middle, and at times the rim of a neighbour."""
    zoom = 0.34 * min(size) / slide.radius_px * generator.normal(1.0, 0.08)
    row, column = (n / 2 + generator.normal(0, 1.5) for n in size)
    cells = [_Cell(row, column, slide.radius_px * zoom, infected)]
    if generator.random() < 0.4:
        angle = generator.uniform(0, 2 * np.pi)
        away = 2.05 * slide.radius_px * zoom
        side = (row + away * np.sin(angle), column + away * np.cos(angle))
        cells.append(_Cell(*side, slide.radius_px * zoom, generator.random() < 0.5))
    return cells


def _field(
    generator: np.random.Generator, slide: _Slide, cells: list[_Cell], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The image (rows, columns, 3) and its mask (rows, columns), both uint8."""
    density = np.zeros((3, *size))
    mask = np.zeros(size, dtype=np.uint8)
    grain = gaussian_filter(generator.normal(size=size), 1.2)
    grain = 1 + 0.10 * grain / grain.std()
    for cell in cells:
        near = _window(cell.row, cell.column, 2 * cell.radius, size)
        body, core = _draw_cell(generator, cell, near)
        density[:, *near] += slide.cytoplasm[:, None, None] * body * grain[near]
        density[:, *near] += slide.inclusion[:, None, None] * core * grain[near] ** 2
        mask[near][(body > 0.3) & (mask[near] == 0)] = 2 if cell.infected else 1
    density += slide.inclusion[:, None, None] * 0.5 * _debris(generator, size)
    return _expose(generator, slide, density), mask


def _window(row: float, column: float, reach: float, size: tuple[int, int]) -> _Window:
    """The part of a field that lies near a point, of which something soft may be seen."""

    def span(at: float, samples: int) -> slice:
        first, last = int(at - reach) - FADE, int(at + reach) + FADE
        return slice(max(0, first), max(0, min(samples, last)))

    return span(row, size[0]), span(column, size[1])


def _draw_cell(
    generator: np.random.Generator, cell: _Cell, near: _Window
) -> tuple[np.ndarray, np.ndarray]:
    """Thickness of the cell and of its inclusion in a window, each between 0 and about 1."""
    body_at, angle = _polar(generator, cell.row, cell.column, near)
    rim = cell.radius * _outline(generator, angle, 0.035)
    edge = _soft(rim - body_at)
    # Healthy cells are thinner in the middle, like red cells; an inclusion fills them out.
    pallor = 0.1 if cell.infected else 0.4
    body = edge * (1 - pallor * np.exp(-((body_at / (0.55 * rim)) ** 2)))
    if not cell.infected:
        return body, np.zeros_like(body)
    away = generator.uniform(0.05, 0.4) * cell.radius
    turn = generator.uniform(0, 2 * np.pi)
    row, column = cell.row + away * np.sin(turn), cell.column + away * np.cos(turn)
    core_at, angle = _polar(generator, row, column, near)
    radius = cell.radius * generator.uniform(0.2, 0.42)
    core = _soft(radius * _outline(generator, angle, 0.12) - core_at)
    return body, core * edge * generator.uniform(0.4, 1.0)


def _polar(
    generator: np.random.Generator, row: float, column: float, near: _Window
) -> tuple[np.ndarray, np.ndarray]:
    """Elliptical distance from a centre in pixels, and the angle around it, in a window."""
    rows, columns = np.mgrid[near]
    turn, ratio = generator.uniform(0, np.pi), generator.uniform(0.82, 1.0)
    along = (rows - row) * np.cos(turn) + (columns - column) * np.sin(turn)
    across = (columns - column) * np.cos(turn) - (rows - row) * np.sin(turn)
    return np.hypot(along * np.sqrt(ratio), across / np.sqrt(ratio)), np.arctan2(across, along)


def _outline(generator: np.random.Generator, angle: np.ndarray, roughness: float) -> np.ndarray:
    """Radius around the centre, relative to the mean: a circle with a few slow bumps."""
    waves = generator.normal(0, roughness, size=4) / np.arange(1, 5) ** 0.5
    phases = generator.uniform(0, 2 * np.pi, size=4)
    bumps = (
        w * np.cos((k + 2) * angle + p) for k, (w, p) in enumerate(zip(waves, phases, strict=True))
    )
    return 1 + sum(bumps, np.zeros_like(angle))


def _soft(distance: np.ndarray) -> np.ndarray:
    """1 inside, 0 outside, over about a pixel and a half."""
    return 1 / (1 + np.exp(np.minimum(-3.0 * distance, 80.0)))  # beyond float32 it would overflow


def _debris(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Platelets and dust: small dark specks that belong to no cell."""
    specks = np.zeros(size)
    for _ in range(generator.poisson(size[0] * size[1] / 4000)):
        row, column = generator.uniform(0, size[0]), generator.uniform(0, size[1])
        near = _window(row, column, 0, size)
        distance, _ = _polar(generator, row, column, near)
        specks[near] += _soft(generator.uniform(1.0, 2.2) - distance)
    return specks


def _expose(generator: np.random.Generator, slide: _Slide, density: np.ndarray) -> np.ndarray:
    """What the camera sees of the densities (3, rows, columns): uint8 (rows, columns, 3)."""
    size = density.shape[1:]
    rows, columns = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    tilt = generator.normal(0, 0.05, size=2)
    light = 1 + tilt[0] * rows + tilt[1] * columns - 0.05 * (rows**2 + columns**2)
    blurred = gaussian_filter(density, (0, slide.blur_px, slide.blur_px))
    seen = slide.lamp[:, None, None] * light * np.exp(-blurred)
    # Shot noise grows with the light, read-out noise does not.
    seen += generator.normal(size=seen.shape) * slide.noise * np.sqrt(0.2 + seen)
    return np.rint(255 * seen.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, format="PNG")
