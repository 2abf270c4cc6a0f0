"""ONNX Runtime on the processor: a network exported to ONNX."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convivo.inference.backends.engine import converting
from convivo.inference.backends.program import Program, Programs

ERRORS_ONLY = 3  # of ONNX Runtime's five levels of messages


class ONNXRuntime:
    """An engine (see `Engine`).

    Args:
        programs: of the network. precision: "fp32", there is no other. threads: of the processor.
    """

    name = "onnx"

    def __init__(self, programs: Programs, *, precision: str = "fp32", threads: int) -> None:
        self.programs, self.precision, self.threads = programs, precision, threads
        self._sessions: list[tuple[Program, Any]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        session = self._session(self.programs.of(images.shape))
        (answers,) = session.run(None, {session.get_inputs()[0].name: images})
        return np.asarray(answers, np.float32)

    def _session(self, program: Program) -> Any:
        for known, session in self._sessions:
            if known is program:
                return session
        with converting("onnx"):
            session = self._opened(converted(program).SerializeToString())
        self._sessions.append((program, session))
        return session

    def _opened(self, model: bytes) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = ERRORS_ONLY
        providers = ["CPUExecutionProvider"]
        return onnxruntime.InferenceSession(model, options, providers=providers)


def converted(program: Program) -> Any:
    """The ONNX model (a protobuf message) of a program.

    Raises:
        Unavailable: there is no ONNX for one of its operations.
    """
    import torch

    with converting("onnx"), _silence():
        made = torch.onnx.export(program.exported, dynamo=True, external_data=False, verbose=False)
    assert made is not None, "the new exporter gives its program back"
    return made.model_proto


@contextmanager
def _silence() -> Iterator[None]:
    """The exporter tells much about packages that it could have used."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
