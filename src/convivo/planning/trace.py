"""One training step or prediction of any network, operation by operation, nothing allocated.

Torch runs it on fake tensors, which have a shape, a device and a place on the autograd tape, but no
bytes. The only file that imports torch's private `FakeTensorMode`.
"""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from convivo.errors import ConvivoError, PlanError, ShapeError
from convivo.planning.events import Trace
from convivo.planning.recorder import Recorder
from convivo.planning.shadow import copied

try:
    from torch._subclasses import fake_tensor
    from torch._subclasses.fake_tensor import (
        FakeTensor,
        FakeTensorMode,
        in_kernel_invocation_manager,
    )

    UNTRACEABLE: tuple[type[Exception], ...] = (
        fake_tensor.DataDependentOutputException,
        fake_tensor.DynamicOutputShapeException,
        fake_tensor.UnsupportedOperatorException,
        fake_tensor.UnsupportedFakeTensorException,
    )
except (ImportError, AttributeError):  # moved in a torch that we do not know
    FakeTensorMode, UNTRACEABLE = None, ()

TORCH = "torch >=2.11,<2.14"

Step = Callable[[nn.Module, Optimizer | None, tuple[Tensor, ...]], object]


class _Maker:
    """Fake tensors from bare ones, past the mode: see `shortcuts`."""

    def __init__(self, mode: Any, device: str) -> None:
        self.mode, self.device = mode, torch.device(device)

    def blank(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        with in_kernel_invocation_manager(self.mode):
            bare = torch.empty(shape, dtype=dtype, device="meta")
        return FakeTensor(self.mode, bare, self.device)

    def call(self, func: Callable[..., Tensor], args: tuple) -> Tensor:
        first = args[0]
        if type(first) is not FakeTensor or first.fake_device != self.device:
            return NotImplemented
        with in_kernel_invocation_manager(self.mode):
            bare = func(*args)
        return FakeTensor(self.mode, bare, self.device)


def trace(
    network: nn.Module,
    step: Step,
    inputs: Sequence[tuple[Sequence[int], torch.dtype]],
    *,
    optimizer: Callable[[nn.Module], Optimizer] | None = None,
    steps: int = 2,
    device: str = "cpu",
) -> Trace:
    """Watch `steps` steps of a network; neither the network nor its tensors are touched.

    Args:
        network: any module, on any device, also "meta".
        step: (network, optimizer, tensors) takes one whole step, as in the real run. A number that
            it asks for outside the network is 1: a loss, or that gradients are finite.
        inputs: shape and number format of the tensors that the step is given.
        optimizer: makes the optimizer of a network; None for prediction.
        steps: the second differs from the first, in which there is no optimizer state yet and no
            gradient of the step before; later ones are like the second.
        device: where the real run is to happen. On CUDA kernels' workspaces are not known.
    Raises:
        PlanError: an operation that needs the values, a device that is not there, or a torch whose
            private parts have moved.
        ShapeError: the network does not take that input; its own ShapeError where it has one.
    """
    if FakeTensorMode is None:
        got = f"torch {torch.__version__}"
        raise PlanError("plan", f"memory is traced with {TORCH}", got, "Install one of these")
    kind = torch.device(device).type
    if kind != "cpu" and not getattr(torch, kind).is_available():
        # torch would end the process when it looks for the device's streams
        remedy = "Plan for --device cpu, or on a machine that has one"
        raise PlanError("plan", "a step is traced for a device that is there", device, remedy)
    with swept_aside(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        twin = copied(network, lambda t: _empty(t.shape, t.dtype, device, t.stride()))
        recorder = Recorder(_names(twin), twin, _Maker(mode, device), on_cpu=kind == "cpu")
        for name, tensor in [*twin.named_parameters(), *twin.named_buffers()]:
            layer, _, leaf = name.rpartition(".")
            recorder.add(tensor, layer, leaf, role="parameters")
        given = tuple(_empty(shape, dtype, device) for shape, dtype in inputs)
        for tensor in given:
            recorder.add(tensor, "", "input", role="outputs")
        made = None if optimizer is None else optimizer(twin)
        _run(recorder, lambda: step(twin, made, given), made, steps)
    end = len(recorder.moments)
    holdings = tuple(record.settle(end) for record in recorder.records)
    return Trace(moments=tuple(recorder.moments), holdings=holdings, steps=steps)


def _run(
    recorder: Recorder, step: Callable[[], object], optimizer: Optimizer | None, steps: int
) -> None:
    handles = [
        register_module_forward_pre_hook(recorder.enter),
        register_module_forward_hook(recorder.leave, always_call=True),
        register_optimizer_step_pre_hook(recorder.note_gradients),
    ]
    try:
        for number in range(1, steps + 1):
            recorder.step, recorder.phase = number, "start"
            with recorder, _quiet():
                step()
            recorder.pass_over()
            recorder.note_gradients()
            recorder.note_state(optimizer)
    except ConvivoError:
        raise
    except UNTRACEABLE as error:
        raise _untraceable(recorder, error) from error
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise _refused(recorder, error) from error
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def swept_aside() -> Iterator[None]:
    """Garbage is looked for only among what is made meanwhile: torch itself is half a million."""
    mine = gc.get_freeze_count() == 0
    if mine:
        gc.freeze()
    try:
        yield
    finally:
        if mine:
            gc.unfreeze()


@contextmanager
def _quiet() -> Iterator[None]:
    """An error is told once, by us."""
    log = logging.getLogger(fake_tensor.__name__)
    was, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was


def _untraceable(recorder: Recorder, error: Exception) -> PlanError:
    """Which operation, and why."""
    op = getattr(error, "func", None) or str(error).splitlines()[0]
    rule = "memory is told of networks that run on shapes alone"
    got = f"{op}, whose result depends on the values"
    return PlanError(
        recorder.failed_at, rule, got, "Write it with sizes that follow from the input's"
    )


def _refused(recorder: Recorder, error: Exception) -> ShapeError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    rule = "the network must take this input, and the loss its output"
    remedy = "Correct the input's channels and size, or the network"
    where = recorder.failed_at or type(recorder.root).__name__
    return ShapeError(where, rule, reason[0].rstrip("."), remedy)


def _names(network: nn.Module) -> dict[int, str]:
    """Modules and parameters by identity: the name of the module, of a parameter its owner's."""
    names: dict[int, str] = {}
    for name, module in network.named_modules():
        names[id(module)] = name or type(module).__name__
        for parameter in module.parameters(recurse=False):
            names.setdefault(id(parameter), names[id(module)])
    return names


def _empty(
    shape: Sequence[int],
    dtype: torch.dtype,
    device: str,
    stride: Sequence[int] | None = None,
) -> Tensor:
    if stride is None:
        return torch.empty(tuple(shape), dtype=dtype, device=device)
    return torch.empty_strided(tuple(shape), tuple(stride), dtype=dtype, device=device)
