"""Which number format a step may use on this machine, soundness first.

bfloat16 convolutions on CPU are twice as fast where the processor multiplies bf16, and wrong on
some layouts: channels-last volumes gave non-finite weight gradients about one step in six
(torch 2.13, AVX512-BF16). Memory stays contiguous, and `is_sound` tries the network itself.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

TOLERANCE = 0.25  # relative distance of a bf16 gradient from float32's; unsound kernels are off by 1 or inf


def has_fast_bf16() -> bool:
    """True where the processor multiplies bf16 natively (AVX512-BF16, AMX or Arm bf16)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def autocast(precision: str, device: str) -> AbstractContextManager:
    """The context a step runs in: "fp32" none, "bf16"/"fp16" torch's autocast."""
    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device_type=device, dtype=dtype)


def gradients_are_finite(network: nn.Module) -> bool:
    """True where no parameter's gradient holds an infinity or NaN."""
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    return bool(torch.isfinite(torch.stack([g.abs().max() for g in grads])).all()) if grads else True


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
    reference = _gradients(network, loss, "fp32", device)
    sound = all(
        _agree(_gradients(network, loss, precision, device), reference) for _ in range(tries)
    )
    for name, buffer in network.named_buffers():
        buffer.copy_(kept[name])
    network.zero_grad(set_to_none=True)
    return sound


def _gradients(
    network: nn.Module, loss: Callable[[], torch.Tensor], precision: str, device: str
) -> list[torch.Tensor]:
    network.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    with autocast(precision, device):
        value = loss()
    value.backward()
    return [p.grad.detach().clone() for p in network.parameters() if p.grad is not None]


def _agree(these: list[torch.Tensor], those: list[torch.Tensor]) -> bool:
    """All gradients together point the same way, and none is non-finite."""
    a = torch.cat([g.flatten() for g in these])
    b = torch.cat([g.flatten() for g in those])
    return bool(torch.isfinite(a).all()) and float((a - b).norm() / b.norm().clamp_min(1e-12)) < TOLERANCE
