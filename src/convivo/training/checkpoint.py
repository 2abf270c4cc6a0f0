"""A training state as one safetensors file: tensors in its body, the rest as JSON in its header.

One file, so that one rename makes it whole: whatever moment a run is killed at, there is either
the old state or the new one. No pickle, no code.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from convivo.errors import ReadError
from convivo.files import replacing

Tensors = dict[str, torch.Tensor]


def save_weights(path: Path, network: nn.Module) -> None:
    """The network's state dict, whole or not at all."""
    save_tensors(path, dict(network.state_dict()), {})


def save_tensors(path: Path, tensors: Tensors, facts: dict[str, Any]) -> None:
    """Tensors and JSON facts in one file, whole or not at all."""
    body = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with replacing(path) as part:
        save_file(body, part, metadata={"facts": json.dumps(facts)})


def load_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """What `save_tensors` wrote.

    Raises:
        ReadError: missing, damaged, or not written by convivo.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        rule, remedy = "the weights must be a whole safetensors file", "Restore it or train again"
        raise ReadError(path, rule, error, remedy) from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimizer's state as flat tensors named `optimizer.<parameter>.<key>`."""
    rows = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{key}": torch.as_tensor(value)
        for index, row in rows.items()
        for key, value in row.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put back what `optimizer_tensors` took."""
    rows: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            rows.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": rows, "param_groups": groups})


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors under names that start with `prefix` and a dot."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unprefixed(prefix: str, tensors: Tensors) -> Tensors:
    """Those of the tensors that `prefixed` named, under their own names."""
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
