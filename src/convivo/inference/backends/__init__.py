"""What can compute a network's answers: torch, OpenVINO, ONNX Runtime. One file per engine."""

import importlib.util

BACKENDS = ("torch", "openvino", "onnx")
"""Names as `predict --backend` takes them, and says what ran."""

NEEDS = {
    "torch": (),
    "openvino": ("openvino",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "int8": ("openvino", "nncf"),
}
"""The packages that each one needs beside torch; all are in the extra `fast`, those of int8, which
is a precision of OpenVINO, in `int8`."""


def missing(name: str) -> tuple[str, ...]:
    """The packages that a backend, or int8, lacks here; nothing is imported."""
    return tuple(one for one in NEEDS[name] if importlib.util.find_spec(one) is None)
