"""The network of a run as a file: OpenVINO's, ONNX, or torch's exported program."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from convivo.inference.backends import onnx_engine, openvino_engine
from convivo.inference.backends.openvino_engine import sized
from convivo.inference.backends.program import Program

FILES = {"openvino": "model.xml", "onnx": "model.onnx", "torch": "model.pt2"}
Save = Callable[[Path], object]
"""Writes a converted model to a file."""


def convert(program: Program, form: str) -> Save:
    """The program in one of the forms of `FILES`, its weights in float32, as what saves it.

    Raises:
        Unavailable: the library cannot take it.
    """
    makers: dict[str, Callable[[Program], Save]] = {
        "openvino": _openvino,
        "onnx": _onnx,
        "torch": _torch,
    }
    return makers[form](program)


def _openvino(program: Program) -> Save:
    return saving(sized(program))


def saving(model: Any) -> Save:
    """What saves an OpenVINO model, its numbers as they are."""
    library = openvino_engine.openvino()
    return lambda path: library.save_model(model, path, compress_to_fp16=False)


def _onnx(program: Program) -> Save:
    model = onnx_engine.converted(program)
    return lambda path: path.write_bytes(model.SerializeToString())


def _torch(program: Program) -> Save:
    def save(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own parts
            torch.export.save(program.exported, path)

    return save
