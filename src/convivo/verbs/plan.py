"""plan: what a network costs, before a byte of it is allocated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.config import build, merge
from convivo.data.inspection import Inspection, inspect_data
from convivo.data.split import make_split
from convivo.errors import UsageError
from convivo.layers.kernels import check_choice
from convivo.planning.document import plan_document
from convivo.planning.lecture import lecture_count
from convivo.verbs.choose import choose
from convivo.verbs.facts import facts_of
from convivo.verbs.fixing import draft_plan
from convivo.verbs.settings import NetSettings, Settings

DEFAULT_CLASSES = {"classify": 1000, "segment": 2}


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
        if "lecture" in c:
            lines.append(f"  bytes, the lecture's sum: {c['lecture']['formula']}")
        lines += [f"  {reason}" for reason in c.get("reasons", [])]
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
    settings: Sequence[str] = (),
    count: str | None = None,
) -> Plan:
    """Count parameters, multiply-accumulates and receptive field; memory is null for the present.

    Args:
        data: a path or inspection (then network and input are chosen from it), or your own module.
        input: (C, *S), as numbers or "C,S1,S2"; gives the number of spatial axes.
        net: a name of `networks()`.
        classes: outputs of the network; default 1000, for segmentation 2.
        settings: "key=value" overrides of the configuration, such as "net.hidden=[1000]".
        count: "lecture" adds the lecture's own sum, 4 bytes x (input + weights + biases).
        ram: accepted for the solver that will use it; not used yet.
    Raises:
        UsageError: neither data nor a network with its input. ShapeError: an input it cannot take.
    """
    shape = _shape(input)
    wish = _wish(settings, net, batch)
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
            "precision": "fp32" if precision == "auto" else precision,
        }
        return _for_data(data, wish, counting)
    else:
        name, module = wish.net.name or "", _on_meta(wish.net, shape, classes)
    contents = plan_document(
        name, module, shape or (), wish.train.batch or 1,
        mode=mode, optimizer=optimizer, layers=layers,
        precision="fp32" if precision == "auto" else precision,
    )  # fmt: skip
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


def _on_meta(net: NetSettings, shape: tuple[int, ...] | None, classes: int | None) -> nn.Module:
    if net.name is None or shape is None:
        rule = "give DATA, or --net with --input"
        got = f"net={net.name}, input={shape}"
        raise UsageError("plan", rule, got, "Try --net resnet18 --input 3,224,224")
    entry = ARCHITECTURES.get(net.name)
    task = entry.tasks[0] if entry is not None else "classify"
    with torch.device("meta"):
        return create(
            net.name, spatial_dims=len(shape) - 1, in_channels=shape[0],
            num_classes=classes or DEFAULT_CLASSES.get(task, 2), input_size=shape[1:],
            width=net.width or 1.0, **net.options,
        )  # fmt: skip


def _for_data(data: object, wish: Settings, counting: dict[str, Any]) -> Plan:
    inspection = data if isinstance(data, Inspection) else inspect_data(Path(str(data)))
    split = make_split(inspection)
    facts = facts_of(inspection, split.train)
    chosen, reasons = choose(facts, wish)
    draft, network = draft_plan(
        inspection, split, facts, chosen, reasons=reasons, threads=torch.get_num_threads()
    )
    counted = plan_document(
        draft["net"], network, tuple(draft["input"]), draft["batch"], **counting
    )
    return Plan(draft | counted)
