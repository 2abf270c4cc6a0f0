"""What OpenVINO is told of a network, here and in exported folders alike."""

from typing import Any

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # beside int8 what is not quantised
ANY = -1  # a size that is left open


def must_stay_open(model: Any, precision: str) -> bool:
    """Whether the number of items must not be fixed, which would be faster.

    OpenVINO 2026.4 joins linear layers in int8 that follow each other, where it knows the number of
    items, and with fewer than sixteen the answers are then wrong.
    """
    if precision != "int8":
        return False
    return sum(one.get_type_name() == "MatMul" for one in model.get_ops()) > 1
