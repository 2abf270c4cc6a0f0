"""OpenVINO on the processor: a network converted from its exported program, compiled per size."""

import ctypes
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

from convivo.inference.backends.engine import converting
from convivo.inference.backends.program import Program, Programs
from convivo.inference.openvino_terms import ANY, HINTS, must_stay_open

COMPILED = 3  # networks of different sizes that are kept: each has a copy of the weights


class OpenVINO:
    """An engine (see `Engine`).

    Args:
        programs: of the network. precision: "fp32", "bf16", or "int8" of quantised models.
        threads: of the processor. model_of: program -> OpenVINO's model; default: converted.
    """

    name = "openvino"

    def __init__(
        self,
        programs: Programs,
        *,
        precision: str,
        threads: int,
        model_of: Callable[[Program], Any] | None = None,
    ) -> None:
        self.programs, self.precision, self.threads = programs, precision, threads
        self.model_of = model_of or converted
        self._models: list[tuple[Program, Any]] = []
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        request = self._request(images.shape)
        (answers,) = request.infer([images]).values()
        return np.asarray(answers, np.float32)

    def _request(self, shape: Sequence[int]) -> Any:
        """The compiled network for a batch: the first number of items is fixed, others share one.

        What is fixed is faster, in volumes by half; a last batch with fewer items is not worth a
        compilation.
        """
        key, item = tuple(shape), tuple(shape[1:])
        if key not in self._requests:
            met = any(known[1:] == item for known in self._requests)
            if met or must_stay_open(self._model(self.programs.of(shape)), self.precision):
                key = (ANY, *item)
        if key not in self._requests:
            self._requests[key] = self._compiled(shape, key)
        self._requests.move_to_end(key)
        while len(self._requests) > COMPILED:
            self._requests.popitem(last=False)
        return self._requests[key]

    def _compiled(self, shape: Sequence[int], key: tuple[int, ...]) -> Any:
        program = self.programs.of(shape)
        if program.bounds[0][0] == program.bounds[0][1]:
            key = tuple(shape)
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several processes would share the same cores
        }
        with converting("openvino"):
            model = self._model(program).clone()
            model.reshape(list(key))
            with own_signal_stack():
                compiled = _core().compile_model(model, "CPU", options)
            return compiled.create_infer_request()

    def _model(self, program: Program) -> Any:
        for known, model in self._models:
            if known is program:
                return model
        self._models.append((program, self.model_of(program)))
        return self._models[-1][1]


def converted(program: Program) -> Any:
    """The OpenVINO model of a program, float32.

    Raises:
        Unavailable: OpenVINO does not know one of its operations.
    """
    with converting("openvino"), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on copying an exported program
        return openvino().convert_model(program.exported)


def sized(program: Program) -> Any:
    """The OpenVINO model of a program, float32, open in the sizes that the program is.

    Raises:
        Unavailable: OpenVINO does not know one of its operations.
    """
    model = converted(program)
    model.reshape([int(low) if low == high else ANY for low, high in program.bounds])
    return model


def openvino() -> ModuleType:
    """The library. Its usage statistics are kept from loading: nothing is ever sent."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino as library

    return library


@cache
def _core() -> Any:
    return openvino().Core()


class _SignalStack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """OpenVINO gives the process a stack for signal handlers, and frees it with its last model.

    Its address would stay behind, and the next signal that Python handles end the process: the
    stack that was there before is put back at once.
    """
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None), _SignalStack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)
