"""The sum with which the lecture opens: what one float32 value costs, times what a network holds.

It counts the input, the weights and the biases, the output units by theirs; hidden outputs,
gradients and the optimizer are left out, which is why the ledger's figures are larger.
"""

import math
from collections.abc import Sequence

from torch import nn

BYTES = 4


def lecture_count(net: nn.Module, input: Sequence[int]) -> dict:
    """Bytes of the input and of the parameters for one item, and the sum written out.

    Args:
        net: any module, also on the meta device.
        input: shape (C, *S).
    Example:
        >>> lecture_count(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 1)), (1, 2, 3))["formula"]
        '4 * (6 input + 28 weights + 5 biases) = 156'
    """
    values = math.prod(input)
    sizes = {name: p.numel() for name, p in net.named_parameters()}
    biases = sum(n for name, n in sizes.items() if name.rpartition(".")[2] == "bias")
    weights = sum(sizes.values()) - biases
    total = BYTES * (values + weights + biases)
    sums = f"{values:,} input + {weights:,} weights + {biases:,} biases"
    return {
        "input": values,
        "weights": weights,
        "biases": biases,
        "bytes": total,
        "formula": f"{BYTES} * ({sums}) = {total:,}",
    }
