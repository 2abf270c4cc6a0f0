"""examples/: what the network says to a few fixed validation cases, at every validation.

One PNG a case and validation for label maps (image, truth, answer, through the middle), one line
of answers.jsonl for classes: enough to watch a training learn.
"""

import json
import re
from pathlib import Path

import numpy as np
import torch
from torch import nn

from convivo.arrays.objects import parted
from convivo.data.sample import Events
from convivo.evaluation.answers import answer, seen
from convivo.files import plain, replacing
from convivo.verbs.drawing import classes_to_draw, drawn, in_stored_units
from convivo.verbs.grid import write_grid
from convivo.verbs.parts import Parts
from convivo.verbs.setup import build_predictor

CASES, MOMENTS, GRID = 3, 12, 4


def write_examples(folder: Path, parts: Parts, network: nn.Module, step: int) -> None:
    """Answer the fixed cases and write them down; `network` is in eval mode."""
    if parts.task.output == "samples":
        _write_grid(folder, parts, network, step)
        return
    store = parts.validation
    places = np.linspace(0, len(store) - 1, min(CASES, len(store))).round().astype(int)
    predictor = build_predictor(parts.plan, network, parts.task)
    folder.mkdir(exist_ok=True)
    line: dict[str, object] = {"step": step}
    with torch.inference_mode():
        for place in places:
            image, target = np.asarray(store.images[place]), _few(store.targets[place])
            found, truth = answer(predictor, image, target)
            if parts.task.output == "map":
                name = re.sub(r"[^A-Za-z0-9]+", "_", store.ids[place]).strip("_")
                path = folder / f"{name}_{step:07d}.png"
                if parts.plan["task_fields"].get("instances"):
                    truth, found = parted(np.asarray(truth)), parted(found)
                _write_map(path, image, truth, found, len(parts.task.classes))
            elif parts.task.output == "image":
                name = re.sub(r"[^A-Za-z0-9]+", "_", store.ids[place]).strip("_")
                shown = seen(predictor, np.asarray(image), target)["image"]
                if len(found):
                    _write_pair(folder / f"{name}_{step:07d}.png", shown[0], found[0])
            else:
                key = "probabilities" if parts.task.name == "classify" else "answers"
                said = {"truth": np.atleast_1d(truth), key: found.round(4)}
                line[store.ids[place]] = said
    if parts.task.output == "table":
        with (folder / "answers.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(line)) + "\n")


def _few(target: object) -> object:
    """The first few labelled moments of a record; anything else as it is."""
    if not isinstance(target, Events):
        return target
    known = np.flatnonzero(target.labels >= 0)[:MOMENTS]
    return Events(positions=target.positions[known], labels=target.labels[known])


def _write_map(
    path: Path, image: np.ndarray, truth: np.ndarray, labels: np.ndarray, classes: int
) -> None:
    """Image, truth and answer side by side, 8-bit grey; volumes and signals by their middle."""
    from PIL import Image

    panels = [
        _grey(_plane(np.asarray(image[0], np.float32))),
        _plane(truth).astype(np.float32) * (255 / max(1, classes - 1)),
        _plane(labels).astype(np.float32) * (255 / max(1, classes - 1)),
    ]
    with replacing(path) as part:
        Image.fromarray(np.hstack(panels).astype(np.uint8)).save(part, format="PNG")


def _write_grid(folder: Path, parts: Parts, network: nn.Module, step: int) -> None:
    """Images of the same random vectors at every validation."""
    folder.mkdir(exist_ok=True)
    count = GRID**2
    labels = classes_to_draw(parts.plan, count)
    images = drawn(network, count, seed=int(parts.plan["seed"]), labels=labels)
    write_grid(folder / f"generated_{step:07d}.png", in_stored_units(images, parts.plan))


def _write_pair(path: Path, image: np.ndarray, found: np.ndarray) -> None:
    """Image and reconstruction side by side, grey alike; of several channels the first."""
    from PIL import Image

    pair = np.hstack([_plane(np.asarray(a[0], np.float32)) for a in (image, found)])
    with replacing(path) as part:
        Image.fromarray(_grey(pair).astype(np.uint8)).save(part, format="PNG")


def _plane(array: np.ndarray) -> np.ndarray:
    """The middle plane of a volume; a signal as a band 16 samples high."""
    if array.ndim == 1:
        return np.repeat(array[None], 16, axis=0)
    return array[..., array.shape[-1] // 2] if array.ndim > 2 else array


def _grey(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, (1, 99))
    return np.clip((values - low) / max(float(high - low), 1e-6), 0, 1) * 255
