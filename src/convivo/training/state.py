"""Everything a training is at one moment: what `last/` keeps, and where a resumed run starts."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from convivo.errors import ReadError
from convivo.training.checkpoint import (
    load_tensors,
    optimizer_tensors,
    prefixed,
    restore_optimizer,
    save_tensors,
    unprefixed,
)


@dataclass(kw_only=True)
class Counters:
    """Plain numbers of a state.

    step: steps done; with the seed it is the position of the sampler and of every random stream.
    skipped: steps whose gradients were not finite. recent: the latest of them.
    best_score: of all validations. best_step: of the weights that are kept (see `loop.is_as_good`).
    scores: of all validations. stale: validations since the best.
    passes: parts that a batch goes through in, one after the other. checkpointing: parts of the
    network are computed again in the backward pass. eased: what was changed for lack of memory.
    loss_sum, loss_count: of the finite losses since the last validation.
    """

    step: int = 0
    precision: str = "fp32"
    best_score: float | None = None
    best_step: int = 0
    scores: list[float] = field(default_factory=list)
    stale: int = 0
    skipped: int = 0
    recent: list[int] = field(default_factory=list)
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    passes: int = 1
    checkpointing: bool = False
    eased: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class State:
    """Network, optimizer and counters.

    rival: the optimizer of the network's other half, where two halves learn against each other.
    average: a copy of the network with the running mean of its weights, where one is kept.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    rival: torch.optim.Optimizer | None = None
    average: nn.Module | None = None
    counters: Counters = field(default_factory=Counters)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.counters.step

    @property
    def shown(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.network if self.average is None else self.average

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """All of them."""
        return [self.optimizer, *([] if self.rival is None else [self.rival])]

    def zero_grad(self) -> None:
        """Let go of all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)


def save_state(path: Path, state: State) -> None:
    """Write a state, whole or not at all."""
    tensors = prefixed("network", state.network.state_dict())
    tensors |= optimizer_tensors(state.optimizer)
    if state.rival is not None:
        tensors |= optimizer_tensors(state.rival, "rival")
    if state.average is not None:
        tensors |= prefixed("average", state.average.state_dict())
    tensors["generator.torch"] = torch.get_rng_state()
    save_tensors(path, tensors, asdict(state.counters))


def load_state(path: Path, state: State) -> None:
    """Put a saved state into `state`, in place.

    Raises:
        ReadError: the file is damaged, or the state of another network or optimizer.
    """
    tensors, facts = load_tensors(path)
    try:
        counters = Counters(**facts)
        generator = tensors["generator.torch"]
        state.network.load_state_dict(unprefixed("network", tensors))
        restore_optimizer(state.optimizer, tensors)
        if state.rival is not None:
            restore_optimizer(state.rival, tensors, "rival")
        if state.average is not None:
            state.average.load_state_dict(unprefixed("average", tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        rule = "the saved state must belong to this network and optimizer"
        remedy = "Restore it, or train again in a new folder"
        raise ReadError(path, rule, str(error).splitlines()[0], remedy) from None
    torch.set_rng_state(generator)
    state.counters = counters
