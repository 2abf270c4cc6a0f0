"""The network of a run as a file: OpenVINO's, ONNX, or torch's exported program."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from convivo.inference.backends import onnx_engine, openvino_engine
from convivo.inference.backends.program import Program

FILES = {"openvino": "model.xml", "onnx": "model.onnx", "torch": "model.pt2"}
ANY = -1  # a size that OpenVINO leaves open


def write_model(program: Program, form: str, folder: Path) -> Path:
    """The program in one of the forms of `FILES`, its weights in float32.

    Raises:
        Unavailable: the library cannot take it.
    """
    path = folder / FILES[form]
    writers: dict[str, Callable[[Program, Path], None]] = {
        "openvino": _openvino,
        "onnx": _onnx,
        "torch": _torch,
    }
    writers[form](program, path)
    return path


def _openvino(program: Program, path: Path) -> None:
    model = openvino_engine.converted(program)
    model.reshape([int(low) if low == high else ANY for low, high in program.bounds])
    openvino_engine.openvino().save_model(model, path, compress_to_fp16=False)


def _onnx(program: Program, path: Path) -> None:
    path.write_bytes(onnx_engine.converted(program).SerializeToString())


def _torch(program: Program, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own parts
        torch.export.save(program.exported, path)
