"""Phantom scans: an organ with a lesion in most cases, laid out as in the Medical Decathlon.

Shapes are drawn in millimetres on the oblique, anisotropic grid of a scanner; tissue has texture,
the coil a bias field, and the noise is Rician as in magnitude images of MR.
"""

import gzip
import json
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

SPACING_MM = (1.0, 1.0, 2.5)
LABELS = {"0": "background", "1": "organ", "2": "lesion"}
_TESTS = 2
_LESION_SHARE = 0.8
_SHELL_MM = 1.5  # a lesion keeps this far inside the organ


def make_volumes(
    out: Path, *, seed: int = 0, count: int = 20, shape: tuple[int, int, int] = (40, 36, 20)
) -> Path:
    """Write scans of a phantom organ and its lesion, with labels, as `.nii.gz`.

    `dataset.json`, `imagesTr/` and `labelsTr/` hold `count` cases of slightly varying size,
    `imagesTs/` two more without labels. The same seed writes the same bytes.

    Args:
        out: folder to write into; made if missing.
        shape: typical number of voxels per axis, 1 x 1 x 2.5 mm each.
    Returns:
        The folder.
    """
    out = Path(out)
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    names = [f"phantom_{number:03d}.nii.gz" for number in range(1, count + _TESTS + 1)]
    for number, name in enumerate(names):
        generator = np.random.default_rng([seed, 4, number])
        size = tuple(int(n + generator.integers(-2, 3)) for n in shape)
        affine = _draw_affine(generator, size)
        # Every fifth case is healthy, whatever the seed: a set of twenty has four.
        lesion = (number % 5) < 5 * _LESION_SHARE
        image, labels = draw_scan(generator, size, lesion=lesion)
        _write_nifti(out / ("imagesTr" if number < count else "imagesTs") / name, image, affine)
        if number < count:
            _write_nifti(out / "labelsTr" / name, labels, affine)
    _write_description(out, names[:count], names[count:])
    return out


def _draw_affine(generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Index -> world mm, RAS: the patient never lies quite straight in the scanner."""
    angles = np.deg2rad(generator.normal(0, 4, size=3))
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[[i, i, j, j], [i, j, i, j]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        turn = step @ turn
    affine = np.eye(4)
    affine[:3, :3] = turn * SPACING_MM
    middle = affine[:3, :3] @ ((np.array(size) - 1) / 2)
    affine[:3, 3] = generator.normal(0, 5, size=3) - middle
    return affine


def draw_scan(
    generator: np.random.Generator, size: tuple[int, ...], *, lesion: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A scan (int16) and its labels (uint8), both of this size."""
    at = _grid_mm(size)
    extent = np.array(size) * SPACING_MM
    body = _blob(generator, at, np.zeros(3), extent * (0.46, 0.46, 0.9), 0.03)
    centre = extent * generator.normal(0, 0.03, size=3)
    radii = extent * (0.27, 0.24, 0.30) * generator.normal(1, 0.08, size=3)
    organ = _blob(generator, at, centre, radii, 0.12)
    tumour = _place_lesion(generator, at, organ) if lesion else np.full(size, -1.0)
    image = _tissue(generator, at, extent, body)
    image = _paint(image, organ, generator.normal(0.62, 0.03) * _texture(generator, size, 0.05))
    shade = generator.choice([0.40, 0.88]) + generator.normal(0, 0.03)
    image = _paint(image, tumour, shade * _texture(generator, size, 0.08))
    labels = (organ > 0).astype(np.uint8) + (tumour > 0)
    return _acquire(generator, image), labels.astype(np.uint8)


def _grid_mm(size: tuple[int, ...]) -> np.ndarray:
    """Position of every voxel from the middle of the grid, (3, *size) in mm."""
    index = np.indices(size, dtype=np.float64)
    middle = (np.array(size, dtype=np.float64) - 1) / 2
    return (index - middle.reshape(3, 1, 1, 1)) * np.reshape(SPACING_MM, (3, 1, 1, 1))


def _blob(
    generator: np.random.Generator,
    at: np.ndarray,
    centre: np.ndarray,
    radii: np.ndarray,
    roughness: float,
) -> np.ndarray:
    """A deformed ellipsoid as signed distance in mm, about; positive inside."""
    scaled = (at - centre.reshape(3, 1, 1, 1)) / radii.reshape(3, 1, 1, 1)
    bumps = _smooth(generator, at.shape[1:], 5.0)
    return (1 + roughness * bumps - np.sqrt((scaled**2).sum(axis=0))) * float(radii.min())


def _smooth(generator: np.random.Generator, size: tuple[int, ...], width_mm: float) -> np.ndarray:
    """A smooth random field of unit variance; `width_mm` is its standard deviation of blur."""
    widths = [width_mm / step for step in SPACING_MM]
    field = gaussian_filter(generator.normal(size=size), widths, mode="wrap")
    return (field - field.mean()) / field.std()


def _texture(generator: np.random.Generator, size: tuple[int, ...], strength: float) -> np.ndarray:
    return 1 + strength * _smooth(generator, size, 1.6)


def _place_lesion(generator: np.random.Generator, at: np.ndarray, organ: np.ndarray) -> np.ndarray:
    """A round lesion somewhere inside the organ, as signed distance in mm; positive inside."""
    depth = np.asarray(distance_transform_edt(organ > 0, sampling=SPACING_MM))
    room = np.argwhere(depth > 0.55 * depth.max())
    centre = at[(slice(None), *room[generator.integers(len(room))])]
    radii = generator.uniform(3.0, 6.0) * generator.uniform(0.85, 1.2, size=3)
    tumour = _blob(generator, at, centre, radii, 0.12)
    return np.minimum(tumour, np.where(depth > 0, depth - _SHELL_MM, -1.0))


def _tissue(
    generator: np.random.Generator, at: np.ndarray, extent: np.ndarray, body: np.ndarray
) -> np.ndarray:
    """What surrounds the organ: fat under the skin, muscle, a bone, a few vessels."""
    size = body.shape
    image = _paint(np.zeros(size), body, 0.72 * _texture(generator, size, 0.05))
    image = _paint(image, body - 2.5, 0.34 * _texture(generator, size, 0.12))
    spine = extent * (generator.normal(0, 0.02), -0.36, 0)
    round_ = extent * (0.09, 0.09, 2.0)
    image = _paint(image, _blob(generator, at, spine, round_, 0.1), np.full(size, 0.16))
    for _ in range(3):
        start = extent * generator.uniform(-0.3, 0.3, size=3)
        slope = generator.normal(0, 0.25, size=2)
        bend = at.copy()
        bend[:2] -= slope.reshape(2, 1, 1, 1) * at[2]
        vessel = _blob(generator, bend, start * (1, 1, 0), np.array([1.8, 1.8, 200.0]), 0.05)
        image = _paint(image, np.minimum(vessel, body - 3), np.full(size, 0.85))
    return image


def _paint(image: np.ndarray, inside_mm: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Lay a structure over an image; at its border voxels hold a bit of both."""
    share = np.clip(inside_mm / 1.2 + 0.5, 0, 1)
    return image * (1 - share) + value * share


def _acquire(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Coil, noise and scale of the scanner: int16 in arbitrary units."""
    bias = np.exp(0.12 * _smooth(generator, image.shape, 14.0))
    noise = generator.normal(0, generator.uniform(0.02, 0.04), size=(2, *image.shape))
    magnitude = np.hypot(image * bias + noise[0], noise[1])
    return np.rint(magnitude * generator.uniform(700, 1300)).astype(np.int16)


def _write_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    import nibabel

    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    # Without a time stamp in the gzip header equal scans are equal files.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))


def _write_description(out: Path, training: list[str], test: list[str]) -> None:
    document = {
        "name": "Phantom",
        "description": "Phantom organ with lesions, made by convivo",
        "tensorImageSize": "3D",
        "modality": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": len(training),
        "numTest": len(test),
        "training": [
            {"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in training
        ],
        "test": [f"./imagesTs/{name}" for name in test],
    }
    (out / "dataset.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
