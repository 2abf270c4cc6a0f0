"""A training's plan made to fit the memory there is; where it fits as it is, only counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch
from torch import nn

from convivo.errors import PlanError, UsageError
from convivo.planning.accelerator import on_accelerator
from convivo.planning.budget import MIB, Setting, Solution
from convivo.planning.limits import limit_source, memory_limit
from convivo.training.easing import Cap
from convivo.training.precision import multiplies_bf16
from convivo.verbs.budget import Budget, must_fit
from convivo.verbs.fingerprint import Facts
from convivo.verbs.fixing import counted, uncounted
from convivo.verbs.keeping import Keeping, predicted_at_once
from convivo.verbs.settings import Settings
from convivo.verbs.told import countable
from convivo.verbs.within import (
    Ask,
    Limits,
    ask_for,
    beside_mean,
    formats,
    in_one_step,
    smaller_reason,
    with_setting,
    within,
)

VRAM_SHARE = 0.95  # the rest is for what other processes show on it, and for errors

Draft = dict[str, Any]
Redraft = Callable[[Settings], tuple[Draft, nn.Module]]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a training may take, and who says so.

    limits: bytes. option: who set that of main memory, for messages.
    """

    limits: Limits
    option: str


@dataclass(frozen=True, kw_only=True)
class Afforded:
    """The plan that fits, its network, and the settings as they were changed for it."""

    draft: Draft
    network: nn.Module
    chosen: Settings


def bounds_of(budget: Budget, device: torch.device) -> Bounds:
    """The limits that were given and those of the machine, whichever are tighter.

    Raises:
        UsageError: memory of an accelerator where there is none.
    """
    if budget.vram is not None and device.type == "cpu":
        rule, remedy = "the memory of the accelerator that computes", "Give --ram for the CPU"
        raise UsageError("--vram", rule, "--device cpu", remedy)
    vram = budget.vram
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        vram = min(vram or total, int(total * VRAM_SHARE))
    machine = memory_limit()
    if machine is None or (budget.ram is not None and budget.ram <= machine):
        return Bounds(limits=Limits(ram=budget.ram, vram=vram), option="--ram")
    return Bounds(limits=Limits(ram=machine, vram=vram), option=limit_source())


def afford(
    draft: Draft, network: nn.Module, keeping_of: Callable[[Draft, nn.Module], Keeping],
    facts: Facts, chosen: Settings, wish: Settings, bounds: Bounds, redraft: Redraft,
) -> Afforded:  # fmt: skip
    """Count the plan, and where it does not fit find the mildest way in which it does.

    The items of an update stay; passes, number format, checkpointing, the allocator and the patch
    may give way, in this order (`planning.budget`).

    Args:
        keeping_of: what a draft keeps beside its steps. wish: what the user set, which stays.
        redraft: the plan of changed settings, and its network.
    Raises:
        PlanError: nothing fits; it says the least that would.
    """
    precision = chosen.train.precision or "auto"
    open_formats = formats(precision) if precision != "auto" or _quick_bf16() else ("fp32",)
    size = tuple(draft["sampling"]["size"])
    asked = Setting(batch=int(draft["batch"]), patch=size, precision=open_formats[0])
    keeping = keeping_of(draft, network)
    bounds = replace(bounds, limits=beside_mean(bounds.limits, keeping.mean))
    try:
        found = counted(draft, network, asked, keeping, bounds.limits.ram)
    except PlanError as error:
        draft["reasons"].append(f"memory is not planned: {error}")
        found = uncounted(draft, network, asked)
        must_fit(found, bounds.limits.ram)
        return Afforded(draft=found | draft, network=network, chosen=chosen)
    solution = at_once(found, asked, bounds.limits)
    if solution is None:
        ask = ask_for(facts, draft, wish, keeping, batch=asked.batch, precision=precision)
        solution = _solved(network, draft, replace(ask, precisions=open_formats), bounds)
        seen = solution.setting
        chosen = with_setting(chosen, seen, asked.batch)
        draft["reasons"] += [f"to stay within the memory: {price}" for price in solution.price]
        if seen.patch != size:
            draft["reasons"].append(smaller_reason(seen.patch, size))
            draft, network = redraft(chosen)
            keeping = keeping_of(draft, network)
        draft["sampling"]["batch"] = predicted_at_once(draft, seen)
        found = counted(draft, network, seen, keeping, bounds.limits.ram)
    answer = {"fits": True, "solution": solution.document()} if bounds.limits else {}
    return Afforded(draft=found | draft | answer, network=network, chosen=chosen)


def at_once(found: Mapping[str, Any], asked: Setting, limits: Limits) -> Solution | None:
    """The wish itself where it fits; without limits everything does."""
    memory = found["memory"]
    if limits.vram is not None:
        bytes, limit = on_accelerator(memory["tensors_peak"]), limits.vram
    else:
        bytes, limit = memory["process_bound"], limits.ram
    if limit is None or bytes <= limit:
        return in_one_step(asked, bytes, limit or bytes)
    return None


def _solved(network: nn.Module, draft: Draft, ask: Ask, bounds: Bounds) -> Solution:
    shape = (draft["network"]["in_channels"], *draft["sampling"]["size"])
    return within(countable(draft, network), shape, ask, bounds.limits, option=bounds.option)


def _quick_bf16() -> bool:
    """Whether bf16 saves memory without taking many times as long."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return multiplies_bf16()


def setting_of(plan: Mapping[str, Any]) -> Setting:
    """How a plan goes through its batches."""
    passes = plan.get("accumulate", 1)
    return Setting(
        batch=ceil(plan["batch"] / passes),
        patch=tuple(plan["sampling"]["size"]),
        precision=plan.get("precision", "fp32"),
        checkpointing=plan.get("checkpointing", False),
        accumulate=passes,
        allocator=plan.get("allocator", "keep"),
    )


def counted_again(
    plan: Draft, network: nn.Module, keeping: Keeping, limit: int | None, *, tried: str = ""
) -> dict[str, Any]:
    """The memory of a plan whose number format was settled only now, and seconds as they were.

    Args:
        limit: bytes past which the process is refused memory.
        tried: what was done in float32 before, which the process has held as well: "steps",
            "gradients" of one pass, or nothing.
    """
    before = plan["memory"]
    if before["tensors_peak"] is None:
        return {}
    found = counted(plan, network, setting_of(plan), keeping, limit)
    again = {name: found[name] for name in ("memory", "peak_at", "timeline")}
    if tried == "gradients":  # what that freed went back at once
        alone = replace(setting_of(plan), precision="fp32", allocator="return")
        before = counted(plan, network, alone, keeping)["memory"]
    if tried:
        again["memory"] = _at_least(found["memory"], before)
    return again | {"measured": {"seconds_foretold": found["seconds_per_step"]}}


def _at_least(memory: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The memory of a training whose process has held `before` before."""
    peak, bound = (max(memory[key], before[key]) for key in ("process_peak", "process_bound"))
    overhead = peak - memory["tensors_peak"]
    return {**memory, "overhead": overhead, "process_peak": peak, "process_bound": bound}


def cap_of(bounds: Bounds, plan: Mapping[str, Any], network: nn.Module, keeping: Keeping) -> Cap:
    """What the running training stays within."""

    def least() -> int | None:
        seen = setting_of(plan)
        passes = seen.batch * seen.accumulate
        smallest = replace(seen, batch=1, accumulate=passes, checkpointing=True, allocator="return")
        try:
            found = counted(plan, network, smallest, keeping)["memory"]
        except PlanError:
            return None
        # it has just been shown that what there is does not do
        return max(int(found["process_bound"]), (bounds.limits.ram or 0) + 10 * MIB)

    return Cap(limit=bounds.limits.ram, option=bounds.option, least=least)


def tell_what_stays(draft: dict[str, Any], more: int) -> None:
    """Add to the memory of a plan what earlier trials or trainings of the process left behind.

    Kernels of networks that are gone stay, and holes where their tensors were.
    """
    memory = draft.get("memory")
    if memory and memory.get("tensors_peak") is not None and more > 0:
        keys = ("overhead", "process_peak", "process_bound")
        draft["memory"] = {**memory, **{key: memory[key] + more for key in keys}}
