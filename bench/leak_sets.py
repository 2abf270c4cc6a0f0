"""The sets that near duplicates are sought in, and the changes that planted copies went through."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.ndimage
from PIL import Image

from convivo.data.readers import read

DATA = Path(__file__).parents[2] / "shared" / "data"
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def jpeg(quality: int) -> Change:
    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    return change


def resized(scale: float) -> Change:
    def change(image: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        size = [round(side * scale) for side in image.shape[::-1]]
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

    return change


def mirrored(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.flip(image, axis=int(rng.integers(image.ndim)))


def turned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.rot90(image, int(rng.integers(1, 4)))


def shifted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By up to 5 % of each side, the border repeated."""
    most = [max(1, round(0.05 * side)) for side in image.shape]
    while not any(steps := [int(rng.integers(-m, m + 1)) for m in most]):
        pass
    wide = np.pad(image, [(abs(s), abs(s)) for s in steps], mode="edge")
    return wide[
        tuple(slice(abs(s) + s, abs(s) + s + n) for s, n in zip(steps, image.shape, strict=True))
    ]


def brightened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = image * rng.uniform(0.6, 1.4) + rng.uniform(-25, 25)
    return np.clip(changed, 0, 255).round().astype(np.uint8) if image.dtype == "u1" else changed


def several(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = resized(0.8)(np.ascontiguousarray(turned(shifted(image, rng), rng)), rng)
    return jpeg(75)(brightened(image, rng), rng)


IMAGES: dict[str, Change] = {
    "JPEG 50": jpeg(50), "JPEG 70": jpeg(70), "JPEG 90": jpeg(90), "mirrored": mirrored,
    "turned": turned, "shifted": shifted, "size x 0.75": resized(0.75),
    "size x 1.5": resized(1.5), "brightness": brightened, "five at once": several,
}  # fmt: skip
DIGITS = IMAGES | {"size x 0.5": resized(0.5)}  # 14 x 14: below the least that is compared at all


def volume_size(least: float, most: float) -> Change:
    """Drawn, so that no two copies of one volume are alike."""

    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        scale = rng.uniform(least, most)
        return scipy.ndimage.zoom(image.astype(np.float32), scale, order=1)

    return change


VOLUMES: dict[str, Change] = {
    "mirrored": mirrored, "turned": turned, "shifted": shifted,
    "size x 0.7 to 0.8": volume_size(0.7, 0.8), "size x 1.4 to 1.6": volume_size(1.4, 1.6),
    "brightness": brightened,
}  # fmt: skip


def mnist() -> list[np.ndarray]:
    """All 70,000: 60,000 to train on, then 10,000 to test."""
    images: list[np.ndarray] = []
    for part in ("train", "t10k"):
        raw = gzip.decompress((DATA / "mnist" / f"{part}-images-idx3-ubyte.gz").read_bytes())
        images += list(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28))
    return images


def mnist_labels() -> np.ndarray:
    paths = [DATA / "mnist" / f"{part}-labels-idx1-ubyte.gz" for part in ("train", "t10k")]
    raw = [gzip.decompress(path.read_bytes()) for path in paths]
    return np.concatenate([np.frombuffer(part, np.uint8, offset=8) for part in raw])


def malaria() -> list[np.ndarray]:
    paths = sorted((DATA / "malaria_cells").rglob("*.png"))
    return [np.asarray(Image.open(path)) for path in paths]


def small_cells() -> list[np.ndarray]:
    """Too small for a closer look: another set than the one the rule for these was made with."""
    return [resized(28 / max(image.shape))(image, None) for image in malaria()]


def sections(side: int) -> list[np.ndarray]:
    paths = sorted((DATA / "isbi2012_em" / "membrane" / "train" / "image").glob("*.png"))
    whole = [np.asarray(Image.open(path).convert("L")) for path in paths]
    starts = range(0, 512, side)
    return [a[i : i + side, j : j + side] for a in whole for i in starts for j in starts]


def hippocampi() -> list[np.ndarray]:
    paths = sorted((DATA / "hippocampus_msd" / "TrainingSet" / "images").glob("h*.nii.gz"))
    return [read(str(path), None).array[0] for path in paths]


Sets = dict[str, tuple[Callable[[], list[np.ndarray]], dict[str, Change]]]
SETS: Sets = {
    "MNIST": (mnist, DIGITS),
    "malaria cells": (malaria, IMAGES),
    "malaria cells, 28 a side": (small_cells, IMAGES),
    "ISBI 2012, tiles of 64": (lambda: sections(64), IMAGES),
    "ISBI 2012, sections": (lambda: sections(512), {}),
    "hippocampus volumes": (hippocampi, VOLUMES),
}


def textures(count: int, seed: int) -> list[np.ndarray]:
    """Windows of smoothed noise, 48 x 48, unequal."""
    rng = np.random.default_rng(seed)
    out = []
    while len(out) < count:
        noise = rng.normal(size=(512, 512))
        wide = scipy.ndimage.gaussian_filter(noise, float(rng.uniform(0.5, 3)), mode="wrap")
        wide = np.clip(128 + 40 * wide / wide.std(), 0, 255).astype(np.uint8)
        out += [wide[i : i + 48, j : j + 48] for i in range(0, 464, 48) for j in range(0, 464, 48)]
    return out[:count]
