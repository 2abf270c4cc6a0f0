"""plan: what a network costs, before a byte of it is allocated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.architectures.outline import outlined
from convivo.config import build, merge
from convivo.data.inspection import Inspection, inspect_data
from convivo.data.split import make_split
from convivo.errors import UsageError
from convivo.layers.kernels import check_choice
from convivo.planning.document import plan_document
from convivo.planning.lecture import lecture_count
from convivo.planning.ranks import check_ranks
from convivo.planning.step import Loss
from convivo.tasks import TASKS, create_task
from convivo.verbs.choose import choose
from convivo.verbs.facts import facts_of
from convivo.verbs.fixing import counted, draft_plan, traced_optimizer
from convivo.verbs.keeping import Keeping
from convivo.verbs.memory_words import memory_words
from convivo.verbs.settings import NetSettings, Settings
from convivo.verbs.storing import reason as storing_reason
from convivo.verbs.storing import store_entry
from convivo.verbs.within import (
    Ask,
    Limits,
    ask_for,
    beside_mean,
    fitted,
    formats,
    kept_by,
    limits_of,
    smaller_reason,
    with_setting,
    words,
)

DEFAULT_OPTIMIZER = "adamw"


@dataclass(frozen=True)
class Plan:
    """A plan; `document()` is the contract's JSON."""

    contents: dict[str, Any]

    def document(self) -> dict[str, Any]:
        return self.contents

    def text(self) -> str:
        """The plan in lines for people."""
        c = self.contents
        field = c.get("receptive_field")
        size = " x ".join(map(str, c["input"]))
        lines = [
            f"{c['net']}, input {size}, batch {c['batch']}, {c['mode']}",
            f"  parameters        {c['parameters']:,}",
            f"  macs (a batch)    {c['macs']:,}",
            f"  receptive field   {' x '.join(map(str, field)) if field else 'unknown'}",
        ]
        if "ranks" in c:
            lines.append(f"  memory of a rank, of {c['ranks']} ({c['strategy']})")
        if "lecture" in c:
            lines.append(f"  bytes, the lecture's sum: {c['lecture']['formula']}")
        lines += memory_words(c)
        lines += [f"  {reason}" for reason in c.get("reasons", [])]
        lines += words(c)
        rows = c.get("layers") or []
        width = max((len(row["name"]) for row in rows), default=0)
        lines += [
            f"  {row['name']:<{width}}  {row['type']:<14} {' x '.join(map(str, row['output'])):>18}"
            f"  {row['parameters']:>12,}  {row['macs'] or 0:>16,}"
            for row in rows
        ]
        return "\n".join(lines)


def plan(
    data: object = None,
    *,
    input: Sequence[int] | str | None = None,
    net: str | None = None,
    batch: int | None = None,
    mode: str = "train",
    optimizer: str = "adamw",
    classes: int | None = None,
    layers: bool = False,
    precision: str = "auto",
    ram: str | int | None = None,
    vram: str | int | None = None,
    settings: Sequence[str] = (),
    count: str | None = None,
    ranks: int | None = None,
    strategy: str | None = None,
) -> Plan:
    """Count parameters, multiply-accumulates, the receptive field and memory.

    Args:
        data: a path or inspection (then network and input are chosen from it), or your own module.
        input: (C, *S), as numbers or "C,S1,S2"; gives the number of spatial axes.
        net: a name of `networks()`.
        classes: outputs of the network; default 1000, for segmentation 2.
        settings: "key=value" overrides of the configuration, such as "net.hidden=[1000]".
        count: "lecture" adds the lecture's own sum, 4 bytes x (input + weights + biases).
        ram, vram: solve for the largest batch (and patch) whose training or prediction stays
            within this memory of the process, of the accelerator, such as "8G"; with `batch` ask
            whether that fits.
        ranks, strategy: memory of each rank where so many share the training, by "ddp" or "fsdp";
            the batch is one rank's, and so is a limit of memory.
    Raises:
        UsageError: neither data nor a network with its input. ShapeError: an input it cannot take.
        PlanError: not even the smallest setting fits the memory.
    """
    shape = _shape(input)
    wish = _wish(settings, net, batch)
    limits = limits_of(ram, vram)
    check_ranks(ranks, strategy)
    shared: dict[str, Any] = {} if ranks is None else {"ranks": ranks, "strategy": strategy}
    if isinstance(data, nn.Module):
        if shape is None:
            raise UsageError(
                "plan", "a module needs its input shape", "none", "Give input=(1, 64, 64)"
            )
        name, module = type(data).__name__, data
    elif data is not None and shape is None:
        counting = {
            "mode": mode,
            "optimizer": optimizer,
            "layers": layers,
            "precision": precision,
            **shared,
        }
        return _for_data(data, wish, counting, limits)
    else:
        name, module = wish.net.name or "", on_meta(wish.net, shape, classes)
    ask = Ask(
        mode=mode, optimizer=optimizer, precisions=formats(precision), batch=wish.train.batch,
        task=ARCHITECTURES[name].tasks[0] if name in ARCHITECTURES else None,
        loss=loss_of(name, classes), **shared,
    )  # fmt: skip
    channels, *size = shape or (1,)
    seen, answer = fitted(module, (channels, *size), ask, limits)
    contents = plan_document(
        name, module, (channels, *seen.patch), seen.batch,
        mode=mode, optimizer=optimizer, layers=layers, precision=seen.precision, loss=ask.loss,
        checkpointing=seen.checkpointing, keeps=kept_by(seen, mode), limit=limits.ram,
        **shared,
    ) | answer  # fmt: skip
    if count is not None:
        check_choice(count, ("lecture",), "--count")
        contents["lecture"] = lecture_count(module, shape or ())
    return Plan(contents)


def _wish(settings: Sequence[str], net: str | None, batch: int | None) -> Settings:
    """The configuration asked for; the options of the command win over --set."""
    wish = build(Settings, merge({}, list(settings)))
    name = {} if net is None else {"name": net}
    size = {} if batch is None else {"batch": batch}
    parts = {"net": wish.net.model_copy(update=name), "train": wish.train.model_copy(update=size)}
    return wish.model_copy(update=parts)


def _shape(input: Sequence[int] | str | None) -> tuple[int, ...] | None:
    if input is None:
        return None
    parts = input.split(",") if isinstance(input, str) else list(input)
    try:
        shape = tuple(int(part) for part in parts)
    except ValueError:
        shape = ()
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        remedy = "Write for example 3,224,224"
        raise UsageError("--input", "C,S1[,S2[,S3]] of positive integers", repr(input), remedy)
    return shape


def on_meta(net: NetSettings, shape: tuple[int, ...] | None, classes: int | None) -> nn.Module:
    """One of our networks without its weights, for an input (C, *S).

    Args:
        classes: outputs; None for what its task usually has.
    Raises:
        UsageError: no name or no shape. ConfigError, ShapeError: what `create` refuses.
    """
    if net.name is None or shape is None:
        rule = "give DATA, or --net with --input"
        got = f"net={net.name}, input={shape}"
        raise UsageError("plan", rule, got, "Try --net resnet18 --input 3,224,224")
    entry = ARCHITECTURES.get(net.name)
    task = entry.tasks[0] if entry is not None else "classify"
    with outlined():
        return create(
            net.name, spatial_dims=len(shape) - 1, in_channels=shape[0],
            num_classes=classes or default_classes(task), input_size=shape[1:],
            width=net.width or 1.0, **net.options,
        )  # fmt: skip


def default_classes(task: str) -> int:
    """Outputs where nobody says how many: those of ImageNet, or foreground and background."""
    return 1000 if task == "classify" else 2


def loss_of(name: str, classes: int | None) -> Loss | None:
    """That of the task which the network is for; None where it is not ours, or serves no task."""
    entry = ARCHITECTURES.get(name)
    task = "" if entry is None else entry.tasks[0]
    if task not in TASKS:
        return None
    return create_task(task, classes=("",) * (classes or default_classes(task))).step


def _for_data(data: object, wish: Settings, counting: dict[str, Any], limits: Limits) -> Plan:
    inspection = data if isinstance(data, Inspection) else _inspected(str(data), wish)
    inspection.require_labels()
    split = make_split(inspection)
    facts = facts_of(inspection, split.train)
    chosen, reasons = choose(facts, wish)
    threads = torch.get_num_threads()

    def drawn_up(chosen: Settings) -> tuple[dict[str, Any], nn.Module, Keeping]:
        draft, network = draft_plan(
            inspection, split, facts, chosen, reasons=reasons, threads=threads
        )
        wished = wish.data.store is not None
        draft |= store_entry(draft, inspection, split, limits.ram, wished=wished)
        keeping = Keeping(draft, network, inspection, train=split.train, val=split.val)
        return draft, network, keeping

    draft, network, keeping = drawn_up(chosen)
    counting["optimizer"] = _optimizer(counting["optimizer"], traced_optimizer(draft["train"]))
    ask = ask_for(
        facts, draft, wish, keeping,
        batch=wish.train.batch if limits else draft["batch"], precision=counting["precision"],
        mode=counting["mode"], optimizer=counting["optimizer"],
        ranks=counting.get("ranks"), strategy=counting.get("strategy"),
    )  # fmt: skip
    shape = (draft["network"]["in_channels"], *(chosen.input.size or ()))
    if ask.mode == "train":
        limits = beside_mean(limits, keeping.mean)
    seen, answer = fitted(network, shape, ask, limits)
    if (seen.batch, seen.patch) != (draft["batch"], shape[1:]):
        if seen.patch != shape[1:]:
            reasons.append(smaller_reason(seen.patch, shape[1:]))
        draft, network, keeping = drawn_up(with_setting(chosen, seen))
    draft["reasons"] += storing_reason(draft["store"])
    more = {name: value for name, value in counting.items() if name != "precision"}
    return Plan(draft | counted(draft, network, seen, keeping, limits.ram, **more) | answer)


def _inspected(path: str, wish: Settings) -> Inspection:
    return inspect_data(Path(path), instances=wish.task.instances)


def _optimizer(asked: str, chosen: str) -> str:
    """That of the command where it was given; its default gives way to what the training takes."""
    return chosen if asked == DEFAULT_OPTIMIZER else asked
