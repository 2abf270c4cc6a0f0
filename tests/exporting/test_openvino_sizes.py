"""OpenVINO models are compiled for the first sizes; all others share one that leaves them free."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convivo.errors import UsageError
from convivo.exporting.runner.models import FIXED, open_model


def doubling(openvino: ModuleType, path: Path) -> Path:
    """A model of any size that doubles what it is given."""
    from openvino import opset13 as operations

    images = operations.parameter([-1, 1, -1, -1], np.float32, name="images")
    doubled = operations.multiply(images, operations.constant(np.float32(2)))
    openvino.save_model(openvino.Model([doubled], [images]), path, compress_to_fp16=False)
    return path


def test_few_sizes_are_compiled(
    openvino: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[list[int]] = []
    plain = openvino.Core.compile_model

    def counted(self: Any, model: Any, *given: Any) -> Any:
        sizes = model.input(0).partial_shape
        compiled.append([-1 if n.is_dynamic else n.get_length() for n in sizes])
        return plain(self, model, *given)

    monkeypatch.setattr(openvino.Core, "compile_model", counted)
    model = open_model(doubling(openvino, tmp_path / "m.xml"), "openvino", threads=1)
    shapes = [(4, 1, 5, 6), (3, 1, 5, 6), (4, 1, 5, 6), (2, 1, 5, 6), (1, 1, 7, 8), (1, 1, 9, 4)]
    for shape in shapes:
        images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(model(images), 2 * images)
    assert compiled == [[4, 1, 5, 6], [-1, 1, -1, -1]]
    assert len(compiled) <= FIXED + 1


def test_a_library_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"onnx models must be installed; got no package onnxrun"):
        open_model(tmp_path / "m.onnx", "onnx")
    with pytest.raises(UsageError, match=r"a model in one of openvino, onnx, torch; got 'tflite'"):
        open_model(tmp_path / "m", "tflite")
