"""train.ema: what the running mean of the weights takes, for plans and for people."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from convivo.errors import ConfigError
from convivo.verbs.settings import TrainSettings

MIB = 2**20
SENTENCE = "kept is the running mean of the weights"


def check_ema(task: str, wish: TrainSettings) -> None:
    """Refuse a mean that never moves, and a second one of a generator.

    Raises:
        ConfigError: one of these.
    """
    if not wish.ema:
        return
    if task == "generate":
        rule, remedy = "a generator has a mean of its own", "Set task.ema instead"
        raise ConfigError("train.ema", rule, wish.ema, remedy)
    if wish.ema >= 1:
        raise ConfigError("train.ema", "a share below 1", wish.ema, "Give a number such as 0.999")


def mean_bytes(plan: Mapping[str, Any], network: nn.Module) -> int:
    """Bytes of the copy of the weights and buffers that the mean is; 0 where none is kept."""
    if not plan["train"].get("ema"):
        return 0
    return sum(t.numel() * t.itemsize for t in network.state_dict().values())


def tell_mean(plan: Mapping[str, Any], network: nn.Module) -> None:
    """Add what it costs to the plan's reasons, in the place of what was said of another network."""
    size = mean_bytes(plan, network)
    told = [r for r in plan["reasons"] if not r.startswith(SENTENCE)]
    if size:
        told.append(f"{SENTENCE} (train.ema={plan['train']['ema']:g}): {size / MIB:,.1f} MiB more")
    plan["reasons"][:] = told
