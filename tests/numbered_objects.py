"""Round objects in one, two and three dimensions: as images, and as numbered maps."""

from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from convivo.arrays.objects import numbered, outlines

SIZES = {1: (160,), 2: (40, 52), 3: (20, 22, 18)}
RADII = {1: 7.0, 2: 6.0, 3: 5.0}


def draw_objects(seed: int, shape: tuple[int, ...], count: int) -> np.ndarray:
    """(*shape) int32: at most `count` balls, 1, 2, ...; they may touch, a later one lies behind."""
    rng, grid = np.random.default_rng(seed), np.indices(shape)
    objects = np.zeros(shape, np.int32)
    for number in range(1, count + 1):
        centre = [rng.uniform(0, size) for size in shape]
        rows = zip(grid, centre, strict=True)
        far = sum((places - place) ** 2 for places, place in rows)
        objects[(far < RADII[len(shape)] ** 2) & (objects == 0)] = number
    return numbered(objects)


def draw_image(seed: int, objects: np.ndarray) -> np.ndarray:
    """Grey values uint8 of objects with a darker outline."""
    noise = np.random.default_rng(seed).normal(0, 8, objects.shape)
    image = 40 + 130.0 * (objects > 0) - 60.0 * outlines(objects) + noise
    return image.clip(0, 255).astype(np.uint8)


def make_maps(folder: Path, dims: int, *, count: int = 10, most: int = 9) -> Path:
    """`images/` and `labels/` whose maps number 3 to `most` objects each."""
    for number in range(count):
        objects = draw_objects(number, SIZES[dims], 3 + number % (most - 2))
        image = draw_image(number, objects)
        save(folder / "images", f"case{number:02d}x", image, dims)
        save(folder / "labels", f"case{number:02d}x", objects.astype(np.uint16), dims)
    return folder


def make_mask_files(folder: Path, *, count: int = 10, shape: tuple[int, ...] = (40, 52)) -> Path:
    """A folder per image, with a mask file per object."""
    for number in range(count):
        objects = draw_objects(number, shape, 4 + number % 4)
        place, name = folder / f"case{number:02d}x", f"case{number:02d}x"
        save(place / "images", name, draw_image(number, objects), 2)
        for one in range(1, int(objects.max()) + 1):
            save(place / "masks", f"{name}_{one:02d}", 255 * (objects == one).astype(np.uint8), 2)
    return folder


def save(folder: Path, stem: str, array: np.ndarray, dims: int) -> Path:
    """The array in the usual format of its dimension."""
    folder.mkdir(parents=True, exist_ok=True)
    if dims == 1:
        np.save(path := folder / f"{stem}.npy", array)
    elif dims == 2:
        Image.fromarray(array).save(path := folder / f"{stem}.png")
    else:
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        nib.save(nib.Nifti1Image(array, affine), path := folder / f"{stem}.nii.gz")
    return path
