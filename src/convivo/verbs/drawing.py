"""New images from a run's network: drawn at random, or along a way between random vectors."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from convivo.errors import UsageError

AT_ONCE = 128


def drawn(
    network: Any,
    count: int,
    *,
    seed: int,
    labels: np.ndarray | None = None,
    interpolate: bool = False,
) -> np.ndarray:
    """(count, C, *S) on the network's grid; see `drawn_parts`."""
    parts = drawn_parts(network, count, seed=seed, labels=labels, interpolate=interpolate)
    return np.concatenate(list(parts))


def drawn_parts(
    network: Any,
    count: int,
    *,
    seed: int,
    labels: np.ndarray | None = None,
    interpolate: bool = False,
) -> Iterator[np.ndarray]:
    """Images of the network's grid (n, C, *S), `count` in all; equal seeds give equal images.

    Args:
        network: a module with `latent` numbers in its random vector, in eval mode.
        labels: (count,) classes, for a network that is told them.
        interpolate: along great circles between two random vectors, instead of all at random.
    """
    vectors = latent_vectors(int(network.latent), count, seed=seed, interpolate=interpolate)
    device = next(network.parameters()).device
    make = network.generator if hasattr(network, "generator") else network.decode
    for start in range(0, count, AT_ONCE):
        z = torch.from_numpy(vectors[start : start + AT_ONCE]).to(device)
        told = () if labels is None else (_labels(labels[start : start + AT_ONCE], device),)
        with torch.inference_mode():
            images = make(z, *told)
        yield images.float().cpu().numpy()


def _labels(labels: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(labels.astype(np.int64)).to(device)


def latent_vectors(latent: int, count: int, *, seed: int, interpolate: bool) -> np.ndarray:
    """(count, latent) float32 normal numbers, or a way between two of such vectors.

    On the way the length changes evenly and the angle too: a straight line would pass nearer to
    zero than random vectors lie.

    Source: White 2016, arXiv:1609.04468 (spherical interpolation).
    """
    rng = np.random.default_rng([seed, 11])
    if not interpolate:
        return rng.standard_normal((count, latent)).astype(np.float32)
    a, b = rng.standard_normal((2, latent))
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    angle = np.arccos(np.clip(a @ b / (lengths[0] * lengths[1]), -1, 1))
    rows = []
    for share in np.linspace(0, 1, count):
        turn = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
        unit = turn[0] * a / lengths[0] + turn[1] * b / lengths[1]
        rows.append(unit * ((1 - share) * lengths[0] + share * lengths[1]))
    return np.array(rows, np.float32)


def classes_to_draw(
    plan: Mapping[str, Any], count: int, wanted: str | None = None
) -> np.ndarray | None:
    """(count,) classes in turn, or the wanted one; None where the network is not told any.

    Raises:
        UsageError: a class where none can be asked for, or an unknown one.
    """
    fields = plan["task_fields"]
    if not fields.get("conditional"):
        if wanted is not None:
            remedy = "Train with --set net.conditional=true, or leave it out"
            raise UsageError("--class", "a network that is told the class", repr(wanted), remedy)
        return None
    classes = list(fields["classes"])
    if wanted is None:
        return np.arange(count) % len(classes)
    if wanted not in classes:
        known = f"Known: {', '.join(classes)}"
        raise UsageError("--class", "a class of the run", repr(wanted), known)
    return np.full(count, classes.index(wanted))


def in_stored_units(images: np.ndarray, plan: Mapping[str, Any]) -> np.ndarray:
    """Images of the network's grid as they would be stored: 8-bit where the data were such.

    Others stay in deviations of an image's values: each case had a scale of its own.
    """
    seen = plan["preparation"]
    if seen["normalization"] != "fixed":
        return images.astype(np.float32)
    shape = (1, -1, *[1] * (images.ndim - 2))
    mean, std = (np.reshape(seen[key], shape) for key in ("mean", "std"))
    return np.rint((images * std + mean).clip(0, 1) * 255).astype(np.uint8)
