"""A training state as one safetensors file: tensors in its body, the rest as JSON in its header.

One file, so that one rename makes it whole: whatever moment a run is killed at, there is either
the old state or the new one. No pickle, no code.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from convivo.errors import ReadError
from convivo.files import replacing

Tensors = dict[str, torch.Tensor]
FORMATS = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8",
    torch.bool: "BOOL", torch.complex64: "C64",
}  # fmt: skip


def save_weights(path: Path, network: nn.Module) -> None:
    """The network's state dict, whole or not at all."""
    save_tensors(path, dict(network.state_dict()), {})


def save_tensors(path: Path, tensors: Tensors, facts: dict[str, Any]) -> None:
    """Tensors and JSON facts in one file, whole or not at all.

    Written one tensor after the other: the safetensors package holds two copies of all of them.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": {"facts": json.dumps(facts)}}
    place = 0
    for name in order:
        tensor = tensors[name]
        end = place + tensor.numel() * tensor.itemsize
        entry = {"dtype": FORMATS[tensor.dtype], "shape": list(tensor.shape)}
        header[name] = entry | {"data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as part, part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            flat = tensors[name].detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)


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


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str = "optimizer") -> Tensors:
    """The optimizer's state as flat tensors named `<prefix>.<parameter>.<key>`."""
    rows = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{key}": torch.as_tensor(value)
        for index, row in rows.items()
        for key, value in row.items()
        if value is not None
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Tensors, prefix: str = "optimizer"
) -> None:
    """Put back what `optimizer_tensors` took."""
    rows: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}."):
            _, index, key = name.split(".", 2)
            rows.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": rows, "param_groups": groups})
    for parameter, row in optimizer.state.items():
        row |= {key: _laid_out_as(parameter, value) for key, value in row.items()}


def _laid_out_as(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """In its parameter's order in memory: fused updates go through all of them side by side."""
    if value.shape != parameter.shape or value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors under names that start with `prefix` and a dot."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unprefixed(prefix: str, tensors: Tensors) -> Tensors:
    """Those of the tensors that `prefixed` named, under their own names."""
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
