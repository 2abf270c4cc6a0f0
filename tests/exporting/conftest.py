"""Exported folders whose network is a function of NumPy: nothing is trained, torch is not there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convivo.arrays.preparation import Preparation
from convivo.exporting.runner import main as command
from convivo.exporting.runner.main import main

Model = Callable[[np.ndarray], np.ndarray]


def bright(images: np.ndarray) -> np.ndarray:
    """Class 1 where an image is bright: (n, 1, *S) -> (n, 2, *S)."""
    light = 1 / (1 + np.exp(-images[:, :1]))
    return np.concatenate([1 - light, light], 1)


def mean(images: np.ndarray) -> np.ndarray:
    """The mean as a probability of class 1: (n, C, *S) -> (n, 2)."""
    light = 1 / (1 + np.exp(-images.mean(axis=tuple(range(1, images.ndim)))))
    return np.stack([1 - light, light], 1)


OUTPUTS: dict[str, dict[str, Any]] = {
    "map": {"classes": ["background", "cell"], "columns": [], "values": [0, 7]},
    "table": {
        "classes": ["N", "V"], "columns": ["prediction", "p_N", "p_V"], "several": False,
        "threshold": 0.5,
    },
    "number": {"classes": [], "columns": ["value"]},
    "image": {"classes": [], "columns": ["score"], "scale": None},
}  # fmt: skip
MODELS: dict[str, Model] = {
    "map": bright, "table": mean, "number": lambda x: mean(x)[:, :1], "image": lambda x: x + 0.5,
}  # fmt: skip


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable]:
    """Kind of answer, dimensions, ... -> `run.py` as a function of its words."""

    def make(
        kind: str,
        dims: int = 2,
        *,
        mode: str = "patch",
        size: tuple[int, ...] | None = None,
        model: Model | None = None,
        **preparation: Any,
    ) -> Callable[..., int]:
        folder = tmp_path / "model"
        folder.mkdir()
        size = size or (8,) * dims
        seen = Preparation(spatial_dims=dims, channels=1, **preparation)
        document = {
            "schema": 1, "spatial_dims": dims, "batch": 4, "preparation": seen.to_dict(),
            "model": {"format": "onnx", "file": "m", "precision": "fp32", "bounds": [[1, None]]},
            "sampling": {"mode": mode, "size": list(size), "before": 0.5},
            "tiling": {"overlap": 0.5, "multiple": [1] * dims, "margin": None, "step": None},
            "output": {"kind": kind, "decision": "argmax"} | OUTPUTS[kind],
        }  # fmt: skip
        (folder / "pipeline.json").write_text(json.dumps(document))
        opened = model or MODELS[kind]
        monkeypatch.setattr(command, "open_model", lambda *given, **options: opened)
        return lambda *words: main(folder, [str(word) for word in words])

    return make
