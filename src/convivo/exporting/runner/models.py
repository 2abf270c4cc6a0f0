"""The network of an exported folder, opened by the one library that its format needs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convivo.errors import UsageError
from convivo.inference.openvino_terms import ANY, HINTS, must_stay_open

Model = Callable[[np.ndarray], np.ndarray]
"""(n, C, *S) float32 -> answers (n, K, ...) float32: probabilities, numbers or images."""

FIXED = 2  # sizes for which an OpenVINO model is compiled: that takes longer than an answer


def open_model(path: Path, form: str, *, precision: str = "fp32", threads: int = 0) -> Model:
    """The network.

    Args:
        form: "openvino", "onnx" or "torch". precision: "fp32", of OpenVINO also "bf16",
        and "int8" where the model is quantised.
        threads: of the processor; 0 leaves that to the library.
    Raises:
        UsageError: the library is not installed, or no such format.
    """
    openers = {"openvino": _openvino, "onnx": _onnx, "torch": _torch}
    if form not in openers:
        got, remedy = repr(form), "Export the run again"
        raise UsageError(path, f"a model in one of {', '.join(openers)}", got, remedy)
    try:
        return openers[form](path, precision, threads)
    except ModuleNotFoundError as error:
        rule, got = f"the library of {form} models must be installed", f"no package {error.name}"
        raise UsageError(path, rule, got, "Install what requirements.txt lists") from error


def _openvino(path: Path, precision: str, threads: int) -> Model:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    core = openvino.Core()
    bare = core.read_model(path)
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    free = tuple(ANY if n.is_dynamic else n.get_length() for n in bare.input(0).partial_shape)
    opened = must_stay_open(bare, precision)
    requests: dict[tuple[int, ...], Any] = {}

    def request(shape: tuple[int, ...]) -> Any:
        """Compiled for the first sizes, which is faster; others share one that leaves them free."""
        if opened:
            shape = (ANY, *shape[1:])
        met = any(known[1:] == shape[1:] for known in requests)  # with another number of items
        key = shape if shape in requests or (len(requests) < FIXED and not met) else free
        if key not in requests:
            model = bare.clone()
            model.reshape(list(key))
            requests[key] = core.compile_model(model, "CPU", options).create_infer_request()
        return requests[key]

    def run(images: np.ndarray) -> np.ndarray:
        (answers,) = request(images.shape).infer([images]).values()
        return np.array(answers, np.float32)

    return run


def _onnx(path: Path, precision: str, threads: int) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    name = session.get_inputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: images})[0], np.float32)

    return run


def _torch(path: Path, precision: str, threads: int) -> Model:
    from importlib import import_module

    torch: Any = import_module("torch")
    if threads:
        torch.set_num_threads(threads)
    network = torch.export.load(path).module()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(images)).numpy()

    return run
