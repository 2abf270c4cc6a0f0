"""One training step or prediction of any network, operation by operation, nothing allocated.

Torch runs it on fake tensors, which have a shape, a device and a place on the autograd tape, but no
bytes (`fakes`).
"""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from convivo.errors import ConvivoError, PlanError, ShapeError
from convivo.planning.events import Trace
from convivo.planning.fakes import LOG, TORCH, UNTRACEABLE, Fakes, FakeTensorMode, Unseen
from convivo.planning.recorder import Recorder, Watch
from convivo.planning.repetition import condition, is_unchanged
from convivo.planning.shadow import copied, needs_values
from convivo.planning.uncompiled import uncompiled


class Unlike(Exception):
    """A step that was said to be like the first may not be."""


Step = Callable[[nn.Module, Optimizer | None, tuple[Tensor, ...]], object]


def trace(
    network: nn.Module,
    step: Step,
    inputs: Sequence[tuple[Sequence[int], torch.dtype]],
    *,
    optimizer: Callable[[nn.Module], Optimizer] | None = None,
    steps: int = 2,
    device: str = "cpu",
    watch: Watch | None = None,
    alike: bool = False,
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
        watch: shown each operation of the last step, with its arguments and results.
        alike: the step does each time the same, but for the optimizer's first state. Then a second
            one is not run, unless the network has kept something of the first.
    Raises:
        PlanError: an operation that needs the values, a device that is not there, or a torch whose
            private parts have moved.
        ShapeError: the network does not take that input; its own ShapeError where it has one.
        Unlike: with `alike`, if a second step would have to be run; so much was watched in vain.
    """
    if FakeTensorMode is None:
        got = f"torch {torch.__version__}"
        raise PlanError("plan", f"memory is traced with {TORCH}", got, "Install one of these")
    kind = torch.device(device).type
    if kind != "cpu" and not getattr(torch, kind).is_available():
        # torch would end the process when it looks for the device's streams
        remedy = "Plan for --device cpu, or on a machine that has one"
        raise PlanError("plan", "a step is traced for a device that is there", device, remedy)
    with swept_aside(), uncompiled():
        recorder, given, made = _prepared(network, inputs, optimizer, Fakes(device))
        twin = recorder.root
        first = condition(twin) if alike and steps == 2 else {}
        recorder.skipped = [] if first else None
        _run(recorder, lambda: step(twin, made, given), made, 1 if first else steps, watch)
        if first and not (is_unchanged(first, condition(twin)) and recorder.repeat()):
            raise Unlike
    end = len(recorder.moments)
    holdings = tuple(record.settle(end) for record in recorder.records)
    return Trace(moments=tuple(recorder.moments), holdings=holdings, steps=steps)


def _prepared(
    network: nn.Module,
    inputs: Sequence[tuple[Sequence[int], torch.dtype]],
    optimizer: Callable[[nn.Module], Optimizer] | None,
    fakes: Fakes,
) -> tuple[Recorder, tuple[Tensor, ...], Optimizer | None]:
    """A recorder that knows what is there before the step: weights, buffers, what is given."""
    with Unseen(fakes):
        twin = copied(network, lambda t: fakes.blank(t.shape, t.dtype, t.stride()))
        made = None if optimizer is None else optimizer(twin)
    recorder = Recorder(_names(twin), twin, fakes, on_cpu=fakes.device.type == "cpu")
    for name, tensor in [*twin.named_parameters(), *twin.named_buffers()]:
        layer, _, leaf = name.rpartition(".")
        recorder.add(tensor, layer, leaf, role="parameters")
    given = tuple(fakes.blank(tuple(shape), dtype) for shape, dtype in inputs)
    for tensor in given:
        recorder.add(tensor, "", "input", role="outputs")
    return recorder, given, made


def _run(
    recorder: Recorder,
    step: Callable[[], object],
    optimizer: Optimizer | None,
    steps: int,
    watch: Watch | None,
) -> None:
    handles = [
        register_module_forward_pre_hook(recorder.enter),
        register_module_forward_hook(recorder.leave, always_call=True),
        register_optimizer_step_pre_hook(recorder.update),
    ]
    try:
        for number in range(1, steps + 1):
            recorder.step, recorder.phase = number, "start"
            recorder.watch = watch if number == steps else None
            with recorder, _quiet():
                step()
            recorder.updating = False
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


_SWEEPING = [0]  # how many now ask that garbage be set aside


@contextmanager
def swept_aside() -> Iterator[None]:
    """Garbage is looked for only among what is made meanwhile: torch itself is half a million."""
    mine = not _SWEEPING[0] and gc.get_freeze_count() == 0  # counting them takes its time
    if mine:
        gc.freeze()
    _SWEEPING[0] += 1
    try:
        yield
    finally:
        _SWEEPING[0] -= 1
        if mine:
            gc.unfreeze()


@contextmanager
def _quiet() -> Iterator[None]:
    """An error is told once, by us."""
    log = logging.getLogger(LOG)
    was, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was


def _untraceable(recorder: Recorder, error: Exception) -> PlanError:
    """Which operation, and why."""
    op = getattr(error, "func", None) or str(error).splitlines()[0]
    return needs_values(recorder.failed_at, str(op))


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
