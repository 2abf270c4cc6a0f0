"""Which number format a step may use on this machine, soundness first.

bfloat16 convolutions on CPU are twice as fast where the processor multiplies bf16 well, and wrong
on some small grids (`layers.precision` knows and avoids them in our layers). `is_sound` tries the
network itself, whoever wrote it.
"""

import time
from collections.abc import Callable
from functools import cache
from math import inf, isfinite, sqrt

import torch
from torch import nn

from convivo.layers.precision import autocast
from convivo.processor import processor_words

NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}
SIDE, PRODUCTS = 512, 8  # about 15 ms in all; a native format takes half of the other's time
TOLERANCE = 0.5  # relative distance from float32's gradient; unsound kernels are off by 1 or inf
# A network may answer to the last bit of its input: fresh, deep, batch norm over few items. Then
# float32's own gradient moves as far when the input is rounded, and that is taken as the measure.
ROUNDED, MOST_TOLERATED = 3.0, 0.95


@cache
def has_fast_bf16() -> bool:
    """True where the processor multiplies bf16 faster than float32.

    Some have the instruction and take twice as long with it: a product of matrices is timed.
    """
    return multiplies_bf16() and _seconds_of_product(torch.bfloat16) < _seconds_of_product(
        torch.float32
    )


def multiplies_bf16() -> bool:
    """True where the processor multiplies bf16 itself (AVX512-BF16, AMX or Arm bf16)."""
    return not NATIVE.isdisjoint(processor_words())


def _seconds_of_product(kind: torch.dtype) -> float:
    """Of two square matrices, the least of a few: what else the machine does only adds to it."""
    matrix = torch.ones(SIDE, SIDE, dtype=kind)
    seconds = []
    with torch.inference_mode():
        for _ in range(PRODUCTS):
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            seconds.append(time.perf_counter() - began)
    return min(seconds)


def is_sound(
    network: nn.Module, loss: Callable[[], torch.Tensor], precision: str, *, tries: int = 3
) -> bool:
    """Whether this network's gradients in `precision` agree with float32's, a few times over.

    Args:
        loss: computes the loss of one real batch through `network`; must not depend on anything
            random. The network's buffers (running statistics) are put back afterwards.
    """
    device = next(network.parameters()).device.type
    kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        _fill_gradients(network, loss, "fp32", device)
        reference = [gradient.clone() for gradient in _gradients(network)]
        tolerated = TOLERANCE
        for _ in range(tries):
            away = _distance_in(network, loss, precision, reference)
            if tolerated == TOLERANCE <= away < MOST_TOLERATED:
                tolerated = _tolerated(network, loss, reference)
            if away >= tolerated:
                return False
        return True
    finally:
        for name, buffer in network.named_buffers():
            buffer.copy_(kept[name])
        network.zero_grad(set_to_none=True)


def _distance_in(
    network: nn.Module,
    loss: Callable[[], torch.Tensor],
    precision: str,
    reference: list[torch.Tensor],
) -> float:
    try:
        _fill_gradients(network, loss, precision, reference[0].device.type)
    except RuntimeError:  # an operation that does not exist in this precision; float32 had it
        return inf
    return _distance(_gradients(network), reference)


def _tolerated(
    network: nn.Module, loss: Callable[[], torch.Tensor], reference: list[torch.Tensor]
) -> float:
    """The distance that is no fault, of a network whose gradient moves when its input is rounded.

    The first layer that is run is the one that is given the input.
    """
    waiting = [True]

    def rounded(module: nn.Module, given: tuple) -> tuple | None:
        if not waiting or any(module.children()):
            return None
        waiting.clear()
        return tuple(_rounded(x) for x in given)

    hooks = [module.register_forward_pre_hook(rounded) for module in network.modules()]
    try:
        _fill_gradients(network, loss, "fp32", reference[0].device.type)
    finally:
        for hook in hooks:
            hook.remove()
    moved = ROUNDED * _distance(_gradients(network), reference)
    return min(max(TOLERANCE, moved), MOST_TOLERATED)


def _rounded(value: object) -> object:
    """Real numbers as bfloat16 has them; classes and the like stay."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.bfloat16().to(value.dtype)


def _fill_gradients(
    network: nn.Module, loss: Callable[[], torch.Tensor], precision: str, device: str
) -> None:
    network.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    with autocast(precision, device):
        value = loss()
    value.backward()


def _gradients(network: nn.Module) -> list[torch.Tensor]:
    return [p.grad.detach() for p in network.parameters() if p.grad is not None]


def _distance(these: list[torch.Tensor], those: list[torch.Tensor]) -> float:
    """Of all gradients together, relative to `those`; infinite where one is non-finite.

    Summed tensor by tensor, so that no copy of all of them is made.
    """
    pairs = list(zip(these, those, strict=True))
    away = sum(float((a - b).double().square().sum()) for a, b in pairs)
    length = sum(float(b.double().square().sum()) for b in those)
    return sqrt(away) / max(sqrt(length), 1e-12) if isfinite(away + length) else inf
