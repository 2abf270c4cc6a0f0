"""Answers in the cells of a table: classes and their probabilities, numbers, anomaly scores.

Letters: n items, C channels, *S spatial sizes, K outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

TOGETHER = " + "  # between the names of several classes
Output = Mapping[str, Any]
"""What `pipeline.json` says of the answer."""


def cells(output: Output, found: np.ndarray) -> Sequence[str]:
    """One item's answer (K,) as it stands in a table."""
    if output["kind"] != "table":
        return [f"{float(found[0]):.6g}"]
    return [called(output, found), *[f"{p:.6f}" for p in found]]


def called(output: Output, found: np.ndarray) -> str:
    """What probabilities (K,) say: a class, or several."""
    if not output["several"]:
        return output["classes"][int(found.argmax())]
    pairs = zip(output["classes"], found, strict=True)
    return TOGETHER.join(name for name, p in pairs if p > output["threshold"])


def scores(output: Output, images: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(n, 1) mean squared errors of reconstructions (n, C, *S), in the pipeline's scale."""
    if output.get("scale"):
        scale = np.asarray(output["scale"], np.float32).reshape(-1, *[1] * (images.ndim - 2))
        images, found = images * scale, found * scale
    return ((found - images) ** 2).mean(axis=tuple(range(1, found.ndim)))[:, None]
