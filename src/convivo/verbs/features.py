"""The network in whose features generated images are judged: small, named, hashed, stored.

It is the encoder of an `autoencoder` and its code, trained on the training part alone: to tell the
classes apart where there are any, else to rebuild the images. `RUN/features.safetensors` holds it,
so that a run can be judged again; its hash stands in the plan and beside every `fid`.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from convivo.architectures.create import create
from convivo.data.batches import Batches
from convivo.errors import ReadError
from convivo.files import sha256
from convivo.progress import Progress
from convivo.training.allocator import keep_memory, return_memory
from convivo.training.checkpoint import load_tensors, save_weights

FILE = "features.safetensors"
FEATURES, RATE = 64, 1e-3
STEPS, AT_ONCE = 300, 256
TELL_APART = "to tell the classes apart"
SEED = 7919  # apart from the run's own random numbers

Features = Callable[[np.ndarray], np.ndarray]
"""Images (n, C, *S) on the network's grid -> (n, F) float64."""


def new_network(plan: Mapping[str, Any]) -> nn.Module:
    """The network before it is trained, drawn from the plan's seed."""
    net = plan["network"]
    torch.manual_seed(int(plan["seed"]) + SEED)
    return create(
        "autoencoder", spatial_dims=net["spatial_dims"], in_channels=net["in_channels"],
        input_size=tuple(net["input_size"]), width=0.5, latent=FEATURES,
    )  # fmt: skip


def train_features(
    plan: Mapping[str, Any],
    batches: Batches,
    progress: Callable[[str, int], Progress],
    *,
    seconds: float | None = None,
) -> nn.Module:
    """The network, trained on the batches of the training part.

    Equal seeds, threads, steps and data give equal weights.

    Args:
        seconds: after which it ends early; the plan then has the steps that were taken.
    """
    began = time.monotonic()
    network, steps = new_network(plan), int(plan["features"]["steps"])
    bar, classes = progress("training features", steps), len(plan["task_fields"]["classes"])
    classes = classes if plan["features"]["trained"] == TELL_APART else 0
    head = nn.Linear(FEATURES, classes) if classes else None
    parameters = [*network.parameters(), *(head.parameters() if head is not None else ())]
    optimizer = torch.optim.Adam(parameters, lr=RATE)
    network.train()
    keep_memory()  # as a training does, for as long as this one lasts
    for step in range(steps):
        batch = batches(step)
        images, labels = torch.from_numpy(batch.images), torch.from_numpy(batch.targets)
        code = network.encode(images)  # type: ignore[operator]
        if head is None:
            loss = F.mse_loss(network.decode(code), images)  # type: ignore[operator]
        else:
            loss = F.cross_entropy(head(F.relu(code)), labels, ignore_index=-1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        bar.update(step + 1)
        if seconds is not None and time.monotonic() - began > seconds:
            plan["features"]["steps"] = step + 1
            break
    bar.close()
    return_memory()
    return network.eval()


def features_entry(steps: int | None, classes: int) -> dict[str, Any]:
    """What a plan says of the network before it is trained.

    Args:
        classes: that the training part has; 0 or 1 where there are none to tell apart.
    """
    return {
        "network": "autoencoder (encoder and code)",
        "numbers": FEATURES,
        "trained": TELL_APART if classes > 1 else "to rebuild the images",
        "steps": steps or STEPS,
    }


def save_features(network: nn.Module, path: Path) -> str:
    """Write it as `RUN/features.safetensors`; its hash."""
    save_weights(path, network)
    return sha256(path)


def load_features(plan: Mapping[str, Any], path: Path) -> nn.Module:
    """The stored network.

    Raises:
        ReadError: missing, damaged, or not the one that the plan names.
    """
    tensors, _ = load_tensors(path)
    recorded, found = plan["features"]["sha256"], sha256(path)
    if recorded != found:
        rule = f"the features are those of the run, with the hash {recorded[:12]}"
        raise ReadError(path, rule, found[:12], "Restore the file")
    network = new_network(plan)
    network.load_state_dict(tensors)
    return network.eval()


def features_of(network: nn.Module) -> Features:
    """Images in, features out."""

    def features(images: np.ndarray) -> np.ndarray:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), AT_ONCE):
                part = np.ascontiguousarray(images[start : start + AT_ONCE], np.float32)
                rows.append(network.encode(torch.from_numpy(part)).numpy())  # type: ignore[operator]
        return np.concatenate(rows).astype(np.float64)

    return features
