"""Which backend computes a prediction: the one that was named, or `auto`'s choice."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from convivo.arrays.preparation import prepared_shape
from convivo.data.readers import read_header
from convivo.errors import ConvivoError, UsageError
from convivo.inference.backends import BACKENDS, missing
from convivo.inference.backends.choosing import Auto
from convivo.inference.backends.engine import Engine
from convivo.inference.backends.onnx_engine import ONNXRuntime
from convivo.inference.backends.openvino_engine import OpenVINO
from convivo.inference.backends.program import Programs
from convivo.inference.backends.record import record_key
from convivo.inference.backends.serving import Serving
from convivo.inference.backends.torch_engine import Torch
from convivo.inference.predictor import Predictor
from convivo.training.precision import has_fast_bf16
from convivo.verbs.inputs import Input
from convivo.verbs.precisions import must_compute_in
from convivo.verbs.predicting import Worker
from convivo.verbs.run import Run

TORCH = {"backend": "torch", "precision": "fp32"}
LOOKED_AT = 5  # inputs whose headers tell how much work there is
GIB = 2**30
CONVERTING, COPIES = 2 * GIB, 8  # bytes of memory for a conversion, and copies of the weights


def must_compute(backend: str, device: str, precision: str = "auto") -> None:
    """Refuse a backend or a precision that is not there before anything is read.

    Raises:
        UsageError: no such backend, one that is not installed, or not for this device; a precision
        that it does not compute in.
    """
    if backend not in ("auto", *BACKENDS):
        rule = f"one of auto, {', '.join(BACKENDS)}"
        raise UsageError("--backend", rule, repr(backend), "Use --backend auto")
    must_compute_in(backend, precision)
    if backend in ("auto", "torch"):
        return
    lacks = missing(backend)
    if lacks:
        got = f"no package {', '.join(lacks)}"
        remedy = "Install it: pip install 'convivo[fast]'"
        raise UsageError("--backend", f"{backend} must be installed", got, remedy)
    if device not in ("auto", "cpu"):
        rule, remedy = f"{backend} computes on the processor", "Use --device cpu or --backend torch"
        raise UsageError("--device", rule, repr(device), remedy)


def device_for(backend: str, device: str) -> str:
    """Where the network is to lie: all but torch compute on the processor."""
    return "cpu" if backend in ("openvino", "onnx") and device == "auto" else device


def serving_of(
    worker: Worker,
    inputs: list[Input],
    backend: str,
    *,
    precision: str = "auto",
    capped: bool,
    say: Callable[[str], None],
) -> Serving | None:
    """What answers instead of torch alone; None where torch is it.

    Args:
        precision: "auto", "fp32" or "bf16"; for int8 see `in_int8`.
        capped: the user set a limit of memory, which is foretold for torch.
    """
    predictor = worker.predictor
    if backend == "torch" or (backend == "auto" and _only_torch(worker, capped, say)):
        return None
    plain = Torch(predictor.through_torch)
    if backend != "auto":
        engines = _engines(_programs(predictor), backend, precision)
        return Serving(engines=engines, torch=plain, task=predictor.task, say=say)
    programs = _programs(predictor)
    there = [name for name in BACKENDS[1:] if not missing(name)]
    candidates = [engine for name in there for engine in _engines(programs, name, precision)]
    fields: dict[str, Any] = {"task": worker.plan["task"]} | worker.plan["task_fields"]
    return Auto(
        candidates=candidates, torch=plain, task=predictor.task, say=say,
        items=expected_items(worker, inputs), key=partial(record_key, predictor.network, fields),
    )  # fmt: skip


def in_int8(
    run: Run, predictor: Predictor, *, say: Callable[[str], None], quiet: bool
) -> tuple[Predictor, Serving]:
    """What answers in int8, and the predictor that cuts the tiles it takes.

    Raises:
        UsageError: the run's own cases are not there, or too much of the score is lost.
    """
    from convivo.verbs.quantization import quantize  # it reads data: others start without

    programs = _programs(predictor)
    found = quantize(run, predictor, programs, quiet=quiet)
    serving = Serving(
        engines=[found.engine(programs)], torch=Torch(predictor.through_torch),
        task=predictor.task, say=say, checks=0,
    )  # fmt: skip
    return found.predictor, serving


def _programs(predictor: Predictor) -> Programs:
    """What all engines convert; of images that are cut into tiles, tiles of other sizes come."""
    free = predictor.sampling == "patch"
    return Programs(network=predictor.network, decode=predictor.task.decode, free=free)


def _engines(programs: Programs, name: str, precision: str) -> list[Engine]:
    """A backend's engines, the fastest number format first; only those of a named precision."""
    threads = torch.get_num_threads()
    if name == "onnx":
        return [ONNXRuntime(programs, threads=threads)]
    formats = ("bf16", "fp32") if has_fast_bf16() else ("fp32",)
    if precision != "auto":
        formats = (precision,)
    return [OpenVINO(programs, precision=one, threads=threads) for one in formats]


def _only_torch(worker: Worker, capped: bool, say: Callable[[str], None]) -> bool:
    """Whether `auto` need not look at others: an accelerator, or memory that is foretold."""
    if next(worker.predictor.network.parameters()).device.type != "cpu":
        return True
    if all(missing(name) for name in BACKENDS[1:]):
        return True
    if capped:
        say("torch computes: a limit of memory is foretold for it alone")
        return True
    limit = worker.fitting.limit
    return limit is not None and limit < CONVERTING + COPIES * worker.weights


def expected_items(worker: Worker, inputs: list[Input]) -> float:
    """About how many items the network will be given, from a few headers; 0 where none is read."""
    left = worker.left(inputs)
    some = [left[i * len(left) // LOOKED_AT] for i in range(LOOKED_AT)] if left else []
    counts = [count for one in dict.fromkeys(some) if (count := _items(worker, one)) is not None]
    return len(left) * sum(counts) / len(counts) if counts else 0.0


def _items(worker: Worker, one: Input) -> int | None:
    try:
        header = read_header(one.path, one.index)
        if len(header.shape) != worker.preparation.spatial_dims:
            return None
        affine, spacing = header.affine, header.spacing
        shape = prepared_shape(header.shape, worker.preparation, affine=affine, spacing=spacing)
    except (ConvivoError, OSError):
        return None  # what is wrong with it is told when it is read
    return max(1, worker.predictor.count(shape))
