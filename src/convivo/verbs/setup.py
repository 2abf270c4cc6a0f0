"""From a plan to the live parts of a run: preparation, task, network, predictor.

`plan.json` holds everything fixed before the first step; what is built here is built from it
alone, so that train, evaluate and predict cannot disagree.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convivo.architectures.create import create
from convivo.arrays.preparation import Preparation
from convivo.errors import UsageError
from convivo.inference.ensemble import Ensemble
from convivo.inference.mirrored import Mirrored
from convivo.inference.predictor import Predictor
from convivo.inference.room import Room
from convivo.tasks import create_task
from convivo.tasks.task import Task
from convivo.training.checkpoint import load_tensors
from convivo.training.memory_layout import laid_out

Plan = Mapping[str, Any]


def build_network(plan: Plan, own: nn.Module | None = None) -> nn.Module:
    """The network of a plan, drawn from the plan's seed; of a run of folds that of all of them.

    Args:
        own: the user's module, where that is the plan's network.
    Raises:
        UsageError: the network is not one of ours, and not given.
    """
    if plan.get("ensemble"):
        return _ensemble(plan, own)
    if own is not None:
        return own
    net = plan["network"]
    if net.get("custom"):
        remedy = "Give it: convivo.load(run, net=my_module)"
        raise UsageError(net["name"], "this run's network is not one of ours", "a name", remedy)
    torch.manual_seed(int(plan["seed"]))
    drawn = create(
        net["name"],
        spatial_dims=net["spatial_dims"],
        in_channels=net["in_channels"],
        num_classes=net["num_classes"],
        input_size=tuple(net["input_size"]) if net.get("input_size") else None,
        width=net["width"],
        **{k: _tuples(v) for k, v in net.get("options", {}).items()},
    )
    return laid_out(drawn, plan.get("memory_layout", "contiguous"))


def _ensemble(plan: Plan, own: nn.Module | None) -> nn.Module:
    """The members of a plan's ensemble, each with the scale of grey and the task it has learnt."""
    rows, single = plan["ensemble"], {**plan, "ensemble": None}
    channels = plan["network"]["in_channels"]
    means, stds = (
        torch.tensor([row[key] or [blank] for row in rows]).expand(-1, channels)
        for key, blank in (("mean", 0.0), ("std", 1.0))
    )
    return Ensemble(
        [deepcopy(own) if own is not None else build_network(single) for _ in rows],
        [build_task({**single, "task_fields": row["task_fields"]}) for row in rows],
        scale=stds[:1] / stds,
        shift=(means[:1] - means) / stds,
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def mirrored(plan: Plan, network: nn.Module) -> Mirrored:
    """The run's network, asked about each input and its mirror images.

    Raises:
        UsageError: the training mirrored nothing, so that mirror images may look unnatural.
    """
    axes = (plan["augment"] or {}).get("flip_axes") or []
    if not axes or plan["task"] == "generate":
        rule, remedy = "a run that was trained on mirror images too", "Leave --tta out"
        raise UsageError("--tta", rule, "no mirrored axis", remedy)
    return Mirrored(network, build_task(plan), axes)


def build_task(plan: Plan) -> Task:
    fields = dict(plan["task_fields"])
    classes = tuple(fields.pop("classes"))
    settled = (plan.get("measured") or {}).get("threshold")
    if settled is not None:  # after the training, on validation
        fields["threshold"] = settled
    return create_task(plan["task"], classes=classes, **fields)


def build_preparation(plan: Plan) -> Preparation:
    return Preparation.from_dict(plan["preparation"])


def build_predictor(
    plan: Plan,
    network: nn.Module,
    task: Task,
    *,
    precision: str = "fp32",
    say: Callable[[str], None] | None = None,
) -> Predictor:
    """The predictor of a plan's input; `network` is used as it is, in whatever mode it is.

    say: told in a line where memory runs out and passes get smaller.
    """
    seen = plan["sampling"]
    return Predictor(
        network=network,
        task=task,
        sampling=seen["mode"],
        size=tuple(seen["size"]),
        before=seen["before"],
        reference=bool(seen.get("reference")),
        rhythm=bool(seen.get("rhythm")),
        batch=1 if seen["mode"] == "patch" and len(seen["size"]) == 3 else seen["batch"],
        multiple=getattr(network, "total_stride", None),
        margin=margin_of(network),
        step=getattr(network, "grid_step", None),
        precision=precision,
        room=Room() if say is None else Room(say=say),
    )


def margin_of(network: nn.Module) -> tuple[int, ...] | None:
    """Samples per side and axis without an answer, of networks that answer less than they see."""
    margin = getattr(network, "margin", None)
    return margin if isinstance(margin, tuple) else None


def load_weights(network: nn.Module, path: Path) -> nn.Module:
    """Put a run's best weights into a network, in eval mode.

    Raises:
        ReadError: missing or damaged weights. UsageError: weights of another network.
    """
    tensors, _ = load_tensors(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        got = str(error).splitlines()[0]
        raise UsageError(path, "the weights must be this network's", got, "Name its run") from None
    return network.eval()


def pick_device(wish: str) -> torch.device:
    """ "auto": CUDA where there is one, else the CPU.

    Raises:
        UsageError: a device this machine does not have.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    have = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not have.get(wish, False):
        known = ", ".join(name for name, there in have.items() if there)
        raise UsageError("--device", "a device of this machine", repr(wish), f"Use auto or {known}")
    return torch.device(wish)


def set_threads(wish: int | None) -> int:
    """Threads of the kernels; fixed, since sums are cut by them."""
    if wish:
        torch.set_num_threads(wish)
    return torch.get_num_threads()
