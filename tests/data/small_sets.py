"""Data sets of a few small files, and what an inspection said of them."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from convivo.data.inspection import Inspection


def noise(seed: int, shape: tuple[int, ...] = (7, 9)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save_png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def class_folders(root: Path, counts: Mapping[str, int], *, name: str = "{i}x.png") -> Path:
    """Folders of different images; letters after the numbers keep them from being a stack."""
    seed = 0
    for folder, count in counts.items():
        for i in range(count):
            seed += 1
            save_png(root / folder / name.format(i=i), noise(seed))
    return root


def pairs(root: Path, count: int, maps: Callable[[int], np.ndarray] | None = None) -> Path:
    """Images and masks; `maps` makes the mask of number i, else a corner of ones."""
    for i in range(count):
        labels = np.zeros((7, 9), np.uint8)
        labels[: 2 + i % 3, :4] = 1
        save_png(root / "images" / f"{i}.png", noise(i))
        save_png(root / "labels" / f"{i}.png", labels if maps is None else maps(i))
    return root


def volumes(root: Path, count: int, *, labels: Mapping[str, str] | None = None) -> Path:
    """MSD: volumes 7 x 9 x 11 with two classes inside."""
    names = labels or {"0": "background", "1": "organ", "2": "lesion"}
    rows = []
    for i in range(count):
        mask = np.zeros((7, 9, 11), np.uint8)
        mask[2:5, 2:7, 2:9], mask[3, 4, 5] = 1, 2
        save_nifti(root / "imagesTr" / f"v_{i:03d}.nii.gz", noise(i, mask.shape).astype(np.int16))
        save_nifti(root / "labelsTr" / f"v_{i:03d}.nii.gz", mask)
        name = f"v_{i:03d}.nii.gz"
        rows.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    content = {"name": "t", "modality": {"0": "MR"}, "labels": names, "training": rows}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def codes(found: Inspection) -> Counter[str]:
    return Counter(p.code for p in found.problems)


def one(found: Inspection, code: str):
    problems = [p for p in found.problems if p.code == code]
    assert len(problems) == 1, found.problems
    return problems[0]
