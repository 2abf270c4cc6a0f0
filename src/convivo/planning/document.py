"""The plan as the contract's JSON document. What is not computed yet is null."""

from collections.abc import Sequence

from torch import nn

from convivo.planning.counting import count

MEMORY = (
    "parameters",
    "outputs",
    "gradients",
    "losses",
    "optimizer",
    "operations",
    "tensors_peak",
    "overhead",
    "process_peak",
    "process_bound",
)


def plan_document(
    net_name: str,
    net: nn.Module,
    input: Sequence[int],
    batch: int,
    *,
    mode: str = "train",
    precision: str = "fp32",
    optimizer: str = "adamw",
    layers: bool = False,
) -> dict:
    """What a network costs, as plain JSON values.

    Args:
        net_name: how the network is called.
        net: any module, also on the meta device.
        input: shape (C, *S) of one input.
        batch: items of one step.
        mode: "train" or "infer"; `macs` are those of one forward pass in either.
        precision: "fp32", "bf16" or "fp16".
        optimizer: recorded; its memory is not computed yet.
        layers: add a row for each layer.
    Raises:
        ShapeError: the network does not take that input.
    """
    counts = count(net, input, batch)
    field = counts.receptive_field
    document: dict[str, object] = {
        "schema": 1,
        "net": net_name,
        "input": [int(n) for n in input],
        "batch": int(batch),
        "mode": mode,
        "precision": precision,
        "optimizer": optimizer,
        "parameters": counts.parameters,
        "macs": counts.macs,
        "receptive_field": None if field is None else list(field),
        "memory": dict.fromkeys(MEMORY),
        "peak_at": None,
        "seconds_per_step": None,
        "fits": None,
        "solution": None,
    }
    if layers:
        document["layers"] = [_row(layer.document(), precision) for layer in counts.layers]
    return document


def _row(row: dict, precision: str) -> dict:
    """Bytes were counted in float32; under autocast they depend on the operation."""
    return row if precision == "fp32" else row | {"outputs": None}
