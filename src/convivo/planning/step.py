"""One step in the order of `training.loop.train_step`, of any loss and optimizer, for the trace.

Only what is allocated and let go, and when, matters here; rates and schedules do not. The test of
the trace holds the two against each other.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, AdamW, Optimizer

from convivo.errors import UsageError, nearest_name
from convivo.layers.checkpointing import checkpointed
from convivo.layers.precision import autocast
from convivo.planning.shadow import tensors
from convivo.planning.trace import Step

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "sgd": lambda net: SGD(net.parameters(), lr=1e-3, fused=True),
    "momentum": lambda net: SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True, fused=True),
    "adam": lambda net: Adam(net.parameters(), lr=1e-3, fused=True),
    "adamw": lambda net: AdamW(net.parameters(), lr=1e-3, fused=True),
}
SCALE = {"fp16": 1024.0}  # of the loss, as in training
CLIP = 1.0


def make_optimizer(name: str) -> Callable[[nn.Module], Optimizer]:
    """Optimizer by name, fused as in training.

    Raises:
        UsageError: an unknown name.
    """
    if name not in OPTIMIZERS:
        rule = "a known optimizer"
        raise UsageError("--optimizer", rule, repr(name), nearest_name(name, OPTIMIZERS))
    return OPTIMIZERS[name]


def training_step(
    loss: Loss,
    precision: str = "fp32",
    *,
    device: str = "cpu",
    passes: int = 1,
    checkpointing: bool = False,
) -> Step:
    """Forward, loss, backward, clipping, update, in the order of the training loop.

    Args:
        passes: parts of the batch that go through one after the other. The third and later ones
            take what the second takes and are left out.
        checkpointing: parts of the network are computed again in the backward pass.
    """
    scale = SCALE.get(precision, 1.0)

    def step(network: nn.Module, optimizer: Optimizer | None, given: tuple[Tensor, ...]) -> None:
        network.train()
        network.zero_grad(set_to_none=True)
        kept = [buffer.clone() for buffer in network.buffers()]
        for part in list(zip(*(t.tensor_split(passes) for t in given), strict=True))[:2]:
            with autocast(precision, device), checkpointed(network, on=checkpointing):
                value = loss(network, *part)
            share = len(part[0]) / len(given[0])
            (value * (scale * share)).backward()
        if scale != 1.0:
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, 1 / scale)
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        if optimizer is not None:
            optimizer.step()
            network.zero_grad(set_to_none=True)
        del kept

    return step


def prediction_step(precision: str = "fp32", *, device: str = "cpu") -> Step:
    """One forward pass, of which nothing is kept but the answer."""

    def step(network: nn.Module, optimizer: Optimizer | None, given: tuple[Tensor, ...]) -> None:
        network.eval()
        with torch.inference_mode(), autocast(precision, device):
            network(*given)

    return step


def cross_entropy(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Of logits (N, K, ...) against indices (N, ...), the sum over several outputs.

    Outputs of smaller grids are held against the corner of the label map, which copies nothing.
    """
    losses = []
    for logits in tensors(network(images)):
        corner = (slice(None), *(slice(n) for n in logits.shape[2:]))
        losses.append(F.cross_entropy(logits.float(), targets[corner]))
    total = losses[0]
    for loss in losses[1:]:
        total = total + loss
    return total


def squared_error(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Of the first output against the input."""
    return F.mse_loss(next(tensors(network(images))).float(), images)
